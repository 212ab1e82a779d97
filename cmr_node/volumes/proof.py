"""What both proofs of a turned volume share: the limit, and the comparison of voxels.

The promise kept here: two voxels are equal if all their bits are, so a NaN equals itself and a
0 does not equal a -0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cmr_node.errors import GeometryNotKept
from cmr_node.geometry.orientation import Orientation
from cmr_node.volumes.affines import picked

MAX_ERROR = 0.01
"""mm; that of ``outputs.proof``, and what coordinates of 32 bits can keep within a patient."""


def prove_voxels(
    source: npt.NDArray[Any], target: npt.NDArray[Any], operation: Orientation
) -> None:
    """Ask each voxel of ``target`` for the one of ``source`` that ``operation`` put there.

    Parameters
    ----------
    source, target
        (..., rows, columns) and (..., rows', columns'), stored values.

    Raises
    ------
    GeometryNotKept
        Type, byte order, shape or any bit is not what it must be.
    """
    expected = (*source.shape[:-2], *operation.turned_shape(source.shape[-2:]))
    if target.dtype != source.dtype or target.shape != expected:
        raise GeometryNotKept(
            f"voxels are {target.shape} {target.dtype.str}; allowed: {expected} {source.dtype.str}"
        )
    bits = np.dtype(f"u{source.dtype.itemsize}")
    wrong = sum(  # picture by picture: a copy of all would double the memory
        int(np.count_nonzero(picked(source[at], operation).view(bits) != target[at].view(bits)))
        for at in np.ndindex(source.shape[:-2])
    )
    if wrong:
        raise GeometryNotKept(f"{wrong} of {target.size} voxels are not where they were")


def prove_positions(error: float, what: str) -> float:
    """``error`` (mm), if it is within the limit.

    Raises
    ------
    GeometryNotKept
        It is not.
    """
    if not error <= MAX_ERROR:
        raise GeometryNotKept(f"{what}: voxels moved by {error:.6g} mm (limit {MAX_ERROR})")
    return error
