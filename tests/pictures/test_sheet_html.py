import re
import shutil
import subprocess
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from matplotlib import image

from cmr_node.pictures.picture import Panel, Picture
from cmr_node.pictures.sheet_html import LONGEST_SIDE, write_html
from cmr_node.pictures.theme import BADGES
from cmr_node.pictures.words import plain
from tests.pictures.some_panels import KINDS, RAMP, Watched, some_panels

ALLOWED = {
    "html": {"lang"},
    "head": set(),
    "meta": {"charset", "http-equiv", "content", "name"},
    "title": set(),
    "style": set(),
    "body": set(),
    "input": {"type", "name", "id", "autocomplete", "aria-label", "checked"},
    "header": {"class"},
    "h1": set(),
    "h2": set(),
    "label": {"for", "class"},
    "b": set(),
    "main": set(),
    "article": {"class", "id"},
    "div": {"class", "style"},
    "span": {"class"},
    "a": {"href"},
    "figure": set(),
    "figcaption": set(),
    "img": {"src", "alt"},
    "p": set(),
}
VOID = {"meta", "input", "img"}
NASTY = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</title></style></main><!-- ",
    "' onmouseover='alert(1)",
    "&lt;b&gt; &amp; \x00\x1b\x85\u2028",
    "caf\udce9\u202egnp.exe",
    "]]> {{ }} ${x} %s {0}",
]


