"""The contact sheet as one HTML page that needs nothing but a browser.

The promise kept here: the page loads nothing, sends nothing and runs nothing.  Pictures are in
it, the filter is done by style alone, its Content-Security-Policy forbids scripts and every
address, and all words are escaped.  It is written panel by panel; the counts, known at the end,
go into spaces that were left for them.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO

from cmr_node.durable import whole_file
from cmr_node.pictures.grey_png import grey_png
from cmr_node.pictures.picture import Panel, Picture, grey, reach_mm
from cmr_node.pictures.scaling import at_most
from cmr_node.pictures.theme import BADGES
from cmr_node.pictures.words import plain

LONGEST_SIDE = 320  # px; a half is about 200 wide, and a thousand stacks take some 60 MB
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"
COUNT_WIDTH = 12  # characters; spaces before a number are not seen in HTML
FILTERS = ("all", *BADGES)


def write_html(panels: Iterable[Panel], path: Path, heading: str) -> list[Path]:
    """Write the page; see ``contact_sheet``."""
    counts: Counter[str] = Counter()
    with whole_file(path) as file:
        spaces = _begin(file, heading)
        for number, panel in enumerate(panels, start=1):
            counts.update(("all", panel.decision))
            file.write("".join(_card(panel, number)).encode())
        file.write(b"</main>\n</body>\n</html>\n")
        for name, place in spaces.items():
            file.seek(place)
            file.write(f"{counts[name]:>{COUNT_WIDTH}}".encode())
    return [path]


def _begin(file: BinaryIO, heading: str) -> dict[str, int]:
    """Write all before the first card; where the counts go, in bytes."""
    style = files("cmr_node.pictures").joinpath("sheet.css").read_text("utf-8")
    title = _safe(heading)
    file.write(
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n".encode()
    )
    for name in FILTERS:
        checked = " checked" if name == "all" else ""
        file.write(
            f'<input type="radio" name="show" id="show-{name}" autocomplete="off"'
            f' aria-label="show {name}"{checked}>\n'.encode()
        )
    file.write(f'<header class="head">\n<h1>{title}</h1>\n<div class="filter">\n'.encode())
    spaces = {}
    for name in FILTERS:
        sign = f"{BADGES[name].sign} {name}" if name in BADGES else name
        file.write(f'<label for="show-{name}" class="{name}">{sign} <b>'.encode())
        spaces[name] = file.tell()
        file.write(b" " * COUNT_WIDTH + b"</b></label>\n")
    file.write(b"</div>\n</header>\n<main>")
    return spaces


def _card(panel: Panel, number: int) -> Iterator[str]:
    title, decision = _safe(panel.title), panel.decision
    alone = len(panel.halves) == 1
    yield (
        f'<article class="card {decision}" id="stack-{number}">\n<div class="title">'
        f'<span class="badge">{BADGES[decision].sign} {decision}</span><h2>{title}</h2>'
        f'<a href="#stack-{number}">{number}</a></div>\n'
        f'<div class="halves{" alone" if alone else ""}">\n'
    )
    reach = reach_mm(panel.shown) if panel.shown else 1.0
    for index, (name, picture) in enumerate(panel.halves):
        if index:
            yield '<div class="arrow">→</div>\n'
        shown = '<div class="space">no picture</div>'
        if picture is not None:
            shown = "".join(_picture(picture, panel.window, reach, f"{title}, {name}"))
        label = f"{name}, left as it is" if alone else name
        yield f"<figure><figcaption>{label}</figcaption>{shown}</figure>\n"
    yield f"</div>\n<p>{_safe(panel.caption)}</p>\n</article>\n"


def _picture(
    picture: Picture, window: tuple[float, float], reach: float, words: str
) -> Iterator[str]:
    height, width = picture.size_mm
    image = b64encode(grey_png(at_most(grey(picture.pixels, window), LONGEST_SIDE))).decode()
    edges = {"t": picture.top, "b": picture.bottom, "l": picture.left, "r": picture.right}
    told = f"; right edge {picture.right}, bottom edge {picture.bottom}" if picture.right else ""
    yield (
        f'<div class="space"><div class="picture" style="width:{100 * width / reach:.4g}%;'
        f'aspect-ratio:{width:.6g}/{height:.6g}">'
        f'<img src="data:image/png;base64,{image}" alt="{words}{_safe(told)}">'
    )
    yield from (f'<span class="{edge}">{_safe(at)}</span>' for edge, at in edges.items() if at)
    yield "</div></div>"


def _safe(text: str) -> str:
    return escape(plain(text), quote=True)
