"""A page with simulated pictures left, real ones right, and the histograms of both below.

The promise kept here: both halves are drawn by the same code at the same scale, so a difference
on the page is one of the pictures.  No display and no ``pyplot``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure

from tests.benchmarks.squares import Square

CELL_INCHES, CHART_INCHES, TITLE_INCHES = 1.7, 2.4, 0.5
BINS = 50


@dataclass(frozen=True, slots=True)
class Histogram:
    """Values of a tissue over all squares, 0 to 1 of the scale of the page."""

    name: str
    values: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Side:
    """One half of the page: a row of squares for each patient."""

    title: str
    rows: Sequence[Sequence[Square]]
    histograms: Sequence[Histogram]


def draw(path: Path, title: str, left: Side, right: Side, limit: float | None = None) -> None:
    """Write the page as PNG.

    Parameters
    ----------
    limit
        What is white, as stored, in pictures that have a unit; ``None``: each picture's own scale.
    """
    widest = [max(len(row) for row in side.rows) for side in (left, right)]
    tallest = max(len(side.rows) for side in (left, right))
    size = CELL_INCHES * sum(widest) + 0.4, CELL_INCHES * tallest + CHART_INCHES + TITLE_INCHES
    figure = Figure(size, dpi=100, layout="constrained")
    figure.suptitle(title)
    halves = figure.subfigures(1, 2, width_ratios=widest, wspace=0.03)
    for half, side, width in zip(halves, (left, right), widest, strict=True):
        _draw_half(half, side, width, tallest, limit)
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png")


def _draw_half(half: SubFigure, side: Side, width: int, tallest: int, limit: float | None) -> None:
    half.suptitle(side.title, fontsize=10)
    grid = half.add_gridspec(
        tallest + 1, width, height_ratios=[CELL_INCHES] * tallest + [CHART_INCHES]
    )
    for down, row in enumerate(side.rows):
        for right, square in enumerate(row):
            axes = half.add_subplot(grid[down, right])
            shown = square.grey if limit is None else square.pixels / limit
            axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
            axes.set_axis_off()
            if right == 0:
                axes.set_title(square.title, fontsize=7, pad=2)
    _chart(half.add_subplot(grid[tallest, :]), side.histograms, limit)


def _chart(axes: Axes, histograms: Sequence[Histogram], limit: float | None) -> None:
    unit = 1.0 if limit is None else limit
    for one in histograms:
        axes.hist(
            one.values * unit,
            bins=BINS,
            range=(0, unit),
            density=True,
            histtype="step",
            label=one.name,
        )
    axes.set_yticks([])
    axes.tick_params(labelsize=7)
    axes.set_xlabel("grey of the square" if limit is None else "T1, ms", fontsize=7)
    axes.legend(fontsize=7)
