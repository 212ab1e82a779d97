"""Pictures in, answers out; what cannot be looked at is said, and nothing is guessed."""

from __future__ import annotations

import numpy as np
import pytest

from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.predict import Network
from tests.inference.answers import arbitrary, by_brightness, card

NETWORK = Network(by_brightness, card())


def heart(rows: int = 220, columns: int = 180, centre=(80, 110)) -> np.ndarray:
    """A ring round a bright pool, on dark noise; 1.3 mm pixels."""
    away = np.hypot(np.arange(rows)[:, None] - centre[0], np.arange(columns)[None] - centre[1])
    picture = np.where(away < 18, 10.0, np.where(away < 26, 4.0, 0.0))
    return (picture + np.random.default_rng(0).normal(0, 0.05, picture.shape)).astype(np.float32)


def test_the_heart_is_found_where_it_is() -> None:
    look = NETWORK.look([heart()] * 3, (1.3, 1.3))
    np.testing.assert_allclose(look.centre, (80, 110), atol=1.5)


@pytest.mark.parametrize("orientation", list(Orientation))
def test_what_is_drawn_lies_on_the_stored_picture(orientation: Orientation) -> None:
    stored, spacing = orientation.apply(heart()), (1.3, 1.3)
    look = NETWORK.look([stored], spacing)
    drawn = NETWORK.segment([stored, stored], spacing, orientation, look.centre)
    assert len(drawn) == 2
    for one in drawn:
        found, truth = one.labels == 1, stored > 7
        assert one.labels.shape == stored.shape
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9
        assert 0.5 < one.confidence <= 1


def test_nothing_is_drawn_and_no_confidence_claimed_where_nothing_is_seen() -> None:
    noise = np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32)
    drawn = NETWORK.segment([noise], (1.4, 1.4), Orientation.IDENTITY, None)[0]
    assert drawn.labels.shape == (128, 128)
    assert (drawn.confidence > 0) == bool(drawn.labels.any())


@pytest.mark.parametrize(
    ("images", "named"),
    [
        ([], "no picture"),
        ([np.zeros((64, 64), np.float32)], "one value"),
        ([np.full((64, 64), np.nan, np.float32)], "NaN"),
        ([np.zeros((8, 8), np.float32)], "8 x 8"),
    ],
)
def test_what_cannot_be_looked_at_is_a_doubt(images, named: str) -> None:
    evidence = NETWORK.recognise(images, (1.3, 1.3))
    assert named in evidence.doubt
    assert evidence.sax == 0
    assert evidence.slices == 0


def test_bad_slices_are_left_out_and_the_rest_heard() -> None:
    bad = np.full((220, 180), np.inf, np.float32)
    assert NETWORK.recognise([heart(), bad, heart()], (1.3, 1.3)).slices == 2


def test_four_hundred_slices_are_heard() -> None:
    assert (
        Network(arbitrary, card()).recognise([heart(40, 40, (20, 20))] * 400, (5, 5)).slices == 400
    )
