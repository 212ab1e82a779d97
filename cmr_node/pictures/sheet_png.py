"""The contact sheet as PNG pages.

The promise kept here: a page holds one card for each stack, all of one size, both pictures of a
card at one scale in mm and in one grey window.  Only what is drawn is kept of a panel.  Neither a
display nor ``pyplot`` is needed, and the same panels give the same bytes.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from math import ceil, sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from cmr_node.pictures.card_png import CARD_SIZE, Canvas, Card, Words, blank, draw_card
from cmr_node.pictures.picture import Panel
from cmr_node.pictures.theme import BADGES, FAINT, GROUND, INK
from cmr_node.pictures.words import Face

PER_PAGE = 24
MOST_ACROSS = 4
EDGE, HEAD = 6, 72  # px; round the cards, and above them for the heading
DOTS_PER_INCH = 100.0
HEADING, COUNTS = Face(21, bold=True), Face(14)


def write_pages(panels: Iterable[Panel], path: Path, heading: str) -> list[Path]:
    """Draw at most ``PER_PAGE`` panels a page; see ``contact_sheet``.

    The pages get their names together, at the end.
    """
    stream = iter(panels)
    pages: list[Path] = []
    first = 1
    with TemporaryDirectory(prefix=".cmr-node-sheet-", dir=path.parent) as folder:
        while (cards := _cards(stream, first)) or not pages:
            number = len(pages) + 1
            name = path.name if number == 1 else f"{path.stem}-{number}{path.suffix}"
            pages.append(path.with_name(name))
            _write_page(cards, Path(folder, name), heading, _counts(cards, number, first))
            first += len(cards)
            if len(cards) < PER_PAGE:
                break
        for page in pages:
            Path(folder, page.name).replace(page)
    return pages


def _cards(stream: Iterator[Panel], first: int) -> list[Card]:
    return [draw_card(one, first + n) for n, one in enumerate(islice(stream, PER_PAGE))]


def _counts(cards: list[Card], page: int, first: int) -> str:
    if not cards:
        return "no stack"
    counts = Counter(card.decision for card in cards)
    parts = [f"{counts[decision]} {decision}" for decision in BADGES if counts[decision]]
    if page > 1 or len(cards) == PER_PAGE:
        parts.insert(0, f"page {page}, stacks {first} to {first + len(cards) - 1}")
    return "   ·   ".join(parts)


def _write_page(cards: list[Card], file: Path, heading: str, counts: str) -> None:
    across = min(MOST_ACROSS, ceil(sqrt(len(cards)))) or 1
    down = ceil(len(cards) / across)
    height, width = CARD_SIZE
    page = blank(HEAD + down * height + EDGE, across * width + 2 * EDGE, GROUND)
    room = page.shape[1] - 4 * EDGE
    words = [
        Words(2 * EDGE + 2, 34, line, INK, HEADING) for line in HEADING.wrap(heading, room, 1)
    ] + [Words(2 * EDGE + 2, 58, line, FAINT, COUNTS) for line in COUNTS.wrap(counts, room, 1)]
    for index, card in enumerate(cards):
        row, column = divmod(index, across)
        top, left = HEAD + row * height, EDGE + column * width
        page[top : top + height, left : left + width] = card.canvas
        words += [one.moved(left, top) for one in card.words]
    _save(page, words, file)


class _Ground(Artist):
    """The pixels of a page as they are; ``figimage`` would interpolate them, for a second."""

    def __init__(self, page: Canvas) -> None:
        super().__init__()
        opaque = np.full_like(page[..., :1], 255)
        self._pixels = np.concatenate([page, opaque], axis=2)[::-1]  # matplotlib counts from below

    def draw(self, renderer: RendererBase) -> None:
        renderer.draw_image(renderer.new_gc(), 0, 0, self._pixels)


def _save(page: Canvas, words: list[Words], file: Path) -> None:
    height, width = page.shape[:2]
    figure = Figure((width / DOTS_PER_INCH, height / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    figure.add_artist(_Ground(page))
    for one in words:
        figure.text(
            one.x / width,
            1 - one.y / height,
            one.text,
            color=one.colour,
            fontproperties=one.face.properties(DOTS_PER_INCH),
            ha=one.across,
            va="baseline",
            parse_math=False,  # a dollar sign in a description is a dollar sign
            path_effects=[withStroke(linewidth=2, foreground=GROUND)] if one.outlined else None,
        )
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    del figure
    gc.collect()  # a figure is a knot of cycles, with 60 MB in it that the collector cannot see
