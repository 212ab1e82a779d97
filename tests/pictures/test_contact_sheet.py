"""What both forms of the sheet promise."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from cmr_node.pictures import sheet_png
from cmr_node.pictures.contact_sheet import contact_sheet
from cmr_node.pictures.picture import Panel, Picture
from tests.pictures.some_panels import RAMP, Watched, some_panels

FORMS = pytest.mark.parametrize("suffix", [".png", ".html"])


def drawn(tmp_path: Path, name: str, panels) -> list[bytes]:
    return [path.read_bytes() for path in contact_sheet(panels, tmp_path / name, "a study")]


@pytest.mark.parametrize("name", ["sheet.pdf", "sheet", ".png", "sheet.png.gz"])
def test_another_suffix_is_refused_before_anything_is_read(tmp_path, name):
    watched = Watched(1)
    with pytest.raises(ValueError, match=r"allowed is one in \.png or \.html"):
        contact_sheet(watched, tmp_path / name, "")
    assert watched.asked == 0
    assert list(tmp_path.iterdir()) == []


@FORMS
def test_the_suffix_may_be_in_capitals(tmp_path, suffix):
    path = tmp_path / f"sheet{suffix.upper()}"
    assert contact_sheet(some_panels(1), path, "") == [path]
    assert list(tmp_path.iterdir()) == [path]


@FORMS
def test_the_same_panels_are_the_same_file(tmp_path, suffix):
    one, two = (drawn(tmp_path, f"{name}{suffix}", some_panels(9)) for name in ("one", "two"))
    assert one == two


@FORMS
@pytest.mark.parametrize("count", [0, 5, 30])
@pytest.mark.parametrize("error", [RuntimeError("gone"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing_new_and_what_was_there(tmp_path, suffix, count, error):
    for name in ("", "-2"):
        (tmp_path / f"sheet{name}{suffix}").write_text("of yesterday")
    with pytest.raises(type(error)):
        contact_sheet(Watched(count, error), tmp_path / f"sheet{suffix}", "")
    assert {path.name for path in tmp_path.iterdir()} == {f"sheet{suffix}", f"sheet-2{suffix}"}
    assert {path.read_text() for path in tmp_path.iterdir()} == {"of yesterday"}


@FORMS
def test_a_folder_that_is_not_there_is_an_os_error(tmp_path, suffix):
    with pytest.raises(OSError, match="No such file"):
        contact_sheet(some_panels(1), tmp_path / "absent" / f"sheet{suffix}", "")


@FORMS
def test_no_stack_is_a_sheet_that_says_so(tmp_path, suffix):
    (nothing,) = drawn(tmp_path, f"sheet{suffix}", [])
    assert len(nothing) > 1000


@FORMS
def test_odd_words_and_pixels_are_drawn_without_a_warning(tmp_path, suffix):
    odd = [np.full((3, 4), np.nan), np.zeros((2, 2), np.uint8), np.array([[1.0, np.inf]])]
    words = ["\udce9\x00\x1b[31m\u202e", r"$\frac{ 心 <b>", "W" * 3000, ""]
    panels = [
        Panel(title, title, Picture(pixels, (0.1, 30.0), title, title), after, "ask")
        for title in words
        for pixels in odd
        for after in (None, Picture(RAMP))
    ]
    drawn(tmp_path, f"sheet{suffix}", panels)
    contact_sheet(panels[:2], tmp_path / f"caf\udce9{suffix}", words[0])
    assert (tmp_path / f"caf\udce9{suffix}").stat().st_size > 1000


@pytest.mark.parametrize(("suffix", "few", "many"), [(".html", 40, 400), (".png", 3, 20)])
def test_memory_does_not_grow_with_the_panels(tmp_path, monkeypatch, suffix, few, many):
    monkeypatch.setattr(sheet_png, "PER_PAGE", 1)  # many pages in little time
    pixels = np.random.default_rng(0).random((100, 120))
    path = tmp_path / f"sheet{suffix}"
    contact_sheet(some_panels(1, pixels), path, "")  # what is kept for ever: fonts, imports
    peaks = []
    for count in (few, many):
        tracemalloc.start()
        contact_sheet(some_panels(count, pixels), path, "")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_no_display_is_needed_and_pyplot_is_not_loaded():
    code = (
        "import sys, cmr_node.pictures.contact_sheet; sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
