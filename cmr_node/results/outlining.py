"""From the pixels of a short-axis cine to outlines of every phase, and to its numbers.

The promise kept here: the phases that are reported were drawn with care (the mean of eight turned
copies), the others once, and no number rests on a phase of the second kind as end-diastole or
end-systole.  An image that cannot be looked at stops the whole stack: a volume without it would
be wrong without a word.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cmr_node.assemble.records import Stack
from cmr_node.dicom.raw import is_decimal, texts
from cmr_node.geometry.orientation import Orientation
from cmr_node.judgement import Pixels
from cmr_node.measures.cleaning import clean
from cmr_node.measures.masks import Masks
from cmr_node.measures.measure import Measurements, measure
from cmr_node.measures.quality import Finding, outshines
from cmr_node.measures.volumes import BasalRule, discs
from cmr_node.results.artist import Drawer

MS_PER_MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class Body:
    """What numbers need beside outlines; None where it is not known."""

    heart_rate: float | None = None  #: per minute
    height_m: float | None = None
    weight_kg: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """A stack as drawn, on the grid of the images it was drawn on.

    labels
        uint8 (slices, phases, rows, columns), cleaned.
    base_first
        Whether the base of the heart is at the first slice; None where that is not known.
    """

    labels: NDArray[np.uint8]
    measured: Measurements
    base_first: bool | None


def body_of(stack: Stack, first: Dataset) -> Body:
    """Heart rate, height and weight, as far as the headers say them in numbers.

    Parameters
    ----------
    first
        The first instance of the stack.
    """
    intervals = [
        interval
        for cell in stack.cells
        for interval in [cell.header.number("NominalInterval")]
        if interval and interval > 0
    ]
    rate = (
        MS_PER_MINUTE / statistics.median(intervals) if intervals else _number(first, "HeartRate")
    )
    return Body(rate, _number(first, "PatientSize"), _number(first, "PatientWeight"))


def _number(ds: Dataset, keyword: str) -> float | None:
    text = "".join(texts(ds, keyword))
    found = float(text) if is_decimal(text) else math.nan
    return found if math.isfinite(found) and found > 0 else None


def outline(
    stack: Stack,
    pixels: Pixels,
    drawer: Drawer,
    orientation: Orientation,
    body: Body,
    basal_rule: BasalRule,
    doubts: Sequence[Finding] = (),
) -> Outlines:
    """Draw and measure a stack of parallel slices of one size.

    Parameters
    ----------
    orientation
        How the images are stored, by the network.
    doubts
        What speaks against numbers of this network, whatever it draws.

    Raises
    ------
    BadInstance
        An image cannot be read or looked at.
    """
    sheet = _Sheet(stack, pixels, drawer, orientation)
    for phase in range(stack.phases):
        sheet.draw(phase, turns=False)
    careful: set[int] = set()
    while True:
        masks = sheet.masks()
        measured = _measured(stack, masks, body, basal_rule, sheet.brighter, doubts)
        # Drawn anew, a phase may lose its place as the largest or smallest to a neighbour.
        missing = {measured.ed_phase, measured.es_phase} - {None} - careful
        if not missing:
            break
        for phase in sorted(found for found in missing if found is not None):
            sheet.draw(phase, turns=True)
            careful.add(phase)
    cleaned = clean(masks).masks
    base_first = None
    if measured.ed_phase is not None:
        base_first = discs(cleaned, _positions(stack), stack.plane.pixel_spacing).base_first
    return Outlines(cleaned.labels, measured, base_first)


def _positions(stack: Stack) -> NDArray[np.float64]:
    return np.array([one.position for one in stack.slices], float)


def _measured(
    stack: Stack,
    masks: Masks,
    body: Body,
    basal_rule: BasalRule,
    brighter: NDArray[np.float64],
    doubts: Sequence[Finding],
) -> Measurements:
    return measure(
        masks,
        [one.position for one in stack.slices],
        stack.plane.pixel_spacing,
        heart_rate=body.heart_rate,
        height_m=body.height_m,
        weight_kg=body.weight_kg,
        basal_rule=basal_rule,
        brighter=brighter,
        doubts=doubts,
    )


class _Sheet:
    """The outlines of a stack while they are drawn.

    brighter
        (slices, phases): as ``measures.quality.outshines`` of what is drawn; NaN where nothing is.
    """

    def __init__(
        self, stack: Stack, pixels: Pixels, drawer: Drawer, orientation: Orientation
    ) -> None:
        self._stack, self._pixels, self._drawer = stack, pixels, drawer
        self._orientation = orientation
        spacing, shape = stack.plane.pixel_spacing, stack.plane.shape
        grid = (len(stack.slices), stack.phases)
        self._labels = np.zeros((*grid, *shape), np.uint8)
        self._present = np.zeros(grid, np.bool_)
        self._confidence = np.zeros(grid, np.float32)
        self.brighter = np.full(grid, np.nan)
        first = [pixels(one.cells[0]) for one in stack.slices]
        self._centre = drawer.look(first, spacing).centre

    def draw(self, phase: int, *, turns: bool) -> None:
        """Draw one phase of all slices that have it."""
        places = [n for n, one in enumerate(self._stack.slices) if phase < len(one.cells)]
        images = [self._pixels(self._stack.slices[place].cells[phase]) for place in places]
        drawn = self._drawer.segment(
            images,
            self._stack.plane.pixel_spacing,
            self._orientation,
            self._centre,
            turns=turns,
        )
        for place, image, one in zip(places, images, drawn, strict=True):
            self.brighter[place, phase] = outshines(image, one.labels)
            self._labels[place, phase] = one.labels
            self._present[place, phase] = True
            self._confidence[place, phase] = min(max(one.confidence, 0.0), 1.0)

    def masks(self) -> Masks:
        """All that is drawn, as it is now."""
        return Masks(self._labels.copy(), self._present.copy(), self._confidence.copy())
