import numpy as np
import pytest

from cmr_node.geometry.plane import Plane
from cmr_node.pictures.picture import Panel, Picture, grey, grey_window, reach_mm

RAMP = np.linspace(0, 1000, 24 * 32).reshape(24, 32)


def test_letters_come_from_the_plane():
    short_axis = Plane(
        (0.0, 0.0, 0.0), (0.70711, 0.70711, 0.0), (0.0, 0.0, -1.0), (1.5, 1.25), (24, 32)
    )
    picture = Picture.on(short_axis, RAMP)
    assert (picture.right, picture.bottom) == ("LP", "F")
    assert picture.size_mm == (36.0, 40.0)


def test_opposite_edges_have_opposite_letters():
    picture = Picture(RAMP, right="LPF", bottom="HA")
    assert (picture.left, picture.top) == ("RAH", "FP")


@pytest.mark.parametrize(
    ("pixels", "spacing", "words"),
    [
        (np.zeros((2, 3, 4)), (1, 1), "two dimensions, found 3"),
        (np.zeros((0, 3)), (1, 1), r"found a shape of \(0, 3\)"),
        (np.zeros((2, 3), complex), (1, 1), "found complex128"),
        (np.zeros((2, 3), object), (1, 1), "found object"),
        (RAMP, (0.0, 1.0), "lengths above 0"),
        (RAMP, (1.0, float("nan")), "lengths above 0"),
        (RAMP, (1.0, float("inf")), "lengths above 0"),
    ],
)
def test_what_cannot_be_drawn_is_no_picture(pixels, spacing, words):
    with pytest.raises(ValueError, match=words):
        Picture(pixels, spacing)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 5), np.uint16),
        np.full((4, 5), 1e300),
        np.full((4, 5), NAN),
        np.full((4, 5), INF),
        np.array([[NAN, INF, -INF, 0, 1]]),
        np.array([[-1.7e308, 1.7e308]]),
        np.array([[False, True]]),
        np.array([[-(2**63), 2**63 - 1]]),
    ],
)
def test_odd_pixels_become_shares_of_white_without_a_warning(pixels):
    low, high = grey_window(pixels)
    assert high > low
    shares = grey(pixels, (low, high))
    assert shares.min() >= 0
    assert shares.max() <= 1


def test_nan_and_what_is_below_are_black_and_what_is_above_is_white():
    shares = grey(np.array([[NAN, -INF, 10.0, 15.0, 20.0, INF]]), (10.0, 20.0))
    np.testing.assert_allclose(shares, [[0, 0, 0, 0.5, 1, 1]])


def test_the_window_is_that_of_the_picture_before():
    before, after = Picture(RAMP), Picture(5 * RAMP)
    assert Panel("", "", before, after, "act").window == grey_window(RAMP)
    assert Panel("", "", None, after, "act").window == grey_window(5 * RAMP)
    assert Panel("", "", None, None, "act").window == (0.0, 1.0)


@pytest.mark.parametrize("decision", ["leave", "ask", "refused"])
def test_a_stack_left_has_one_picture_and_any_other_two(decision):
    picture = Picture(RAMP)
    assert Panel("", "", picture, None, decision).halves == (("stored", picture),)
    assert len(Panel("", "", picture, None, "act").halves) == 2
    assert len(Panel("", "", None, picture, decision).halves) == 2


def test_one_scale_holds_the_longest_side_of_all():
    assert reach_mm([Picture(RAMP, (2.0, 1.0)), Picture(RAMP, (1.0, 1.0))]) == 48
