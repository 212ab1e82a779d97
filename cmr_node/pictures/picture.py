"""What is shown of one stack: its pictures, and what was decided.

The promise kept here: what can be constructed can be drawn.  A picture knows its size in mm and
where its edges point to; NaN, a constant image or the extremes of its type make a dull picture
and never a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from cmr_node.geometry.plane import Plane, patient_orientation

Image = npt.NDArray[np.generic]
Shares = npt.NDArray[np.float64]  #: 0 black to 1 white
Decision = Literal["act", "leave", "ask", "refused"]

OPPOSITE = str.maketrans("LRPAHF", "RLAPFH")
WINDOW_PERCENT = (1.0, 99.5)  #: grey values shown black and white
VALUE_LIMIT = 1e150  #: beyond it a number is no signal, and differences overflow


@dataclass(frozen=True, slots=True)
class Picture:
    """One grey picture and where its edges point to.

    pixels
        (rows, columns), any real type, at least one pixel.
    pixel_spacing
        (between rows, between columns), mm.
    right, bottom
        Letters of the patient directions there (L R A P H F); "" shows none.

    Raises
    ------
    ValueError
        Not such pixels, or a spacing that is no positive length.
    """

    pixels: Image
    pixel_spacing: tuple[float, float] = (1.0, 1.0)
    right: str = ""
    bottom: str = ""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2:
            raise ValueError(f"a picture has two dimensions, found {self.pixels.ndim}")
        if not self.pixels.size:
            raise ValueError(f"a picture has pixels, found a shape of {self.pixels.shape}")
        if self.pixels.dtype.kind not in "biuf":
            raise ValueError(f"a picture has real numbers, found {self.pixels.dtype}")
        if not all(isfinite(spacing) and spacing > 0 for spacing in self.pixel_spacing):
            raise ValueError(f"pixel spacing {self.pixel_spacing} mm, allowed are lengths above 0")

    @classmethod
    def on(cls, plane: Plane, pixels: Image) -> Self:
        """``pixels`` on their plane, which says spacing and letters."""
        right, bottom = patient_orientation(plane)
        return cls(pixels, plane.pixel_spacing, right, bottom)

    @property
    def size_mm(self) -> tuple[float, float]:
        """(height, width), mm."""
        rows, columns = self.pixels.shape
        return rows * self.pixel_spacing[0], columns * self.pixel_spacing[1]

    @property
    def left(self) -> str:
        """Letters of the patient direction at the left edge."""
        return self.right.translate(OPPOSITE)

    @property
    def top(self) -> str:
        """Letters of the patient direction at the top edge."""
        return self.bottom.translate(OPPOSITE)


@dataclass(frozen=True, slots=True)
class Panel:
    """One stack on a sheet.

    title
        What it is, for example ``cine SAX, slice 4 of 8``.
    caption
        Why it was decided so, some 250 characters at most.
    before
        As it was stored; None if no picture could be had.
    after
        As it is now; None if it was left alone, or if no picture could be had.
    decision
        What was decided.
    """

    title: str
    caption: str
    before: Picture | None
    after: Picture | None
    decision: Decision

    @property
    def halves(self) -> tuple[tuple[str, Picture | None], ...]:
        """What to show, with its name: before and after, or the one picture of a stack left."""
        if self.after is None and self.decision != "act":
            return (("stored", self.before),)
        return ("stored", self.before), ("standard", self.after)

    @property
    def shown(self) -> list[Picture]:
        """The pictures there are."""
        return [picture for picture in (self.before, self.after) if picture is not None]

    @property
    def window(self) -> tuple[float, float]:
        """The grey values shown black and white in both halves, from the first picture."""
        return grey_window(self.shown[0].pixels) if self.shown else (0.0, 1.0)


def reach_mm(pictures: Sequence[Picture]) -> float:
    """The longest side of all, mm: the side of a square in which each fits at one scale."""
    return max(max(picture.size_mm) for picture in pictures)


def grey_window(pixels: Image) -> tuple[float, float]:
    """(black, white): the values at ``WINDOW_PERCENT`` of the signal, never the same."""
    values = pixels.astype(np.float64)
    values = values[np.abs(values) < VALUE_LIMIT]
    if not values.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, WINDOW_PERCENT))
    return low, max(high, low + max(1e-9, 1e-9 * abs(low)))


def grey(pixels: Image, window: tuple[float, float]) -> Shares:
    """``pixels`` as shares of white within (black, white); NaN is black."""
    low, high = window
    with np.errstate(over="ignore"):
        shares = (pixels.astype(np.float64) - low) / (high - low)
    return np.clip(np.nan_to_num(shares, nan=0.0), 0.0, 1.0)
