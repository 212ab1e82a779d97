"""A page of results: what is on it is right, and it can always be drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmr_node.measures.masks import Structure
from cmr_node.pictures.outlines import COLOURS, OutlinedSlice
from cmr_node.pictures.page import SIZE
from cmr_node.pictures.picture import Picture
from cmr_node.pictures.result_page import Findings, draw_page, rows_of
from cmr_node.pictures.theme import MARK
from cmr_node.pictures.volume_curve import Curve
from cmr_node.pictures.words import Face


def slices(count: int = 3, empty: bool = False) -> list[OutlinedSlice]:
    found = []
    for index in range(count):
        pixels = np.add.outer(np.arange(40), np.arange(50)) + 10.0 * index
        labels = np.zeros((40, 50), np.uint8)
        if not empty:
            labels[10:30, 20:40] = Structure.LV_MYOCARDIUM
            labels[15:25, 25:35] = Structure.LV_BLOOD
            labels[12:28, 8:18] = Structure.RV_BLOOD
        found.append(OutlinedSlice(Picture(pixels, (2.0, 1.5), "LP", "F"), labels))
    return found


def curve(phases: int = 8) -> Curve:
    beat = 100 + 40 * np.cos(np.arange(phases) * 0.8)
    return Curve(np.arange(phases) * 40.0, beat, beat + 9, 0, phases // 2)


FINDINGS = Findings(
    "Short-axis cine", slices(), slices(), curve(), ["LV EF: 60 %", "no gap"], "cmr-node", True
)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def count(page: np.ndarray, colour: str) -> int:
    return int((page == rgb(colour)).all(axis=2).sum())


def test_the_same_findings_give_the_same_pixels() -> None:
    first = draw_page(FINDINGS)
    assert first.shape == (SIZE[1], SIZE[0], 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, draw_page(FINDINGS))


def test_the_warning_is_across_the_foot_when_asked() -> None:
    assert count(draw_page(FINDINGS)[-60:], MARK) > 20_000
    assert count(draw_page(replace(FINDINGS, warn=False))[-60:], MARK) == 0


def test_each_outline_is_drawn_in_its_colour() -> None:
    page = draw_page(FINDINGS)[90:570]
    assert all(count(page, colour) > 50 for colour in COLOURS.values())
    bare = draw_page(replace(FINDINGS, diastole=slices(empty=True), systole=slices(empty=True)))
    assert all(count(bare[90:570], colour) == 0 for colour in COLOURS.values())


@pytest.mark.parametrize("number", [1, 5, 30])
def test_any_number_of_slices_and_lines_fits(number: int) -> None:
    lines = [f"measure {n}: {n} $ml$" for n in range(number)]
    many = replace(FINDINGS, diastole=slices(number), systole=slices(number), lines=lines)
    page = draw_page(many)
    border = np.concatenate([page[:, :8], page[:, -8:]])
    assert len(np.unique(border.reshape(-1, 3), axis=0)) <= 2  # ground, and the warning


def test_phases_that_were_not_measured_and_dull_images_are_drawn() -> None:
    beat = curve()
    missing = replace(beat, left_ml=np.full(8, np.nan), right_ml=np.full(8, np.nan))
    dull = [replace(one, picture=Picture(np.full((40, 50), np.nan))) for one in slices()]
    draw_page(replace(FINDINGS, curve=missing, diastole=dull))
    draw_page(replace(FINDINGS, curve=curve(1)))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="without slices"):
        draw_page(replace(FINDINGS, systole=[]))
    with pytest.raises(ValueError, match="shape"):
        OutlinedSlice(Picture(np.zeros((4, 5))), np.zeros((5, 4), np.uint8))
    with pytest.raises(ValueError, match="one length"):
        replace(curve(), left_ml=np.zeros(3))
    with pytest.raises(ValueError, match="phase 8 of 8"):
        replace(curve(), systole=8)


def test_a_reason_is_broken_into_lines_and_not_cut() -> None:
    reason = (
        "the last slice towards the base still holds 13 % of the end-diastolic volume of the left "
        "ventricle - the stack may end too early"
    )
    rows = rows_of(["LV mass: 101.2 g", reason], Face(16), 560)
    assert rows[0] == "LV mass: 101.2 g"
    assert len(rows) == 3
    assert " ".join(rows[1:]) == reason
