"""What an operation and an affine do to voxel indices.

The promise kept here: (row, column) of a picture and (i, j) of a volume are exchanged in this
module and nowhere else.  The column index is i, the row index j, the slice k; the first axis of
a volume's file is the last one of ``Volume.voxels``.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from cmr_node.errors import RefusedStack, UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import SPACING_RANGE, Plane, Vector

Array = npt.NDArray[np.float64]

MAX_SIZE = 65535
"""Of each dimension: as DICOM, and twice what NIfTI-1 can say."""

SPACING_TOLERANCE = 1e-5
"""1, relative; spacings that differ less are one number written twice in 32 bits."""

NUMBER_LIMIT = 1e9
"""Of an element of an affine, any unit: larger ones would overflow what is computed from them."""


def index_matrix(operation: Orientation, shape: tuple[int, int], dimensions: int = 3) -> Array:
    """Where each voxel of the result came from, homogeneous.

    Parameters
    ----------
    operation, shape
        What is done to pictures of (rows, columns), before.
    dimensions
        Number n of axes of the file.

    Returns
    -------
    (n + 1, n + 1), zero-based: ``source (i, j, k, .., 1) = matrix @ result (i, j, k, .., 1)``.
    """
    matrix, offset = operation.index_map(shape)
    placed = np.eye(dimensions + 1)
    placed[:2, :2] = matrix[::-1, ::-1]
    placed[:2, -1] = offset[::-1]
    return placed


def picked(voxels: npt.NDArray[Any], operation: Orientation) -> npt.NDArray[Any]:
    """What ``operation.apply`` must give, by asking each result pixel where it came from.

    (..., rows, columns) to (..., rows', columns').  For proofs: no code is shared with ``apply``.
    """
    shape = (voxels.shape[-2], voxels.shape[-1])
    (row_by_row, row_by_column), (column_by_row, column_by_column) = operation.index_map(shape)[0]
    first_row, first_column = operation.index_map(shape)[1]
    rows, columns = (np.arange(size) for size in operation.turned_shape(shape))
    source_row = row_by_row * rows[:, None] + row_by_column * columns + first_row
    source_column = column_by_row * rows[:, None] + column_by_column * columns + first_column
    return np.asarray(voxels[..., source_row, source_column])


def corners(sizes: tuple[int, ...]) -> Array:
    """(n + 1, 2^n): homogeneous indices of the corner voxels of an n-dimensional grid."""
    ends = product(*((0, size - 1) for size in sizes))
    return np.array([(*corner, 1) for corner in ends], dtype=np.float64).T


def checked(affine: Array, name: str) -> Array:
    """``affine``, if its numbers are numbers.

    Raises
    ------
    UnusableGeometry
        One is not finite or beyond ``NUMBER_LIMIT``.
    """
    if not bool(np.all(np.abs(affine) <= NUMBER_LIMIT)):  # NaN is not
        raise UnusableGeometry(
            f"{name} has a value that is not finite or beyond {NUMBER_LIMIT:g}; "
            "allowed are positions in the patient"
        )
    return affine


def check_equal_spacing(name: str, across: float, down: float) -> None:
    """Refuse a transposition beside a spacing that stays.

    Parameters
    ----------
    name
        What the header calls the spacing.
    across, down
        Between columns, between rows, any unit.

    Raises
    ------
    RefusedStack
        The two differ by more than ``SPACING_TOLERANCE``, or are no numbers.
    """
    if not abs(across - down) <= SPACING_TOLERANCE * abs(across):
        raise RefusedStack(
            f"{name} is {across:.6g} between columns and {down:.6g} between rows, and rows and "
            "columns are to be exchanged: which spacing belongs to which axis cannot be known"
        )


def planes(affine: Array, shape: tuple[int, int, int]) -> tuple[Plane, ...]:
    """The plane of each slice.

    Parameters
    ----------
    affine
        (4, 4), (i, j, k, 1) to mm, LPS.  The slice axis may be oblique to the slices.
    shape
        (slices, rows, columns).

    Raises
    ------
    UnusableGeometry
        In-plane axes are missing or not orthogonal, or slices lie on one another.
    """
    slices, rows, columns = shape
    between_columns, between_rows, between_slices = (
        float(length) for length in np.linalg.norm(affine[:3, :3], axis=0)
    )
    for name, length in (("row", between_columns), ("column", between_rows)):
        if length < SPACING_RANGE[0]:
            raise UnusableGeometry(
                f"pixels along a {name} are {length:.6g} mm apart, "
                f"allowed are {SPACING_RANGE[0]:g} mm or more"
            )
    if slices > 1 and between_slices < SPACING_RANGE[0]:
        raise UnusableGeometry(
            f"{slices} slices are {between_slices:.6g} mm apart, "
            f"allowed are {SPACING_RANGE[0]:g} mm or more"
        )
    return tuple(
        Plane(
            position=_vector(affine[:3, 3] + slice_index * affine[:3, 2]),
            row_direction=_vector(affine[:3, 0] / between_columns),
            column_direction=_vector(affine[:3, 1] / between_rows),
            pixel_spacing=(between_rows, between_columns),
            shape=(rows, columns),
        )
        for slice_index in range(slices)
    )


def _vector(values: Array) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
