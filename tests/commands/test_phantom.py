from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from cmr_node.cli import main
from cmr_node.commands.phantom import _turn_of
from cmr_node.phantom.sheet import COLUMNS, Row, contact_sheet

TINY = ["--slices", "3", "--phases", "2", "--matrix", "32"]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_studies_and_contact_sheet_are_the_same_with_any_number_of_workers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*TINY, "--patients", "2", "--seed", "7", "--vendor", "ge", "--fault", "late@t2_sax"]
    assert main(["phantom", str(tmp_path / "one"), *words]) == 0
    assert "2 studies in" in capsys.readouterr().out
    assert main(["phantom", str(tmp_path / "two"), *words, "--workers", "2"]) == 0
    one = files(tmp_path / "one")
    assert one == files(tmp_path / "two")
    assert {name.split("/")[0] for name in one} == {
        "contact-sheet.png",
        "patient-0007-ge",
        "patient-0008-ge",
    }


def test_all_vendors_scan_the_same_patient(tmp_path: Path) -> None:
    assert main(["phantom", str(tmp_path), *TINY, "--vendor", "all", "--field", "3"]) == 0
    folders = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert folders == ["patient-0001-ge", "patient-0001-philips", "patient-0001-siemens"]


def test_a_folder_that_holds_something_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["phantom", str(tmp_path)]) == 2
    assert main(["phantom", str(tmp_path / "mine.txt")]) == 2
    assert "must be new or empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "words",
    [["--fault", "late@flow"], ["--fault", "dropped:3"]],
)
def test_faults_that_cannot_be_write_nothing(tmp_path: Path, words: list[str]) -> None:
    assert main(["phantom", str(tmp_path / "out"), *TINY, *words]) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words", [["--fault", "flipped"], ["--field", "7"], ["--patients", "0"], ["--matrix", "8"]]
)
def test_words_that_mean_nothing_are_refused(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["phantom", str(tmp_path / "out"), *words])
    assert done.value.code == 2


def test_a_contact_sheet_shows_what_there_is(tmp_path: Path) -> None:
    picture = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    rows = [Row("first", {"SAX mid": (picture, 2.0)}), Row("second", {})]
    contact_sheet(rows, tmp_path / "sheet.png")
    sheet = imread(tmp_path / "sheet.png")
    cell = sheet.shape[1] // len(COLUMNS)
    spread = [sheet[80:240, n * cell : (n + 1) * cell, 0].std() for n in range(len(COLUMNS))]
    assert np.argmax(spread) == 1
    with pytest.raises(ValueError, match="at least one patient"):
        contact_sheet([], tmp_path / "none.png")


def test_a_sheet_of_many_patients_goes_on_on_further_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cmr_node.phantom.sheet.ROWS_A_PAGE", 2)
    pages = contact_sheet([Row(str(number), {}) for number in range(5)], tmp_path / "sheet.png")
    assert [page.name for page in pages] == ["sheet.png", "sheet-2.png", "sheet-3.png"]
    heights = [imread(page).shape[0] for page in pages]
    assert heights[0] == heights[1] > heights[2]


def test_the_short_axis_is_turned_as_asked_and_the_truth_says_so(tmp_path: Path) -> None:
    assert main(["phantom", str(tmp_path), *TINY, "--turn", "90"]) == 0
    truth = json.loads(next(tmp_path.glob("*/truth/truth.json")).read_text())
    turned = {one["n"] for one in truth["series"] if one["view"] == "sax"}
    assert turned == {"rot90cw"}
    assert {one["h"]["orientation"] for one in truth["series"] if one["view"] == "sax"} == turned


def test_any_turn_is_each_patients_own_and_the_same_again() -> None:
    angles_deg = [_turn_of(seed) for seed in range(40)]
    assert angles_deg == [_turn_of(seed) for seed in range(40)]
    assert len(set(angles_deg)) == 40
    assert min(angles_deg) < -90 < 90 < max(angles_deg)


@pytest.mark.parametrize("angle", ["nan", "400", "left"])
def test_a_turn_that_is_no_angle_is_refused(tmp_path: Path, angle: str) -> None:
    with pytest.raises(SystemExit) as done:
        main(["phantom", str(tmp_path / "out"), "--turn", angle])
    assert done.value.code == 2
