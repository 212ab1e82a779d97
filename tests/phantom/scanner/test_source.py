import time

import numpy as np
import pytest

from cmr_node.geometry.standard_view import View
from cmr_node.phantom.body.tissues import LV_CAVITY, Tissue
from cmr_node.phantom.scanner.contrast import Kind, draw_contrast
from cmr_node.phantom.scanner.source import Source, render

SMALL = {"shape": (48, 56), "pool": 4, "renderings": 3}


def take(source: Source, size: int = 12, count: int = 2):
    batches = source.batches(size)
    return [next(batches) for _ in range(count)]


def test_batches_are_what_a_training_step_takes():
    for batch in take(Source(1, **SMALL)):
        assert batch.images.shape == batch.labels.shape == (12, 48, 56)
        assert batch.images.dtype == np.float32
        assert batch.labels.dtype == np.uint8
        assert batch.labels.max() < len(Tissue)
        assert len(batch.views) == len(batch.kinds) == 12
        np.testing.assert_allclose(batch.images.mean(axis=(1, 2)), 0, atol=1e-4)
        np.testing.assert_allclose(batch.images.std(axis=(1, 2)), 1, atol=1e-3)


def test_a_seed_decides_everything():
    first, again, other = (take(Source(seed, **SMALL)) for seed in (1, 1, 2))
    for one, same, another in zip(first, again, other, strict=True):
        assert np.array_equal(one.images, same.images)
        assert np.array_equal(one.labels, same.labels)
        assert one.kinds == same.kinds
        assert not np.array_equal(one.images, another.images)


@pytest.mark.parametrize("kind", Kind)
def test_one_look_up_can_have_any_contrast(kind):
    source = Source(3, shape=(64, 64))
    sketch = source.sketch(0)
    rng = np.random.default_rng(0)
    one, other = (render(sketch, draw_contrast(rng, kind), rng) for _ in range(2))
    assert one.shape == (64, 64)
    assert np.isfinite(one).all()
    assert not np.array_equal(one, other)


def test_blood_is_brighter_than_muscle_in_every_cine():
    source = Source(5, shape=(96, 96))
    rng = np.random.default_rng(0)
    sketches = [source.sketch(number) for number in range(12)]
    checked = 0
    for sketch in sketches:
        blood, muscle = sketch.labels == Tissue.LV_BLOOD, sketch.labels == Tissue.MYOCARDIUM
        if min(blood.sum(), muscle.sum()) < 60:
            continue
        for _ in range(3):
            contrast = draw_contrast(rng, Kind.CINE)
            assert contrast.signal[Tissue.LV_BLOOD] > contrast.signal[Tissue.MYOCARDIUM]
            image = render(sketch, contrast, rng)
            assert image[blood].mean() > image[muscle].mean()
            checked += 1
    assert checked > 9


def test_levels_run_from_above_the_base_to_below_the_apex():
    source = Source(7, shape=(16, 16))
    short = [s for s in map(source.sketch, range(60)) if s.view is View.SAX]
    levels = np.array([sketch.level for sketch in short])
    assert levels.min() < 0
    assert levels.max() > 1
    apart = [np.isin(s.labels, LV_CAVITY).any() for s in short if 0.15 < s.level < 0.75]
    assert np.mean(apart) > 0.95


def test_rendering_again_is_much_cheaper_than_looking_up():
    source = Source(1)
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    sketch = source.sketch(0)
    looked_up = time.perf_counter() - started
    render(sketch, draw_contrast(rng, Kind.CINE), rng)
    started = time.perf_counter()
    for _ in range(5):
        render(sketch, draw_contrast(rng), rng)
    assert (time.perf_counter() - started) / 5 < 0.5 * looked_up
