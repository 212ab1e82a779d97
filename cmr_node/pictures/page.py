"""The paper of a result page: its size, and words, panels and axes placed on it in px.

The promise kept here: what is placed lies where it is put, counted from the upper left corner,
and words stay within the width they are given.
"""

from __future__ import annotations

from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from cmr_node.pictures.theme import CARD, GROUND
from cmr_node.pictures.words import Face

SIZE = (1280, 960)  #: (width, height), px: fits the viewers' smallest window
DOTS_PER_INCH = 100.0
SMALL = Face(13)


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes in px from the upper left corner."""
    across, along = SIZE
    return figure.add_axes(
        (left / across, 1 - (top + height) / along, width / across, height / along)
    )


def panel(
    figure: Figure, left: float, top: float, width: float, height: float, colour: str = CARD
) -> None:
    """A rectangle of one colour, behind what is drawn on it."""
    across, along = SIZE
    box = Rectangle(
        (left / across, 1 - (top + height) / along),
        width / across,
        height / along,
        transform=figure.transFigure,
        facecolor=colour,
        edgecolor="none",
        zorder=-1,
    )
    figure.add_artist(box)


def label(
    axes: Axes,
    x: float,
    y: float,
    words: str,
    colour: str,
    across: Literal["left", "center", "right"],
    along: Literal["top", "center", "bottom"],
) -> None:
    """A word on a picture, legible on white; ``x`` and ``y`` are shares of the axes."""
    axes.text(
        x,
        y,
        SMALL.drawable(words),
        transform=axes.transAxes,
        color=colour,
        fontproperties=SMALL.properties(DOTS_PER_INCH),
        ha=across,
        va=along,
        parse_math=False,
        path_effects=[withStroke(linewidth=2.5, foreground=GROUND)],
    )


def write(
    figure: Figure,
    x: float,
    y: float,
    words: str,
    colour: str,
    face: Face,
    across: Literal["left", "right"] = "left",
    width: float = 1e4,
) -> None:
    """One line; ``x`` and ``y``, px from the upper left corner, are on its baseline."""
    line = "".join(face.wrap(words, width, 1))
    figure.text(
        x / SIZE[0],
        1 - y / SIZE[1],
        line,
        color=colour,
        fontproperties=face.properties(DOTS_PER_INCH),
        ha=across,
        va="baseline",
        parse_math=False,  # a dollar sign in a description is a dollar sign
    )
