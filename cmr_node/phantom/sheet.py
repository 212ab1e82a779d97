"""A contact sheet of simulated patients: one row each, the same views below each other.

The promise kept here: pictures are shown as they are stored, turned ones turned, at one scale in
mm; no display, no ``pyplot``, and the same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

GROUND, INK = "#14171c", "#e8eaed"
CELL_INCHES, MARGIN_INCHES = 1.6, 0.35
DOTS_PER_INCH = 110
ROWS_A_PAGE = 150  #: of a larger sheet an image viewer would make nothing


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the sheet."""

    title: str
    series: str
    share: float = 0.5  #: how far along the stack from the base

    def pick(self, indices: Sequence[int]) -> int:
        """Which of the slices is shown."""
        return indices[round((len(indices) - 1) * self.share)]


COLUMNS = (
    Column("SAX base", "cine_sax", 0.25),
    Column("SAX mid", "cine_sax", 0.5),
    Column("SAX apex", "cine_sax", 0.75),
    Column("2CH", "cine_2ch"),
    Column("4CH", "cine_4ch"),
    Column("LGE", "lge_sax"),
    Column("T2", "t2_sax"),
    Column("T1", "t1_sax"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One patient: title of a column -> pixels (rows, columns) and their spacing in mm."""

    title: str
    pictures: Mapping[str, tuple[npt.NDArray[np.uint16], float]]


def contact_sheet(rows: Sequence[Row], path: Path) -> tuple[Path, ...]:
    """Write the sheet as PNG; what ``path`` has no room for goes to pages beside it.

    Returns
    -------
    The pages: ``sheet.png``, ``sheet-2.png`` ...

    Raises
    ------
    ValueError
        There is no row.
    """
    if not rows:
        raise ValueError("a contact sheet needs at least one patient")
    pages = []
    for number, first in enumerate(range(0, len(rows), ROWS_A_PAGE), start=1):
        page = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        _write_page(rows[first : first + ROWS_A_PAGE], page)
        pages.append(page)
    return tuple(pages)


def _write_page(rows: Sequence[Row], path: Path) -> None:
    width = CELL_INCHES * len(COLUMNS)
    cell = CELL_INCHES + MARGIN_INCHES
    height = cell * len(rows) + MARGIN_INCHES
    figure = Figure((width, height), dpi=DOTS_PER_INCH, facecolor=GROUND)
    for place, column in enumerate(COLUMNS):
        at = (place + 0.5) * CELL_INCHES / width, 1 - 0.5 * MARGIN_INCHES / height
        figure.text(*at, column.title, color=INK, size=10, ha="center", va="center")
    for number, row in enumerate(rows):
        top = MARGIN_INCHES + number * cell
        at = 0.005, 1 - (top + 0.55 * MARGIN_INCHES) / height
        figure.text(*at, row.title, color=INK, size=9, va="center")
        bottom = 1 - (top + cell) / height
        for place, column in enumerate(COLUMNS):
            if column.title not in row.pictures:
                continue
            pixels, spacing = row.pictures[column.title]
            box = (place * CELL_INCHES / width, bottom, CELL_INCHES / width, CELL_INCHES / height)
            axes = figure.add_axes(box)
            axes.set_axis_off()
            low, high = _window(pixels)
            axes.imshow(pixels, cmap="gray", vmin=low, vmax=high, interpolation="bilinear")
            # All cells are as wide as the largest picture of the row.
            half = max(max(p.shape) * mm for p, mm in row.pictures.values()) / spacing / 2
            down, right = (size / 2 - 0.5 for size in pixels.shape)
            axes.set_xlim(right - half, right + half)
            axes.set_ylim(down + half, down - half)
    FigureCanvasAgg(figure)
    figure.savefig(
        path, format="png", dpi=DOTS_PER_INCH, facecolor=GROUND, metadata={"Software": None}
    )


def _window(pixels: npt.NDArray[np.uint16]) -> tuple[float, float]:
    """Shown black and white: by the middle half, for fat under a coil outshines the heart."""
    rows, columns = pixels.shape
    middle = pixels[rows // 4 : -(rows // 4) or None, columns // 4 : -(columns // 4) or None]
    low, high = np.percentile(middle, (1, 99))
    return float(low), float(max(high, low + 1))
