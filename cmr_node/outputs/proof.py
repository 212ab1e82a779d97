"""Whether a derived image, read back from its bytes, holds each value at its patient position.

The promise kept here: nothing is sent unless its own bytes prove it right.  The proof takes no
word from the code that made the object, not even which operation was meant: from the two headers
alone it solves where each derived pixel lies on the source's grid, which is a signed exchange of
rows and columns or nothing, and then compares every stored word under that relation.

A plane is affine, so the largest position error is at a corner: four corners per frame prove all
pixels of it (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import EnhancedMRImageStorage

from cmr_node.dicom.reading import parse
from cmr_node.dicom.words import Words, stored_words
from cmr_node.errors import GeometryNotKept
from cmr_node.geometry.plane import Plane
from cmr_node.outputs.identity_proof import prove_identity, reading_back, stated

MAX_ERROR = 0.01
"""mm; a hundredth of a pixel of cardiac MR, 10^9 times what 16 byte decimals cost."""

_Grid = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Relation:
    """Source index = matrix @ derived index + offset, zero-based (row, column)."""

    matrix: _Grid
    offset: _Grid

    def pick(self, source: Words, shape: tuple[int, int]) -> Words:
        """(..., rows', columns'): the source's words where the derived pixels of ``shape`` lie."""
        rows, columns = np.arange(shape[0]), np.arange(shape[1])
        (row_by_row, row_by_column), (column_by_row, column_by_column) = self.matrix
        source_row = row_by_row * rows[:, None] + row_by_column * columns + self.offset[0]
        source_column = column_by_row * rows[:, None] + column_by_column * columns + self.offset[1]
        picked: Words = source[..., source_row, source_column]
        return picked


def prove(derived: bytes, source: FileDataset) -> float:
    """Prove a derived image against its source.

    Parameters
    ----------
    derived
        The Part 10 file as it will be sent.
    source
        The MR or Enhanced MR image it was made of.

    Returns
    -------
    The largest distance in the patient between a pixel of the derived image and the source pixel
    that holds the same value, mm; at most ``MAX_ERROR``.

    Raises
    ------
    GeometryNotKept
        The derived bytes cannot be read, a position is off, a value is not where it was, or the
        image claims an identity that it must not have.
    """
    with reading_back():
        ds = parse(derived)
        before, after = stored_words(source), stored_words(ds)
        old_planes, new_planes = _planes(source), _planes(ds)
    prove_identity(ds, source)
    if stated(ds, "FrameOfReferenceUID") != stated(source, "FrameOfReferenceUID"):
        raise GeometryNotKept("FrameOfReferenceUID is not that of the source")
    if not len(old_planes) == len(new_planes) == len(before) == len(after):
        raise GeometryNotKept(
            f"{len(after)} frames in {len(new_planes)} planes; the source has {len(before)} "
            f"in {len(old_planes)}"
        )
    worst = 0.0
    for number, (old, new) in enumerate(zip(old_planes, new_planes, strict=True), start=1):
        relation, error = _relation(old, new, number)
        worst = max(worst, error)
        picked = relation.pick(before[number - 1], new.shape)
        wrong = int(np.count_nonzero(picked != after[number - 1]))
        if wrong:
            raise GeometryNotKept(
                f"frame {number}: {wrong} of {picked.size} values are not where they were"
            )
    return worst


def _relation(old: Plane, new: Plane, frame: int) -> tuple[_Relation, float]:
    """How the derived grid lies on the source grid, and the largest position error in mm."""
    exact = new.steps @ np.linalg.pinv(old.steps)  # row k: the source step of one derived step
    matrix = np.rint(exact.T).astype(np.int64)
    if not (
        np.array_equal(np.abs(matrix), np.eye(2, dtype=np.int64))
        or np.array_equal(np.abs(matrix), np.eye(2, dtype=np.int64)[::-1])
    ):
        raise GeometryNotKept(
            f"frame {frame}: the derived grid is {np.round(exact.T, 3).tolist()} of the source's; "
            "allowed: rows and columns exchanged or reversed"
        )
    # Where the source index range begins for each axis follows from the signs alone.
    offset = np.where(matrix.sum(axis=1) < 0, np.array(old.shape) - 1, 0)
    exchanged = matrix[0, 0] == 0
    if new.shape != (old.shape[::-1] if exchanged else old.shape):
        raise GeometryNotKept(f"frame {frame}: {new.shape} pixels; the source has {old.shape}")
    last_row, last_column = new.shape[0] - 1, new.shape[1] - 1
    corners = np.array([[0, 0], [0, last_column], [last_row, 0], [last_row, last_column]])
    moved = new.to_patient(corners) - old.to_patient(corners @ matrix.T + offset)
    error = float(np.linalg.norm(moved, axis=1).max())
    if not error <= MAX_ERROR:
        raise GeometryNotKept(f"frame {frame}: pixels moved by {error:.6g} mm (limit {MAX_ERROR})")
    return _Relation(matrix, offset), error


def _planes(ds: Dataset) -> list[Plane]:
    """The plane of each frame, read anew: own functional group, shared one, or the top level."""
    shape = (int(ds.Rows), int(ds.Columns))
    shared: Sequence[Dataset] = ds.get("SharedFunctionalGroupsSequence") or []
    frames: Sequence[Dataset] = ds.get("PerFrameFunctionalGroupsSequence") or []

    def resolved(frame: Dataset, sequence: str, keyword: str) -> list[float]:
        for group in (frame, *shared):
            for item in group.get(sequence) or []:
                if keyword in item:
                    return [float(value) for value in item[keyword].value or ()]
        return []

    if ds.get("SOPClassUID") != EnhancedMRImageStorage:
        # A single-frame image may carry stray functional groups; they do not count.
        orientation, position, spacing = (
            [float(value) for value in ds.get(keyword) or ()]
            for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing")
        )
        return [Plane.from_dicom(orientation, position, spacing, *shape)]
    return [
        Plane.from_dicom(
            resolved(frame, "PlaneOrientationSequence", "ImageOrientationPatient"),
            resolved(frame, "PlanePositionSequence", "ImagePositionPatient"),
            resolved(frame, "PixelMeasuresSequence", "PixelSpacing"),
            *shape,
        )
        for frame in frames
    ]
