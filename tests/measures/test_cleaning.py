"""Cleaning: what is dropped, what is filled, and that all of it is named."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cmr_node.measures.cleaning import Change, clean
from cmr_node.measures.masks import Structure
from tests.measures.hearts import masks_of

BLOOD, WALL, RIGHT = Structure.LV_BLOOD, Structure.LV_MYOCARDIUM, Structure.RV_BLOOD


def heart(slices: int = 5) -> NDArray[np.uint8]:
    """One phase of a square cavity in a square wall, beside a square right ventricle."""
    labels = np.zeros((slices, 1, 40, 48), np.uint8)
    labels[:, :, 8:32, 20:44] = WALL
    labels[:, :, 13:27, 25:39] = BLOOD
    labels[:, :, 12:28, 4:16] = RIGHT
    return labels


def kinds(labels: NDArray[np.uint8]) -> dict[Change, int]:
    return {one.kind: one.pixels for one in clean(masks_of(labels)).corrections}


def test_a_whole_heart_stays_as_it_is() -> None:
    cleaned = clean(masks_of(heart()))
    assert cleaned.corrections == ()
    assert cleaned.summary() == ()
    np.testing.assert_array_equal(cleaned.masks.labels, heart())


@pytest.mark.parametrize(
    ("place", "label", "becomes", "kind"),
    [
        ((1, 1), BLOOD, Structure.NONE, Change.LEFT_ISLAND),
        ((1, 1), WALL, Structure.NONE, Change.LEFT_ISLAND),
        ((1, 1), RIGHT, Structure.NONE, Change.RIGHT_ISLAND),
        ((10, 30), BLOOD, WALL, Change.CAVITY_ISLAND),
        ((20, 30), WALL, BLOOD, Change.CAVITY_HOLE),
        ((20, 30), Structure.NONE, BLOOD, Change.CAVITY_HOLE),
        ((10, 30), Structure.NONE, WALL, Change.WALL_HOLE),
        ((10, 30), RIGHT, WALL, Change.WALL_HOLE),
        ((20, 8), Structure.NONE, RIGHT, Change.RIGHT_HOLE),
    ],
)
def test_a_stray_pixel_is_put_right_and_named(
    place: tuple[int, int], label: int, becomes: int, kind: Change
) -> None:
    labels = heart()
    labels[2, 0][place] = label
    cleaned = clean(masks_of(labels))
    assert cleaned.masks.labels[2, 0][place] == becomes
    assert {(one.kind, one.slice, one.phase, one.pixels) for one in cleaned.corrections} == {
        (kind, 2, 0, 1)
    }
    assert "1 pixels in 1 pictures of slices 3" in cleaned.summary()[0]


def test_an_atrium_within_the_wall_is_not_muscle() -> None:
    labels = heart()
    labels[0, 0, 13:27, 25:32] = Structure.NONE
    assert Change.WALL_HOLE not in kinds(labels)


def test_inflow_and_outflow_of_the_right_ventricle_both_stay() -> None:
    labels = heart()
    labels[0, 0, 18:21, 4:16] = Structure.NONE
    assert kinds(labels) == {}


def test_parts_equally_large_are_all_kept() -> None:
    labels = heart()
    labels[0, 0, :, 20:] = Structure.NONE
    labels[0, 0, 5:10, 20:25] = labels[0, 0, 20:25, 30:35] = WALL
    assert kinds(labels) == {}


def test_a_slice_alone_is_dropped_with_all_of_its_ventricle() -> None:
    labels = heart(8)
    labels[5, 0] = 0
    labels[6, 0] = 0
    cleaned = clean(masks_of(labels))
    assert not cleaned.masks.labels[7].any()
    assert {one.kind for one in cleaned.corrections} == {Change.LEFT_ALONE, Change.RIGHT_ALONE}


def test_half_a_ventricle_beside_a_hole_is_not_dropped() -> None:
    labels = heart(8)
    labels[5, 0] = 0
    assert kinds(labels) == {}


def test_nothing_outlined_gives_nothing() -> None:
    assert clean(masks_of(np.zeros((3, 2, 9, 9), np.uint8))).corrections == ()


def test_cleaning_twice_changes_nothing_more() -> None:
    rng = np.random.default_rng(1)
    labels = heart(6)
    labels[rng.random(labels.shape) < 0.03] = rng.integers(0, 4)
    once = clean(masks_of(labels)).masks
    assert clean(once).corrections == ()
