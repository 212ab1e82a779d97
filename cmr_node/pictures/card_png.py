"""One card of a PNG sheet: the pixels and the words of one stack.

The promise kept here: nothing leaves its card.  Words are wrapped, and cut where the card ends;
pictures keep their shape in mm and one scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from cmr_node.pictures.picture import Decision, Panel, Picture, grey, reach_mm
from cmr_node.pictures.scaling import scaled
from cmr_node.pictures.theme import BADGES, CARD, FAINT, GROUND, INK, MARK
from cmr_node.pictures.words import Face

Across = Literal["left", "center", "right"]
Canvas = npt.NDArray[np.uint8]  #: (height, width, 3), RGB

CARD_SIZE = (364, 520)  #: (height, width), px, with the gap to its neighbours
GAP, PAD, STRIPE = 6, 14, 4  # px
FIRST_LINE, PICTURES_TOP, PICTURE_SIDE, BADGE_PAD = 32, 69, 216, 7  # px
TITLE, CAPTION, BADGE = Face(13, bold=True), Face(11.5), Face(13, bold=True)
LETTERS, NAME, ARROW = Face(11, bold=True), Face(11), Face(22, bold=True)
TITLE_LINES, TITLE_STEP, CAPTION_LINES, CAPTION_STEP = 2, 16, 4, 15


@dataclass(frozen=True, slots=True)
class Words:
    """A line of words; ``x`` and ``y``, px from the left and the top, are on its baseline."""

    x: float
    y: float
    text: str
    colour: str
    face: Face
    across: Across = "left"
    outlined: bool = False

    def moved(self, x: float, y: float) -> Words:
        """The same, further to the right and down."""
        return replace(self, x=self.x + x, y=self.y + y)


@dataclass(frozen=True, slots=True)
class Card:
    """A panel as drawn, apart from its words."""

    decision: Decision
    canvas: Canvas
    words: list[Words]


def blank(height: int, width: int, colour: str) -> Canvas:
    """A canvas of one colour."""
    return np.full((height, width, 3), _rgb(colour), np.uint8)


def draw_card(panel: Panel, number: int) -> Card:
    """The card of the stack that is shown as the ``number``-th."""
    height, width = CARD_SIZE
    canvas = blank(height, width, GROUND)
    left, right = GAP + STRIPE + PAD, width - GAP - PAD
    badge = BADGES[panel.decision]
    mark, count = f"{badge.sign} {panel.decision}", f"{number}"
    title = left + round(BADGE.width(mark)) + 2 * BADGE_PAD + 10
    canvas[GAP : height - GAP, GAP : width - GAP] = _rgb(CARD)
    canvas[GAP : height - GAP, GAP : GAP + STRIPE] = _rgb(badge.colour)
    canvas[FIRST_LINE - 15 : FIRST_LINE + 6, left : title - 10] = _rgb(badge.colour)
    words = [
        Words(left + BADGE_PAD, FIRST_LINE, mark, GROUND, BADGE),
        Words(right, FIRST_LINE, count, FAINT, CAPTION, "right"),
        *_lines(
            TITLE.wrap_name(panel.title, right - CAPTION.width(count) - 10 - title, TITLE_LINES),
            Words(title, FIRST_LINE, "", INK, TITLE),
            TITLE_STEP,
        ),
        *_lines(
            CAPTION.wrap(panel.caption, right - left, CAPTION_LINES),
            Words(left, PICTURES_TOP + PICTURE_SIDE + 18, "", FAINT, CAPTION),
            CAPTION_STEP,
        ),
    ]
    return Card(panel.decision, canvas, words + _draw_halves(canvas, panel, left, right))


def _lines(lines: list[str], first: Words, step: float) -> list[Words]:
    return [replace(first.moved(0, n * step), text=line) for n, line in enumerate(lines)]


def _draw_halves(canvas: Canvas, panel: Panel, left: int, right: int) -> list[Words]:
    middle, line = (left + right) // 2, PICTURES_TOP + PICTURE_SIDE // 2
    scale = PICTURE_SIDE / reach_mm(panel.shown) if panel.shown else 1.0
    if len(panel.halves) == 1:
        ((name, picture),) = panel.halves
        name = f"{name}, left as it is"
        return _draw_half(canvas, (middle, line), picture, panel.window, scale, name)
    words = [Words(middle, line + 8, "→", MARK, ARROW, "center")]
    away = (right - left - PICTURE_SIDE) // 2
    for x, (name, picture) in zip((middle - away, middle + away), panel.halves, strict=True):
        words += _draw_half(canvas, (x, line), picture, panel.window, scale, name)
    return words


def _draw_half(
    canvas: Canvas,
    centre: tuple[int, int],
    picture: Picture | None,
    window: tuple[float, float],
    scale: float,
    name: str,
) -> list[Words]:
    """Draw a picture round ``centre``, px; give its words.  ``scale`` is px a mm."""
    x, y = centre
    if picture is None:
        return [
            Words(x, y - 4, "no picture", FAINT, TITLE, "center"),
            Words(x, y + 14, name, FAINT, NAME, "center"),
        ]
    height, width = (max(1, round(side * scale)) for side in picture.size_mm)
    drawn = scaled(grey(picture.pixels, window), height, width)
    top, left = y - height // 2, x - width // 2
    canvas[top : top + height, left : left + width] = np.rint(255 * drawn)[..., None]
    return [
        Words(x, top - 5, name, FAINT, NAME, "center"),
        *_letters(picture.right, left + width - 5, y + 4, "right"),
        *_letters(picture.left, left + 5, y + 4, "left"),
        *_letters(picture.bottom, x, top + height - 6, "center"),
        *_letters(picture.top, x, top + 14, "center"),
    ]


def _letters(letters: str, x: float, y: float, across: Across) -> list[Words]:
    lines = LETTERS.wrap(letters, PICTURE_SIDE / 2, 1)
    return [Words(x, y, line, MARK, LETTERS, across, outlined=True) for line in lines]


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))
