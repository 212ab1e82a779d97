"""The eight in-plane orientations (dihedral group D4) and what each does to pixels.

The promise kept here: an orientation means one thing everywhere in the project, namely the
operation *o* such that ``stored = o.apply(standard view)``; undoing it is ``o.inverse``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)
Indices = npt.NDArray[np.int64]


class Orientation(StrEnum):
    """One of the eight ways to lay a rectangle of pixels on its grid.

    The comments show where the corners of [[1, 2], [3, 4]] end up and the three-bit code of
    Zhang & Zhuang 2020 (Table 1, *Image* column; its coordinate column exchanges 101 and 110
    and is not used).  Bit 2 transposes first, then bit 1 reverses the rows, bit 0 the columns.
    """

    IDENTITY = "identity"  #: [[1, 2], [3, 4]]  000
    FLIP_LR = "flip_lr"  #: [[2, 1], [4, 3]]  001
    FLIP_UD = "flip_ud"  #: [[3, 4], [1, 2]]  010
    ROT180 = "rot180"  #: [[4, 3], [2, 1]]  011
    TRANSPOSE = "transpose"  #: [[1, 3], [2, 4]]  100
    ROT90CW = "rot90cw"  #: [[3, 1], [4, 2]]  101
    ROT90CCW = "rot90ccw"  #: [[2, 4], [1, 3]]  110
    ANTITRANSPOSE = "antitranspose"  #: [[4, 2], [3, 1]]  111

    @property
    def code(self) -> int:
        """The three-bit class of Zhang & Zhuang 2020, 0 to 7."""
        return _MEMBERS.index(self)

    @property
    def transposes(self) -> bool:
        """Whether rows become columns."""
        return bool(self.code & 0b100)

    @property
    def reverses_rows(self) -> bool:
        """Whether the row order is reversed (after the transposition, if any)."""
        return bool(self.code & 0b010)

    @property
    def reverses_columns(self) -> bool:
        """Whether the column order is reversed (after the transposition, if any)."""
        return bool(self.code & 0b001)

    @property
    def chirality(self) -> int:
        """+1 for the four rotations, -1 for the four mirrorings (the slice normal flips)."""
        return -1 if self.transposes ^ self.reverses_rows ^ self.reverses_columns else 1

    @property
    def inverse(self) -> Orientation:
        """The operation that undoes this one; only the quarter turns are not their own."""
        quarter_turns = {
            Orientation.ROT90CW: Orientation.ROT90CCW,
            Orientation.ROT90CCW: Orientation.ROT90CW,
        }
        return quarter_turns.get(self, self)

    def after(self, first: Orientation) -> Orientation:
        """The one operation equal to ``first``, then this one."""
        corners = self.apply(first.apply(_CORNERS))
        return next(o for o in _MEMBERS if np.array_equal(o.apply(_CORNERS), corners))

    def apply(self, pixels: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Re-index the last two axes (row, column) of ``pixels``.

        Parameters
        ----------
        pixels
            (..., rows, columns), any type; values are moved, never interpolated.

        Returns
        -------
        (..., rows', columns'), C-contiguous and never a view of ``pixels``.
        """
        turned = np.swapaxes(pixels, -1, -2) if self.transposes else pixels
        if self.reverses_rows:
            turned = turned[..., ::-1, :]
        if self.reverses_columns:
            turned = turned[..., :, ::-1]
        return np.array(turned, order="C", copy=True)

    def turned_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """(rows', columns') of a picture of ``shape`` (rows, columns) after this operation."""
        rows, columns = shape
        return (columns, rows) if self.transposes else (rows, columns)

    def index_map(
        self, shape: tuple[int, int]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where each pixel of the result came from.

        Parameters
        ----------
        shape
            (rows, columns) of the picture *before* the operation.

        Returns
        -------
        matrix, offset
            (2, 2) and (2,), zero-based (row, column) indices:
            ``source = matrix @ result + offset``.
        """
        rows, columns = self.turned_shape(shape)
        signs = [-1 if self.reverses_rows else 1, -1 if self.reverses_columns else 1]
        unflip = np.diag(np.array(signs, dtype=np.int64))
        shift = np.array(
            [rows - 1 if self.reverses_rows else 0, columns - 1 if self.reverses_columns else 0],
            dtype=np.int64,
        )
        exchange = np.array([[0, 1], [1, 0]] if self.transposes else [[1, 0], [0, 1]], np.int64)
        return exchange @ unflip, exchange @ shift


_MEMBERS = tuple(Orientation)
_CORNERS = np.array([[1, 2], [3, 4]])
