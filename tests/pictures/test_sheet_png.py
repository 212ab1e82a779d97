from dataclasses import replace

import numpy as np
import pytest
from matplotlib import image

from cmr_node.pictures.card_png import CARD_SIZE, PICTURE_SIDE, draw_card
from cmr_node.pictures.picture import Panel, Picture
from cmr_node.pictures.sheet_png import EDGE, HEAD, PER_PAGE, write_pages
from cmr_node.pictures.theme import BADGES
from tests.pictures.some_panels import KINDS, RAMP, Watched, some_panels

HEIGHT, WIDTH = CARD_SIZE


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (23, 1), (24, 1), (25, 2), (49, 3)])
def test_a_page_has_24_panels_at_most(tmp_path, count, pages):
    written = write_pages(some_panels(count), tmp_path / "sheet.png", "a study")
    names = ["sheet.png", "sheet-2.png", "sheet-3.png"][:pages]
    assert [path.name for path in written] == names
    assert {path.name for path in tmp_path.iterdir()} == set(names)


@pytest.mark.parametrize(
    ("count", "down", "across"), [(1, 1, 1), (2, 1, 2), (4, 2, 2), (5, 2, 3), (24, 6, 4)]
)
def test_a_page_grows_with_its_panels(tmp_path, count, down, across):
    write_pages(some_panels(count), tmp_path / "sheet.png", "a study")
    height, width = image.imread(tmp_path / "sheet.png").shape[:2]
    assert (height, width) == (HEAD + down * HEIGHT + EDGE, across * WIDTH + 2 * EDGE)


def test_a_page_is_drawn_before_the_next_is_read(tmp_path):
    seen = []

    def panels():
        for number, panel in enumerate(some_panels(2 * PER_PAGE)):
            if number == PER_PAGE:
                (folder,) = tmp_path.iterdir()
                seen.extend(path.name for path in folder.iterdir())
            yield panel

    write_pages(panels(), tmp_path / "sheet.png", "")
    assert seen == ["sheet.png"]


def test_every_panel_is_read_once(tmp_path):
    watched = Watched(30)
    write_pages(watched, tmp_path / "sheet.png", "")
    assert watched.asked == 30


@pytest.mark.parametrize("decision", KINDS)
def test_a_decision_is_told_by_word_and_colour(decision):
    card = draw_card(Panel("cine", "why", Picture(RAMP), None, decision), 7)
    assert f"{BADGES[decision].sign} {decision}" in [words.text for words in card.words]
    colour = tuple(bytes.fromhex(BADGES[decision].colour[1:]))
    assert (card.canvas == colour).all(axis=-1).sum() > 1500
    assert "7" in [words.text for words in card.words]


def white(panel: Panel) -> np.ndarray:
    """(height, width), where a card is white."""
    return draw_card(panel, 1).canvas.min(axis=-1) > 250


def box(mask: np.ndarray) -> tuple[int, int]:
    """(height, width) of the smallest rectangle round ``mask``."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def bright(rows: int, columns: int) -> np.ndarray:
    pixels = np.full((rows, columns), 100.0)
    pixels[rows // 2 :, columns // 2 :][: rows // 5, : columns // 5] = 0  # or there is no window
    return pixels


def test_a_picture_has_its_shape_in_mm_and_both_have_one_scale():
    panel = Panel("", "", Picture(bright(30, 40), (3.0, 1.0)), Picture(bright(20, 30)), "act")
    both = white(panel)
    middle = WIDTH // 2
    assert box(both[:, :middle]) == pytest.approx((PICTURE_SIDE, PICTURE_SIDE * 40 / 90), abs=1)
    scale = PICTURE_SIDE / 90
    assert box(both[:, middle:]) == pytest.approx((20 * scale, 30 * scale), abs=1)


def test_both_pictures_have_the_window_of_the_first():
    pixels = bright(20, 20)
    halves = draw_card(Panel("", "", Picture(pixels), Picture(pixels / 2), "act"), 1).canvas
    grey = (halves == halves[..., :1]).all(axis=-1)
    right = halves[:, WIDTH // 2 + 30 :, 0][grey[:, WIDTH // 2 + 30 :]]
    values, counts = np.unique(right, return_counts=True)
    assert int(values[counts.argmax()]) == pytest.approx(127, abs=2)


def test_a_stack_left_is_one_picture_in_the_middle():
    columns = np.flatnonzero(white(Panel("", "", Picture(bright(20, 20)), None, "ask")).any(axis=0))
    assert columns.mean() == pytest.approx(WIDTH / 2, abs=4)
    words = [w.text for w in draw_card(Panel("", "", Picture(RAMP), None, "ask"), 1).words]
    assert "stored, left as it is" in words
    assert "→" not in words


def test_where_there_is_no_picture_the_card_says_so():
    for panel in some_panels(8):
        words = [w.text for w in draw_card(replace(panel, before=None), 1).words]
        assert "no picture" in words


def test_letters_stand_at_the_edges():
    card = draw_card(Panel("", "", Picture(RAMP, (1.0, 1.0), "LP", "F"), None, "leave"), 1)
    at = {words.text: words for words in card.words}
    assert at["RA"].x < WIDTH / 2 < at["LP"].x
    assert at["H"].y < at["RA"].y == at["LP"].y < at["F"].y


@pytest.mark.parametrize("text", ["word " * 400, "W" * 2000, "a/path/of/some/length/" * 50])
def test_no_word_leaves_its_card(text):
    for panel in some_panels(4):
        card = draw_card(replace(panel, title=text, caption=text), 12345)
        for words in card.words:
            width = words.face.width(words.text)
            left = words.x - {"left": 0.0, "center": width / 2, "right": width}[words.across]
            assert left >= 10
            assert left + width <= WIDTH - 10
            assert 10 < words.y < HEIGHT - 10


def test_a_reason_of_250_characters_is_shown_whole():
    reason = ("The header shows the sax view stored rot90cw (2.3 deg off). " * 5)[:250].strip()
    card = draw_card(Panel("cine", reason, Picture(RAMP), None, "ask"), 1)
    assert reason in " ".join(words.text for words in card.words)
