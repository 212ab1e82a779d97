"""Turning the picture turns the answer and changes nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.equivariance import ALL, after, averaged, matrices
from cmr_node.inference.fusion import softmax
from cmr_node.inference.preprocess import SIZE
from tests.inference.answers import arbitrary

PICTURES = np.random.default_rng(1).normal(size=(3, SIZE, SIZE)).astype(np.float32)


@pytest.mark.parametrize("k", ALL)
def test_an_arbitrary_network_becomes_exactly_equivariant(k: Orientation) -> None:
    straight, turned = averaged(arbitrary, PICTURES), averaged(arbitrary, k.apply(PICTURES))

    np.testing.assert_allclose(
        softmax(turned.orientation)[:, after(k)], softmax(straight.orientation), atol=1e-5
    )
    np.testing.assert_allclose(turned.mirrored, straight.mirrored * k.chirality, atol=1e-4)
    np.testing.assert_allclose(
        turned.directions, straight.directions @ matrices()[k.code].T, atol=1e-4
    )
    np.testing.assert_allclose(turned.kind, straight.kind, atol=1e-4)
    np.testing.assert_allclose(turned.masks, k.apply(straight.masks), atol=1e-4)


def test_the_network_itself_was_not() -> None:
    turned = arbitrary(np.flip(PICTURES, 2)[:, None].copy()).kind
    assert np.abs(turned - arbitrary(PICTURES[:, None]).kind).max() > 0.1


@pytest.mark.parametrize("k", ALL)
def test_matrices_send_directions_where_pixels_go(k: Orientation) -> None:
    picture = np.zeros((9, 9), np.float32)
    picture[4, 4], picture[2, 5] = 1, 2  # two up, one right
    turned = k.apply(picture)
    start, end = np.argwhere(turned == 1)[0], np.argwhere(turned == 2)[0]
    np.testing.assert_array_equal(end - start, matrices()[k.code] @ np.array([-2, 1]))
