"""Volumes over the beat, on a result page.

The promise kept here: a phase that was not measured leaves a gap, and what is shown as end
diastole and end systole is marked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from cmr_node.pictures.outlines import COLOURS, DASHES
from cmr_node.pictures.page import DOTS_PER_INCH, SMALL, axes_at
from cmr_node.pictures.theme import CARD, FAINT


@dataclass(frozen=True, slots=True)
class Curve:
    """Volumes over the beat.

    times_ms
        (phases,), from the R wave.
    left_ml, right_ml
        (phases,); NaN where a phase was not measured.
    diastole, systole
        Zero-based phases that the page shows.

    Raises
    ------
    ValueError
        The arrays differ in length, or a phase is none of theirs.
    """

    times_ms: npt.NDArray[np.float64]
    left_ml: npt.NDArray[np.float64]
    right_ml: npt.NDArray[np.float64]
    diastole: int
    systole: int

    def __post_init__(self) -> None:
        lengths = {len(self.times_ms), len(self.left_ml), len(self.right_ml)}
        if len(lengths) > 1 or not max(lengths) > 0:
            raise ValueError(f"arrays of {sorted(lengths)} phases; allowed: one length, 1 or more")
        for phase in (self.diastole, self.systole):
            if not 0 <= phase < len(self.times_ms):
                raise ValueError(f"phase {phase} of {len(self.times_ms)}; they count from 0")


def draw_curve(figure: Figure, curve: Curve) -> None:
    """The curve in the lower left of a page."""
    axes = axes_at(figure, 92, 632, 520, 218)
    axes.set_facecolor(CARD)
    for values, colour, dash, marker, name in (
        (curve.left_ml, COLOURS["endo"], DASHES["endo"], "o", "LV"),
        (curve.right_ml, COLOURS["rv"], DASHES["rv"], "s", "RV"),
    ):
        axes.plot(
            curve.times_ms,
            values,
            color=colour,
            linestyle=dash,
            marker=marker,
            linewidth=1.8,
            markersize=4.5,
        )
        last = np.flatnonzero(np.isfinite(values))[-1:]
        for index in last:
            axes.annotate(
                name,
                (curve.times_ms[index], values[index]),
                (8, 0),
                textcoords="offset points",
                color=colour,
                fontproperties=SMALL.properties(DOTS_PER_INCH),
                va="center",
            )
    for phase, name in ((curve.diastole, "ED"), (curve.systole, "ES")):
        axes.axvline(curve.times_ms[phase], color=FAINT, linewidth=1, linestyle=":", zorder=0)
        at = (curve.times_ms[phase], 1.0)
        axes.annotate(
            name,
            at,
            (-9, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            color=FAINT,
            fontproperties=SMALL.properties(DOTS_PER_INCH),
        )
    axes.set_ylim(bottom=0)
    axes.margins(x=0.06)
    axes.grid(axis="y", color="#333a44", linewidth=0.8)
    for edge, spine in axes.spines.items():
        spine.set_visible(edge in ("left", "bottom"))
        spine.set_color(FAINT)
    axes.tick_params(colors=FAINT)
    words = SMALL.properties(DOTS_PER_INCH)
    axes.set_xlabel("ms after the R wave", color=FAINT, fontproperties=words)
    axes.set_ylabel("blood volume, ml", color=FAINT, fontproperties=words)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(words)
