"""A turned picture has a turned truth, and the grey scale of the node."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cmr_node.inference import preprocess  # noqa: E402
from models.augment import Spread, draw_batch, normalised  # noqa: E402
from models.pool import KINDS  # noqa: E402
from tests.models.making import examples  # noqa: E402

CPU = torch.device("cpu")
LEFT, RIGHT = slice(24, 54), slice(74, 104)
WIDE = Spread(spacing=(1.2, 2.0), turn_deg=40.0, shift=6.0)


def drawn(seed: int = 0, count: int = 24, **changed):
    given = examples(count, **changed)
    rng = np.random.default_rng(seed)
    return given, draw_batch(given, np.arange(count), WIDE, rng, CPU)


def test_the_grey_scale_is_the_node_s() -> None:
    pictures = np.random.default_rng(0).normal(size=(3, 128, 128)).astype(np.float32) ** 3
    expected = np.stack([preprocess.normalised(picture) for picture in pictures])
    told = normalised(torch.from_numpy(pictures)[:, None])[:, 0].numpy()
    np.testing.assert_allclose(told, expected, atol=2e-4)


def test_directions_point_where_the_masks_lie() -> None:
    _, batch = drawn()
    for mask, (right, septal) in zip(batch.masks.numpy(), batch.directions.numpy(), strict=True):
        left, beside = (np.argwhere(mask == value).mean(0) for value in (1, 3))
        way = (beside - left) / np.linalg.norm(beside - left)
        assert way @ septal > 0.98
        assert way @ right < -0.98


def test_mirrored_pictures_are_said_to_be() -> None:
    # Below the ring the picture grows brighter: with right and down the pose is told.
    _, batch = drawn(count=64)
    right = batch.directions[:, 0].numpy()
    seen = set()
    for image, mirrored, way in zip(batch.images[:, 0].numpy(), batch.mirrored, right, strict=True):
        assert np.isfinite(image).all()
        seen.add((bool(mirrored), *np.round(way)))
    assert {mirrored for mirrored, *_ in seen} == {True, False}
    assert 0.3 < batch.mirrored.float().mean() < 0.7


def test_the_classes_are_those_of_the_pose_and_add_up() -> None:
    _, batch = drawn()
    np.testing.assert_allclose(batch.orientation.sum(1), 1, atol=1e-5)


def test_what_is_not_known_stays_unknown() -> None:
    nothing = np.full((24, 2), np.nan, np.float32)
    _, batch = drawn(right=nothing, septal=nothing, kind=np.full(24, -1))
    assert not batch.posed.any()
    assert batch.orientation.sum() == 0
    assert torch.isnan(batch.directions).all()
    assert (batch.kind == -1).all()
    assert len(KINDS) == 5


def test_a_seed_decides() -> None:
    first, again, other = (drawn(seed)[1].images for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_shading_lets_pictures_fade_to_one_side() -> None:
    speckled = np.random.default_rng(4).choice([0.2, 1.0], (24, 128, 128)).astype(np.float16)
    given = examples(24, images=speckled)
    apart = []
    for shading in (0.0, 1.0):
        spread = Spread(spacing=None, turn_deg=0, shift=0, shading=shading)
        batch = draw_batch(given, np.arange(24), spread, np.random.default_rng(3), CPU)
        left, right = (batch.images[:, 0, :, side].mean((1, 2)) for side in (LEFT, RIGHT))
        apart.append(float((left - right).abs().mean()))
    assert apart[1] > 2 * apart[0]
