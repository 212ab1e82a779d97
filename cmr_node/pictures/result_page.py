"""One page of what was found in a short-axis cine: outlines, volumes over the beat, numbers.

The promise kept here: whoever looks at the page can check the numbers by eye.  Every slice is
shown at end diastole and end systole with what was outlined, beside the curve and the numbers
that came of it.  Nobody's name is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cmr_node.pictures.outlines import (
    COLOURS,
    DASHES,
    NAMES,
    OutlinedSlice,
    draw_slices,
    shown_square,
    shown_values,
)
from cmr_node.pictures.page import DOTS_PER_INCH, SIZE, SMALL, panel, write
from cmr_node.pictures.picture import grey_window
from cmr_node.pictures.theme import FAINT, GROUND, INK, MARK
from cmr_node.pictures.volume_curve import Curve, draw_curve
from cmr_node.pictures.words import Face

Page = npt.NDArray[np.uint8]  #: (rows, columns, 3), RGB

WARNING = "NOT FOR DIAGNOSIS"
WARNED = "Drawn and measured by a network; no physician has verified it."

_LINE = 1.62  #: from line to line, in heights of letters
_MOST_ROWS = 3  #: of one sentence

_TITLE, _HEAD, _TEXT = Face(25, bold=True), Face(17, bold=True), Face(16.5)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a page shows.

    heading
        What was measured, without a name.
    diastole, systole
        The slices at the two phases, from base to apex; more than ``MOST_SLICES`` are thinned out.
    lines
        The numbers, ready for reading; a line "name: value" is set in two columns.
    footer
        Which software and network, small.
    warn
        Whether ``WARNING`` is written across the foot.
    """

    heading: str
    diastole: Sequence[OutlinedSlice]
    systole: Sequence[OutlinedSlice]
    curve: Curve
    lines: Sequence[str]
    footer: str
    warn: bool


def draw_page(findings: Findings) -> Page:
    """The page; the same findings give the same pixels.

    Raises
    ------
    ValueError
        There is no slice of one of the phases.
    """
    if not findings.diastole or not findings.systole:
        raise ValueError("a page without slices at end diastole or end systole")
    figure = Figure((SIZE[0] / DOTS_PER_INCH, SIZE[1] / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
    figure.set_facecolor(GROUND)
    canvas = FigureCanvasAgg(figure)
    write(figure, 24, 40, findings.heading, INK, _TITLE, width=SIZE[0] - 48)
    every = (*findings.diastole, *findings.systole)
    window = grey_window(np.concatenate([shown_values(one) for one in every])[None])
    square = shown_square(every)
    curve = findings.curve
    for left, name, slices, phase in (
        (24, "End diastole", findings.diastole, curve.diastole),
        (650, "End systole", findings.systole, curve.systole),
    ):
        words = f"{name}  ·  phase {phase + 1}, {curve.times_ms[phase]:.0f} ms"
        write(figure, left, 78, words, MARK, _HEAD)
        draw_slices(figure, left, slices, window, square)
    _draw_legend(figure)
    draw_curve(figure, findings.curve)
    _draw_lines(figure, findings.lines)
    _draw_foot(figure, findings)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(drawn[..., :3])


def _draw_lines(figure: Figure, lines: Sequence[str]) -> None:
    """The numbers; where they are many, they are set smaller."""
    left, top, width, height = 660, 612, 596, 276
    panel(figure, left, top, width, height)
    face = _TEXT
    while len(rows := rows_of(lines, face, width - 36)) * _LINE * face.pixels > height - 20:
        face = Face(0.95 * face.pixels)
    bold = Face(face.pixels, bold=True)
    for number, row in enumerate(rows):
        y = top + 12 + (number + 0.72) * _LINE * face.pixels
        name, colon, value = row.partition(": ")
        if colon:
            write(figure, left + 18, y, name, FAINT, face, width=width * 0.55)
            write(figure, left + width - 18, y, value, INK, bold, "right", width * 0.4)
        else:
            write(figure, left + 18, y, row, INK, face, width=width - 36)


def rows_of(lines: Sequence[str], face: Face, width: float) -> list[str]:
    """Sentences broken to the width; a number stays on a line of its own."""
    return [
        row
        for line in lines
        for row in ([line] if ": " in line else face.wrap(line, width, _MOST_ROWS))
    ]


def _draw_foot(figure: Figure, findings: Findings) -> None:
    if findings.warn:
        panel(figure, 0, SIZE[1] - 58, SIZE[0], 32, MARK)
        write(figure, 24, SIZE[1] - 35, WARNING, GROUND, _HEAD)
        write(figure, 48 + _HEAD.width(WARNING), SIZE[1] - 36, WARNED, GROUND, SMALL)
    write(figure, 24, SIZE[1] - 8, findings.footer, FAINT, SMALL, width=SIZE[0] - 48)


def _draw_legend(figure: Figure) -> None:
    right = SIZE[0] - 24.0
    for name in ("rv", "epi", "endo"):
        words = NAMES[name]
        left = right - SMALL.width(words)
        write(figure, left, 586, words, INK, SMALL)
        x = np.array([left - 34, left - 8]) / SIZE[0]
        y = [1 - 581 / SIZE[1]] * 2
        line = Line2D(x, y, color=COLOURS[name], linewidth=2.0, linestyle=DASHES[name])
        line.set_transform(figure.transFigure)
        figure.add_artist(line)
        right = left - 56
