"""One grid and one grey scale, and what cannot be brought there is named."""

from __future__ import annotations

import numpy as np
import pytest

from cmr_node.errors import BadInstance
from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.preprocess import SIZE, checked, disc, normalised, resampled, returned


def disc_picture(rows: int, columns: int, spacing: tuple[float, float], centre_mm, radius_mm):
    at = [np.arange(size) * step for size, step in zip((rows, columns), spacing, strict=True)]
    away = np.hypot(at[0][:, None] - centre_mm[0], at[1][None] - centre_mm[1])
    return np.float32(away <= radius_mm)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.4, 0.7), (2.5, 2.5)])
def test_a_disc_keeps_its_place_and_area_whatever_the_spacing(spacing) -> None:
    rows, columns = round(260 / spacing[0]) + 1, round(260 / spacing[1]) + 1
    picture = disc_picture(rows, columns, spacing, (100, 150), 25)
    shown = resampled(picture, spacing, 2.0)
    assert shown.sum() * 4 == pytest.approx(np.pi * 25**2, rel=0.03)
    middle = np.array([(rows - 1) * spacing[0] / 2, (columns - 1) * spacing[1] / 2])
    place = np.argwhere(shown > 0.5).mean(0)
    np.testing.assert_allclose(
        (place - (SIZE - 1) / 2) * 2.0, np.array([100, 150]) - middle, atol=0.6
    )


def test_there_and_back_again() -> None:
    spacing, centre = (1.2, 1.6), (90.0, 70.0)
    picture = disc_picture(200, 160, spacing, (100, 120), 30)
    back = returned(
        resampled(picture, spacing, 1.4, centre)[None], (200, 160), spacing, 1.4, centre
    )
    assert ((back[0] > 0.5) ^ (picture > 0.5)).sum() < 0.05 * picture.sum()


@pytest.mark.parametrize("k", list(Orientation))
def test_turning_first_or_last_is_one(k: Orientation) -> None:
    picture = np.random.default_rng(0).normal(size=(150, 180)).astype(np.float32)
    spacing = (1.5, 1.1)
    turned = spacing[::-1] if k.transposes else spacing
    first = normalised(resampled(k.apply(picture), turned, 2.0))
    np.testing.assert_allclose(
        first, k.apply(normalised(resampled(picture, spacing, 2.0))), atol=1e-4
    )


def test_a_frame_does_not_set_the_grey_scale() -> None:
    picture = np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32)
    framed = np.where(disc(), picture, -50).astype(np.float32)
    np.testing.assert_array_equal(normalised(picture)[disc()], normalised(framed)[disc()])


@pytest.mark.parametrize("scale", [1.0, 4095.0, 1e-3])
def test_scale_and_sign_of_the_stored_values_do_not_matter(scale: float) -> None:
    picture = np.random.default_rng(0).normal(size=(SIZE, SIZE)).astype(np.float32)
    np.testing.assert_allclose(
        normalised(np.float32(picture * scale - 1000 * scale)), normalised(picture), atol=5e-3
    )


@pytest.mark.parametrize(
    ("image", "spacing", "named"),
    [
        (np.zeros((8, 8)), (1, 1), "8 x 8"),
        (np.zeros((5000, 20)), (1, 1), "5000 x 20"),
        (np.zeros((3, 64, 64)), (1, 1), "3 x 64 x 64"),
        (np.full((64, 64), np.nan), (1, 1), "NaN"),
        (np.full((64, 64), 7), (1, 1), "one value"),
        (np.eye(64), (0.01, 1), "0.01"),
        (np.eye(64), (1, 50), "50"),
    ],
)
def test_what_cannot_be_looked_at_is_named(image, spacing, named: str) -> None:
    with pytest.raises(BadInstance, match=named):
        checked(image, spacing)


@pytest.mark.parametrize("shape", [(16, 16), (4096, 4096)])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float64])
def test_any_size_and_type_that_is_allowed_is_shown(shape, kind) -> None:
    picture = checked(np.indices(shape).sum(0).astype(kind), (1.0, 1.0))
    assert np.isfinite(normalised(resampled(picture, (1.0, 1.0), 2.0))).all()
