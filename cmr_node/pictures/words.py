"""Words on pictures: made harmless, measured, wrapped.

The promise kept here: whatever a file name or a header holds, it is shown, within its space, and
does nothing.  Fonts are those that come with matplotlib, so a sheet looks alike everywhere.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from unicodedata import category

import matplotlib
from matplotlib.font_manager import FontProperties, get_font

BREAK_AFTER = "/\\_-"  #: before a letter; a sign belongs to its number
ELLIPSIS = "…"
LONGEST = 1000  # characters; more is never shown, and never measured
UNKNOWN = "□"  #: stands for what the font cannot draw
REGULAR, BOLD = (
    str(Path(matplotlib.get_data_path(), "fonts", "ttf", name))
    for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
)


def plain(text: str) -> str:
    """``text`` on one line, with a backslash escape for each character that is not to be seen.

    These are controls, the marks that turn the direction of writing (with them ``gnp.exe`` reads
    ``exe.png``), and the lone surrogates that stand for bytes of a file name that are no UTF-8.
    """
    return "".join(
        char if category(char)[0] != "C" else ascii(char)[1:-1] for char in " ".join(text.split())
    )


class Face:
    """One font in one size.

    Parameters
    ----------
    pixels
        Height of the letters, px.
    bold
        Whether in bold.
    """

    def __init__(self, pixels: float, *, bold: bool = False) -> None:
        self.pixels = pixels
        self._path = BOLD if bold else REGULAR

    def properties(self, dots_per_inch: float) -> FontProperties:
        """For matplotlib."""
        return FontProperties(fname=self._path, size=self.pixels * 72 / dots_per_inch)

    def drawable(self, text: str) -> str:
        """``plain`` text in which the font has every character."""
        known = _characters(self._path)
        return "".join(char if ord(char) in known else UNKNOWN for char in plain(text[:LONGEST]))

    def width(self, text: str) -> float:
        """px, without kerning, which only makes it narrower."""
        return sum(_advance(self._path, char) for char in text) * self.pixels

    def wrap(self, text: str, width: float, most: int) -> list[str]:
        """``text`` in at most ``most`` lines of ``width`` px; what does not fit ends in "…"."""
        lines = self._lines(self.drawable(text), width)
        if len(lines) <= most:
            return lines
        last = lines[most - 1].rstrip()
        while last and self.width(last + ELLIPSIS) > width:
            last = last[:-1]
        return [*lines[: most - 1], last + ELLIPSIS]

    def wrap_name(self, text: str, width: float, most: int) -> list[str]:
        """As ``wrap``, but left out is the middle: a path differs from others at its end."""
        whole = self.drawable(text)
        lines = self._lines(whole, width)
        if len(lines) <= most:
            return lines
        fits, too_many = 1, len(whole)  # characters kept
        while too_many - fits > 1:
            kept = (fits + too_many) // 2
            if len(self._lines(_without_middle(whole, kept), width)) <= most:
                fits = kept
            else:
                too_many = kept
        return self._lines(_without_middle(whole, fits), width)

    def _lines(self, text: str, width: float) -> list[str]:
        lines, line = [], ""
        for piece in _pieces(text):
            if self.width((line + piece).rstrip()) <= width:
                line += piece
                continue
            if line:
                lines.append(line.rstrip())
            line = piece
            while (fits := self._fitting(line.rstrip(), width)) < len(line.rstrip()):
                lines.append(line[:fits])
                line = line[fits:].lstrip()
        return [*lines, line.rstrip()] if line else lines

    def _fitting(self, text: str, width: float) -> int:
        """How many characters of ``text`` fit, one at least."""
        used = 0.0
        for count, char in enumerate(text):
            used += self.width(char)
            if used > width and count:
                return count
        return len(text)


def _without_middle(text: str, kept: int) -> str:
    end = 2 * kept // 3
    return text[: kept - end] + ELLIPSIS + text[len(text) - end :]


def _pieces(text: str) -> list[str]:
    """``text`` cut where a line may end."""
    pieces, start = [], 0
    for place, char in enumerate(text):
        if char == " " or (char in BREAK_AFTER and text[place + 1 : place + 2].isalpha()):
            pieces.append(text[start : place + 1])
            start = place + 1
    return [*pieces, text[start:]] if text[start:] else pieces


@lru_cache
def _characters(path: str) -> frozenset[int]:
    return frozenset(get_font(path).get_charmap())


@lru_cache(maxsize=4096)
def _advance(path: str, char: str) -> float:
    """In units of the letter height; ``linearHoriAdvance`` is 16.16 px, not hinted."""
    font = get_font(path)
    font.set_size(100, 72)
    return float(font.load_char(ord(char)).linearHoriAdvance) / 65536 / 100
