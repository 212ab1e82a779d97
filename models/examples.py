"""Pictures with what is known of each, from the simulation and from real patients alike.

The promise kept here: what is not known is said to be not known (``known``, NaN, -1), never
guessed; and every picture names its patient, so that a split is by patient.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.equivariance import matrices
from cmr_node.inference.picture_kind import PictureKind
from cmr_node.inference.preprocess import SIZE
from cmr_node.phantom.scanner.contrast import Kind
from models.pool import KINDS, SEQUENCES, Pool

SUNNYBROOK_MM = 1.33  #: pixel spacing of the PNG files, which hold none (1.29 to 1.37 where known)


@dataclass(frozen=True, slots=True)
class Examples:
    """n pictures of one size.

    images
        (n, rows, columns), float16 or uint8.
    masks
        (n, rows, columns) uint8: 0 none or not known, 1 LV blood pool, 2 myocardium, 3 RV.
    known
        (n, 3) bool: which of the three structures were drawn.
    kind
        (n,) int64: place in ``KINDS``; -1 not known.
    right, septal
        (n, 2) float32 unit vectors (row, column); NaN not known.
    exact
        (n,) bool: whether ``right`` is measured, or only the direction of the class.
    spacing
        (n,) float32, mm.
    centre
        (n, 2) float32: (row, column) of the heart, or of the middle.
    sequence
        (n,) uint8: place in ``SEQUENCES``.
    patient
        (n,) str; "" for simulated ones, which are all different.
    """

    images: npt.NDArray[np.float16] | npt.NDArray[np.uint8]
    masks: npt.NDArray[np.uint8]
    known: npt.NDArray[np.bool_]
    kind: npt.NDArray[np.int64]
    right: npt.NDArray[np.float32]
    septal: npt.NDArray[np.float32]
    exact: npt.NDArray[np.bool_]
    spacing: npt.NDArray[np.float32]
    centre: npt.NDArray[np.float32]
    sequence: npt.NDArray[np.uint8]
    patient: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.images)

    def of(self, patients: Iterable[str]) -> Examples:
        """Those of these patients."""
        chosen = np.isin(self.patient, list(patients))
        return Examples(**{one.name: getattr(self, one.name)[chosen] for one in fields(self)})

    def beside(self, other: Examples) -> Examples:
        """These, then the others, of the same size."""
        return Examples(
            **{
                one.name: np.concatenate([getattr(self, one.name), getattr(other, one.name)])
                for one in fields(self)
            }
        )


def simulated(pool: Pool) -> Examples:
    """The pool, all of it known."""
    count = len(pool)
    return Examples(
        images=pool.images,
        masks=pool.masks,
        known=np.ones((count, 3), np.bool_),
        kind=pool.kind.astype(np.int64),
        right=pool.right,
        septal=pool.septal,
        exact=np.isfinite(pool.right[:, 0]),
        spacing=pool.spacing,
        centre=np.full((count, 2), (SIZE - 1) / 2, np.float32),
        sequence=pool.sequence,
        patient=np.full(count, ""),
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """One slice of Sunnybrook, as its index describes it."""

    patient: str
    slice_index: int
    phase: str  #: ED or ES
    pathology: str
    stored_as: Orientation
    has_epi: bool
    usable: bool  #: whether the masks fit the image
    file: str


def sunnybrook_index(folder: Path) -> list[Drawn]:
    """The slices that ``folder`` (``sunnybrook-slices``) holds, in the order of its index.

    Raises
    ------
    FileNotFoundError
        ``folder`` holds no index.
    """
    with (folder / "index.csv").open(newline="") as file:
        return [
            Drawn(
                patient=row["patient"],
                slice_index=int(row["slice_index"]),
                phase=row["phase"],
                pathology=row["pathology"],
                stored_as=Orientation(row["stored_as"]),
                has_epi=row["has_epi"] == "1",
                usable=row["masks_usable"] == "1",
                file=row["file"],
            )
            for row in csv.DictReader(file)
        ]


def sunnybrook(folder: Path) -> Examples:
    """All slices; where masks do not fit the image the orientation alone is known."""
    drawn = sunnybrook_index(folder)
    images, masks = zip(*(read_slice(folder, one) for one in drawn), strict=True)
    middle = [(np.array(image.shape) - 1) / 2 for image in images]
    centre = [
        np.argwhere(mask).mean(0) if mask.any() else around
        for mask, around in zip(masks, middle, strict=True)
    ]
    return Examples(
        images=np.stack(images),
        masks=np.stack(masks),
        known=np.array([(one.usable, one.usable and one.has_epi, False) for one in drawn]),
        kind=np.full(len(drawn), KINDS.index(PictureKind.SHORT_AXIS)),
        right=np.stack([matrices()[one.stored_as.code][:, 1] for one in drawn]),
        septal=np.full((len(drawn), 2), np.nan, np.float32),
        exact=np.zeros(len(drawn), np.bool_),
        spacing=np.full(len(drawn), SUNNYBROOK_MM, np.float32),
        centre=np.stack(centre).astype(np.float32),
        sequence=np.full(len(drawn), SEQUENCES.index(Kind.CINE), np.uint8),
        patient=np.array([one.patient for one in drawn]),
    )


def read_slice(folder: Path, drawn: Drawn) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """(rows, columns) grey values, and masks: 1 blood pool, 2 myocardium where it was drawn."""
    with Image.open(folder / "images" / drawn.file) as picture:
        image = np.asarray(picture.convert("L"))
    masks = np.zeros(image.shape, np.uint8)
    if drawn.usable:
        if drawn.has_epi:
            masks[_mask(folder / "epi" / drawn.file)] = 2
        masks[_mask(folder / "endo" / drawn.file)] = 1
    return image, masks


def folds(patients: Iterable[str], count: int, seed: int = 0) -> list[list[str]]:
    """The patients dealt into ``count`` groups, kinds of disease evenly; the names tell those."""
    named = sorted(set(patients))
    order = np.random.default_rng(seed).permutation(len(named))
    shuffled = sorted((named[place] for place in order), key=lambda name: name.rsplit("-", 1)[0])
    return [sorted(shuffled[first::count]) for first in range(count)]


def _mask(path: Path) -> npt.NDArray[np.bool_]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L")) > 127
