"""The eight orientations against numpy's own turns and the group's table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_node.geometry.orientation import Orientation

NUMPY = {
    Orientation.IDENTITY: lambda a: a,
    Orientation.FLIP_LR: np.fliplr,
    Orientation.FLIP_UD: np.flipud,
    Orientation.ROT180: lambda a: np.rot90(a, 2),
    Orientation.TRANSPOSE: np.transpose,
    Orientation.ROT90CW: lambda a: np.rot90(a, -1),
    Orientation.ROT90CCW: lambda a: np.rot90(a, 1),
    Orientation.ANTITRANSPOSE: lambda a: np.rot90(a, 2).T,
}
PICTURES = {
    "identity": [[1, 2], [3, 4]],
    "flip_lr": [[2, 1], [4, 3]],
    "flip_ud": [[3, 4], [1, 2]],
    "rot180": [[4, 3], [2, 1]],
    "transpose": [[1, 3], [2, 4]],
    "rot90cw": [[3, 1], [4, 2]],
    "rot90ccw": [[2, 4], [1, 3]],
    "antitranspose": [[4, 2], [3, 1]],
}
orientations = st.sampled_from(Orientation)


@pytest.mark.parametrize("orientation", Orientation)
def test_does_what_numpy_does(orientation: Orientation) -> None:
    picture = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    turned = orientation.apply(picture)
    for before, after in zip(picture, turned, strict=True):
        np.testing.assert_array_equal(after, NUMPY[orientation](before))


@pytest.mark.parametrize("orientation", Orientation)
def test_shows_the_corners_of_the_paper(orientation: Orientation) -> None:
    corners = np.array([[1, 2], [3, 4]])
    assert orientation.apply(corners).tolist() == PICTURES[orientation.value]
    assert list(PICTURES).index(orientation.value) == orientation.code


@pytest.mark.parametrize("orientation", Orientation)
def test_never_hands_out_the_memory_it_was_given(orientation: Orientation) -> None:
    picture = np.zeros((3, 3))
    turned = orientation.apply(picture)
    assert turned.flags.c_contiguous
    assert not np.shares_memory(turned, picture)


@pytest.mark.parametrize("orientation", Orientation)
def test_the_inverse_undoes_it_bit_for_bit(orientation: Orientation) -> None:
    picture = np.arange(15, dtype=">u2").reshape(3, 5)
    back = orientation.inverse.apply(orientation.apply(picture))
    assert back.tobytes() == picture.tobytes()
    assert back.dtype == picture.dtype
    assert orientation.after(orientation.inverse) is Orientation.IDENTITY


@pytest.mark.parametrize("first", Orientation)
@pytest.mark.parametrize("then", Orientation)
def test_two_in_a_row_are_one_of_the_eight(first: Orientation, then: Orientation) -> None:
    picture = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(
        then.after(first).apply(picture), then.apply(first.apply(picture))
    )
    assert then.after(first).chirality == then.chirality * first.chirality


@given(orientations, st.integers(1, 7), st.integers(1, 7))
def test_the_index_map_says_where_each_pixel_came_from(
    orientation: Orientation, rows: int, columns: int
) -> None:
    picture = np.arange(rows * columns).reshape(rows, columns)
    turned = orientation.apply(picture)
    assert turned.shape == orientation.turned_shape((rows, columns))
    matrix, offset = orientation.index_map((rows, columns))
    assert round(np.linalg.det(matrix)) == orientation.chirality
    for index, value in np.ndenumerate(turned):
        assert picture[tuple(matrix @ index + offset)] == value
