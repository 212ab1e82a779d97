import subprocess
import sys

import numpy as np
import pytest
from matplotlib import image

from cmr_node.pictures.before_after import before_after_sheet
from cmr_node.pictures.picture import Panel, Picture

RAMP = np.linspace(0, 1000, 24 * 32).reshape(24, 32)


def panel(before: Picture, after: Picture | None = None, caption: str = "act") -> Panel:
    return Panel("cine SAX", caption, before, after, "act" if after else "leave")


def lit(path) -> np.ndarray:
    """(height, width), which pixels of the sheet are white."""
    return image.imread(path)[..., :3].min(axis=-1) > 0.97


def test_a_picture_has_its_shape_in_mm_not_in_pixels(tmp_path):
    pixels = np.full((30, 40), 7.0)
    pixels[:, :2] = 0  # or there is no window
    before_after_sheet([panel(Picture(pixels, (3.0, 1.0)))], tmp_path / "sheet.png")
    white = lit(tmp_path / "sheet.png")
    rows, columns = (np.flatnonzero(white.mean(axis=axis) > 0.1) for axis in (1, 0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert height / width == pytest.approx(90 / 38, rel=0.04)


def test_before_and_after_have_one_scale_and_one_window(tmp_path):
    pixels = np.full((20, 40), 100.0)
    pixels[:, :4] = 0
    half = np.where(pixels > 0, 50.0, 0.0)
    sheet = tmp_path / "sheet.png"
    before_after_sheet([panel(Picture(pixels), Picture(half.T))], sheet)
    picture = image.imread(sheet)[..., :3].mean(axis=-1)
    middle = picture.shape[1] // 2
    white = picture[:, :middle] > 0.95
    grey = np.abs(picture[:, middle:] - 0.5) < 0.05  # half as bright: not stretched to white
    width_before = np.ptp(np.flatnonzero(white.mean(axis=0) > 0.1))
    height_after = np.ptp(np.flatnonzero(grey.mean(axis=1) > 0.1))
    assert height_after == pytest.approx(width_before, rel=0.03)
    assert not (picture[:, middle:] > 0.95).mean() > 0.01


def test_a_letter_changes_the_edge_it_belongs_to_and_its_opposite(tmp_path):
    plain, lettered = tmp_path / "plain.png", tmp_path / "lettered.png"
    before_after_sheet([panel(Picture(RAMP))], plain)
    before_after_sheet([panel(Picture(RAMP, right="L"))], lettered)
    changed = np.any(image.imread(plain) != image.imread(lettered), axis=-1)
    columns = np.flatnonzero(changed.any(axis=0))
    assert np.ptp(columns) > 200  # at the right edge and at the left one
    gaps = np.diff(columns)
    assert (gaps > 100).sum() == 1  # and nowhere between


def test_a_stack_left_alone_shows_one_picture(tmp_path):
    sheet = tmp_path / "sheet.png"
    before_after_sheet([panel(Picture(RAMP))], sheet)
    picture = image.imread(sheet)
    right = picture[:, picture.shape[1] // 2 :, :3].max(axis=-1)
    assert right.max() > 0.4  # the words
    assert (right > 0.3).mean() < 0.02  # and nothing else


@pytest.mark.parametrize(("count", "size"), [(1, (1, 1)), (3, (3, 1)), (4, (2, 2)), (5, (3, 2))])
def test_a_sheet_grows_with_its_panels(tmp_path, count, size):
    sheet = tmp_path / "sheet.png"
    before_after_sheet([panel(Picture(RAMP), Picture(RAMP.T))] * count, sheet, "PHANTOM-1")
    height, width = image.imread(sheet).shape[:2]
    assert height == pytest.approx((size[0] * 4.1 + 0.55) * 110, abs=1)
    assert width == pytest.approx(size[1] * 7.2 * 110, abs=1)


def test_the_same_sheet_is_the_same_file(tmp_path):
    for name in ("one.png", "two.png"):
        before_after_sheet([panel(Picture(RAMP), Picture(RAMP.T))], tmp_path / name, "study")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_description_is_not_taken_for_a_formula(tmp_path):
    odd = Panel(r"$\frac{", r"a $b^{ c _ \n", Picture(RAMP, right="$", bottom="_"), None, "ask")
    before_after_sheet([odd], tmp_path / "sheet.png", "$x")
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_an_even_picture_is_drawn_too(tmp_path):
    before_after_sheet([panel(Picture(np.zeros((8, 9), np.uint16)))], tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").exists()


def test_no_panel_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one panel"):
        before_after_sheet([], tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize("decision", ["act", "ask"])
def test_a_picture_that_could_not_be_had_leaves_its_space(tmp_path, decision):
    for number, (before, after) in enumerate([(None, None), (None, Picture(RAMP))]):
        sheet = tmp_path / f"{number}.png"
        before_after_sheet([Panel("cine", "why", before, after, decision)], sheet)
        assert image.imread(sheet)[:, :, :3].max() > 0.4


def test_no_display_is_needed_and_pyplot_is_not_loaded():
    code = (
        "import sys, cmr_node.pictures.before_after; sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