class Page(HTMLParser):
    """Every tag is one of ours and closed in order; what a reader sees, by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: dict[str, list[str]] = {}
        self._open: list[tuple[str, int]] = []  # tag, which of its kind
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        assert {name for name, _ in attrs} <= ALLOWED[tag]
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            words = self.words.setdefault(tag, [])
            self._open.append((tag, len(words)))
            words.append("")

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        if self._open:
            tag, index = self._open[-1]
            self.words[tag][index] += data

    def handle_comment(self, data):
        raise AssertionError(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(tmp_path, panels, heading="a study") -> Page:
    (path,) = write_html(panels, tmp_path / "sheet.html", heading)
    return Page(path.read_bytes().decode())


def pixels_of(source: str) -> np.ndarray:
    kind, data = source.split(",")
    assert kind == "data:image/png;base64"
    return image.imread(BytesIO(b64decode(data)))


def test_every_stack_is_a_card_with_its_decision_in_words(tmp_path):
    shown = page(tmp_path, some_panels(8))
    cards = shown.all("article")
    assert [card["class"] for card in cards] == [f"card {kind}" for kind in KINDS * 2]
    assert len({card["id"] for card in cards}) == 8
    badges = [words for words in shown.words["span"] if words.split()[-1] in KINDS]
    assert badges == [f"{BADGES[kind].sign} {kind}" for kind in KINDS * 2]


def test_the_counts_are_those_of_the_cards(tmp_path):
    panels = list(some_panels(30))
    shown = page(tmp_path, panels)
    counts = [sum(p.decision == kind for p in panels) for kind in BADGES]
    assert [int(words) for words in shown.words["b"]] == [30, *counts]
    assert [int(words) for words in page(tmp_path, []).words["b"]] == [0] * 5


def test_every_decision_has_a_filter_that_needs_no_script(tmp_path):
    shown = page(tmp_path, some_panels(1))
    buttons = {tag["id"] for tag in shown.all("input")}
    assert buttons == {tag["for"] for tag in shown.all("label")}
    assert buttons == {"show-all", *(f"show-{kind}" for kind in KINDS)}
    assert ["checked" in tag for tag in shown.all("input")] == [True] + [False] * 4
    (style,) = shown.words["style"]
    for kind in KINDS:
        assert f"#show-{kind}:checked ~ main > :not(.{kind})" in style


@pytest.mark.parametrize("decision", KINDS)
def test_the_style_and_the_other_sheets_have_the_same_colours(tmp_path, decision):
    (style,) = page(tmp_path, []).words["style"]
    assert f"--{decision}: {BADGES[decision].colour};" in style


@pytest.mark.parametrize("nasty", NASTY)
def test_words_from_a_file_stay_words(tmp_path, nasty):
    panels = [
        Panel(nasty, nasty, Picture(RAMP, (1.0, 1.0), nasty, nasty), after, "act")
        for after in (None, Picture(RAMP, (1.0, 1.0), nasty, nasty))
    ]
    shown = page(tmp_path, panels, heading=nasty)
    assert shown.words["h1"] == shown.words["title"] == [plain(nasty)]
    assert shown.words["h2"] == shown.words["p"] == [plain(nasty)] * 2
    assert all(image["alt"].startswith(plain(nasty)) for image in shown.all("img"))


def test_the_page_loads_sends_and_runs_nothing(tmp_path):
    shown = page(tmp_path, some_panels(8))
    (policy,) = [m["content"] for m in shown.all("meta") if m.get("http-equiv")]
    rules = dict(rule.split(maxsplit=1) for rule in policy.split("; "))
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "base-uri": "'none'",
    }
    text = (tmp_path / "sheet.html").read_text()
    assert not re.search(r"https?:|<script|<link|@import|url\(", text)
    assert all(link["href"].startswith("#") for link in shown.all("a"))


def test_a_picture_has_its_shape_in_mm_and_both_have_one_scale(tmp_path):
    before, after = Picture(RAMP, (3.0, 1.0)), Picture(RAMP, (1.0, 1.125))
    shown = page(tmp_path, [Panel("", "", before, after, "act")])
    styles = [tag["style"] for tag in shown.all("div") if "style" in tag]
    assert styles == ["width:44.44%;aspect-ratio:32/72", "width:50%;aspect-ratio:36/24"]


def test_both_pictures_have_the_window_of_the_first(tmp_path):
    shown = page(tmp_path, [Panel("", "", Picture(RAMP), Picture(RAMP / 2), "act")])
    before, after = (pixels_of(tag["src"]) for tag in shown.all("img"))
    assert before.max() == 1
    assert after.max() == pytest.approx(0.5, abs=0.02)


def test_large_pictures_are_made_smaller(tmp_path):
    large = np.tile(RAMP, (40, 20))
    (tag,) = page(tmp_path, [Panel("", "", Picture(large), None, "ask")]).all("img")
    assert pixels_of(tag["src"]).shape[:2] == (LONGEST_SIDE, LONGEST_SIDE * 2 // 3)


def test_letters_stand_at_the_edges_and_are_told_to_those_who_do_not_see(tmp_path):
    shown = page(tmp_path, [Panel("cine", "", Picture(RAMP, (1, 1), "LP", "F"), None, "leave")])
    edges = [tag["class"] for tag in shown.all("span")]
    words = dict(zip(edges, shown.words["span"], strict=True))
    assert (words["l"], words["r"], words["t"], words["b"]) == ("RA", "LP", "H", "F")
    assert shown.all("img")[0]["alt"] == "cine, stored; right edge LP, bottom edge F"


def test_one_picture_for_a_stack_left_and_words_where_there_is_none(tmp_path):
    shown = page(tmp_path, [Panel("", "", Picture(RAMP), None, "ask")])
    assert shown.words["figcaption"] == ["stored, left as it is"]
    shown = page(tmp_path, [Panel("", "", Picture(RAMP), None, "act")])
    assert shown.words["figcaption"] == ["stored", "standard"]
    assert "no picture" in shown.words["div"]
    shown = page(tmp_path, [Panel("", "", None, None, "refused")])
    assert "no picture" in shown.words["div"]
    assert shown.all("img") == []


def test_a_card_is_written_before_the_next_is_read(tmp_path):
    sizes = []

    def panels():
        for panel in some_panels(40, np.random.default_rng(0).random((200, 200))):
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
            yield panel

    write_html(panels(), tmp_path / "sheet.html", "")
    assert all(later > sooner for sooner, later in zip(sizes[1::4], sizes[2::4], strict=False))
    watched = Watched(5)
    write_html(watched, tmp_path / "sheet.html", "")
    assert watched.asked == 5


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
@pytest.mark.system
@pytest.mark.parametrize("width", [400, 1400])
def test_a_browser_shows_it(tmp_path, width):
    (path,) = write_html(some_panels(12), tmp_path / "sheet.html", "a study")
    shot = tmp_path / "shot.png"
    subprocess.run(
        [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},1000",
            f"--screenshot={shot}",
            path.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    seen = image.imread(shot)[..., :3]
    assert (seen.min(axis=-1) > 0.97).any()  # the ramp reaches white
    for decision in ("act", "leave", "ask"):
        colour = np.array(list(bytes.fromhex(BADGES[decision].colour[1:]))) / 255
        assert (np.abs(seen - colour).max(axis=-1) < 0.01).sum() > 100
