"""Real pictures that show no short axis: localizers of patients, long axes of a pig.

The promise kept here: each names its patient, so that a network is asked only about localizers
and long axes of whom it was never shown.  Nothing is known of them but their kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmr_node.inference.picture_kind import PictureKind
from cmr_node.phantom.scanner.contrast import Kind
from models.examples import Examples
from models.pool import KINDS, SEQUENCES
from models.stacks import Image, read_stacks

PIG = "pig"
SIDE = 256  #: rows and columns, as the slices of Sunnybrook have


@dataclass(frozen=True, slots=True)
class _Folder:
    pattern: str
    kind: PictureKind
    patient: str = ""  #: "" where the folder above is named after the patient
    slices: tuple[int, int | None] = (0, None)  #: the first, and the first no longer taken
    phases: int = 1  #: how many, evenly over the beat


FOLDERS = (
    _Folder("sunnybrook-cine/*/localizer", PictureKind.OTHER),
    # Its outermost slices graze the heart: what they show is nobody's to say.
    _Folder("pig-cine/lax", PictureKind.LONG_AXIS, PIG, (2, 12), 4),
)


def other_views(data: Path) -> Examples:
    """Those in ``data``, (SIDE, SIDE) each.

    Raises
    ------
    FileNotFoundError
        One of the folders is not there.
    ValueError
        A picture has another number of rows or columns.
    """
    found = [one for folder in FOLDERS for one in _pictures(data, folder)]
    images, spacings, kinds, patients = zip(*found, strict=True)
    count = len(found)
    return Examples(
        images=np.stack(images),
        masks=np.zeros((count, SIDE, SIDE), np.uint8),
        known=np.zeros((count, 3), np.bool_),
        kind=np.array([KINDS.index(kind) for kind in kinds]),
        right=np.full((count, 2), np.nan, np.float32),
        septal=np.full((count, 2), np.nan, np.float32),
        exact=np.zeros(count, np.bool_),
        spacing=np.array(spacings, np.float32),
        centre=np.full((count, 2), (SIDE - 1) / 2, np.float32),
        sequence=np.full(count, SEQUENCES.index(Kind.CINE), np.uint8),
        patient=np.array(patients),
    )


def _pictures(data: Path, folder: _Folder) -> Iterator[tuple[Image, float, PictureKind, str]]:
    places = sorted(data.glob(folder.pattern))
    if not places:
        raise FileNotFoundError(f"{data} holds no {folder.pattern}")
    for place in places:
        for stack in read_stacks(place):
            for phases in stack.images[slice(*folder.slices)]:
                for image in phases[:: max(1, len(phases) // folder.phases)][: folder.phases]:
                    if image.shape != (SIDE, SIDE):
                        raise ValueError(f"{place}: a picture of {image.shape}, not {SIDE} a side")
                    yield (
                        _scaled(image),
                        stack.spacing[0],
                        folder.kind,
                        folder.patient or place.parent.name,
                    )


def _scaled(image: Image) -> Image:
    """As 8 bits, from the least value to the largest, like the slices of Sunnybrook."""
    low, high = image.min(), image.max()
    return np.asarray(np.round((image - low) / (high - low) * 255), np.uint8)
