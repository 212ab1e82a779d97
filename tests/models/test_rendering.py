"""Torch against numpy: the same parameters give the same image, on whatever device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from cmr_node.phantom.body.tissues import Tissue
from cmr_node.phantom.scanner import source as numpy_source
from cmr_node.phantom.scanner.acquire import Border
from cmr_node.phantom.scanner.contrast import Kind, draw_contrast
from cmr_node.phantom.scanner.source import Source
from models.draws import draw, layout

torch = pytest.importorskip("torch")

from models.rendering import Held, TorchSource, render  # noqa: E402

SHAPE = (48, 56)
CPU = torch.device("cpu")
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
        ],
    ),
]


class Split(np.random.Generator):
    """Draws the parameters as any generator does; the noise of pixels from another, or none."""

    def __init__(self, bits, noise=None):
        super().__init__(bits)
        self.noise = noise

    def standard_normal(self, size=None, dtype=np.float64, out=None):
        return self.noise.standard_normal(size, dtype) if self.noise else np.zeros(size, dtype)

    def normal(self, loc=0.0, scale=1.0, size=None):
        if size != SHAPE:
            return super().normal(loc, scale, size)
        return self.noise.normal(loc, scale, size) if self.noise else np.zeros(size)

    def random(self, size=None, dtype=np.float64, out=None):
        if size != SHAPE:
            return super().random(size, dtype, out)
        return self.noise.random(size, dtype) if self.noise else np.zeros(size, dtype)


@pytest.fixture(scope="module")
def sketches():
    source = Source(3, shape=SHAPE)
    return [source.sketch(number) for number in range(4)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def parameters(sketches, kinds, seed=0):
    rng = np.random.default_rng(seed)
    contrasts = [draw_contrast(rng, kind) for kind in kinds]
    drawn = [
        draw(sketch, contrast, np.random.default_rng([seed, i]))
        for i, (sketch, contrast) in enumerate(zip(sketches, contrasts, strict=True))
    ]
    return contrasts, np.stack(drawn)


def by_numpy(sketches, contrasts, seed=0, noise=None):
    return np.stack(
        [
            numpy_source.render(sketch, contrast, Split(np.random.PCG64([seed, i]), noise))
            for i, (sketch, contrast) in enumerate(zip(sketches, contrasts, strict=True))
        ]
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", Kind)
def test_torch_and_numpy_agree_where_there_is_no_noise(sketches, kind, device):
    many = sketches * 20
    contrasts, records = parameters(many, [kind] * len(many))
    held = [Held.of(sketch, torch.device(device)) for sketch in many]
    images = render(held, records, None).cpu().numpy()
    assert images.dtype == np.float32
    # Standardised, so a difference is in standard deviations of the image.
    np.testing.assert_allclose(images, by_numpy(many, contrasts), rtol=0, atol=1e-3)
    # And everything that can be drawn was among them.
    assert set(records["border"]) == set(range(len(Border)))
    assert some_but_not_all(records["ghost"]) == (kind is not Kind.T1_MAP)
    assert some_but_not_all(records["repetition"]) == (kind is Kind.CINE)
    assert some_but_not_all(records["signed"]) == (kind is Kind.LATE_ENHANCEMENT)


@pytest.mark.parametrize("kind", Kind)
def test_torch_and_numpy_are_equally_noisy(sketches, kind):
    many = sketches * 15
    contrasts, records = parameters(many, [kind] * len(many))
    held = [Held.of(sketch, CPU) for sketch in many]
    quiet = render(held, records, None).numpy()
    # Not the border nor, in a map, what has no signal.
    shown = quiet > quiet.min(axis=(1, 2), keepdims=True) + 0.05
    ours, theirs = (
        [(one - other)[mask].std() for one, other, mask in zip(*pair, shown, strict=True)]
        for pair in (
            [render(held, records, torch.Generator().manual_seed(i)).numpy() for i in (0, 1)],
            [by_numpy(many, contrasts, noise=np.random.default_rng(i)) for i in (0, 1)],
        )
    )
    assert np.median(np.divide(ours, theirs)) == pytest.approx(1, abs=0.02)


def some_but_not_all(values):
    return bool(0 < np.mean(values > 0) < 1)


def test_a_batch_of_mixed_kinds_is_its_images_one_by_one(sketches):
    kinds = [*Kind, *reversed(Kind)]
    some = [sketches[i % 4] for i in range(len(kinds))]
    _, records = parameters(some, kinds)
    held = [Held.of(sketch, CPU) for sketch in some]
    together = render(held, records, None)
    for i, one in enumerate(held):
        alone = render([one], records[i : i + 1], None)[0]
        torch.testing.assert_close(together[i], alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_a_seed_decides_everything(device):
    def take(seed):
        batches = TorchSource(Source(seed, shape=SHAPE, pool=3, renderings=3), device).batches(8)
        return [next(batches) for _ in range(2)]

    for one, same, another in zip(take(1), take(1), take(2), strict=True):
        assert torch.equal(one.images, same.images)
        assert torch.equal(one.labels, same.labels)
        assert (one.kinds, one.views) == (same.kinds, same.views)
        assert not torch.equal(one.images, another.images)


def test_batches_are_what_a_training_step_takes(sketches):
    """And nothing that happens to a picture happens to its labels, or to its turn."""
    numbered = [
        replace(sketches[number % 4], labels=np.full(SHAPE, number, np.uint8))
        for number in range(24)
    ]
    batches = TorchSource(Source(1, pool=3, renderings=2), look_ups=iter(numbered)).batches(12)
    taken = []
    for batch in (next(batches), next(batches)):
        assert batch.images.shape == (12, 1, *SHAPE)
        assert batch.images.dtype == torch.float32
        assert batch.images.mean((1, 2, 3)).abs().max() < 1e-4
        assert (batch.images.std((1, 2, 3), correction=0) - 1).abs().max() < 1e-3
        assert batch.labels.dtype == torch.uint8
        numbers = batch.labels[:, 0, 0].tolist()
        assert (batch.labels == batch.labels[:, :1, :1]).all()
        assert list(batch.views) == [numbered[number].view for number in numbers]
        assert len(batch.kinds) == 12
        taken += numbers
    times = np.bincount(taken)
    assert times.max() == 2
    assert np.count_nonzero(times < 2) <= 3  # those still in the pool


def test_the_image_lies_on_its_labels():
    source = Source(5, shape=(96, 96))
    some = [source.sketch(number) for number in range(10)]
    _, records = parameters(some, [Kind.CINE] * len(some))
    noise = torch.Generator().manual_seed(0)
    images = render([Held.of(sketch, CPU) for sketch in some], records, noise).numpy()
    checked = 0
    for sketch, image in zip(some, images, strict=True):
        blood, muscle = (
            image[sketch.labels == tissue] for tissue in (Tissue.LV_BLOOD, Tissue.MYOCARDIUM)
        )
        if min(len(blood), len(muscle)) > 60:
            assert blood.mean() > muscle.mean()
            checked += 1
    assert checked > 3


def two_halves(dark, bright, **settings):
    """A picture of nothing but two brightnesses, left and right, and eight records for it."""
    index = torch.zeros((1, *SHAPE), dtype=torch.int16)
    index[..., SHAPE[1] // 2 :] = 1
    held = Held(index, torch.full_like(index, 128, dtype=torch.uint8), index[0].to(torch.uint8))
    records = np.zeros(8, layout(SHAPE[0]))
    records["table"][:, 0], records["table"][:, 1] = dark, bright
    records["sampled"], records["power"] = 1, 1
    for name, value in settings.items():
        records[name] = value
    images = render([held] * len(records), records, torch.Generator().manual_seed(0)).numpy()
    left, right = np.split(images, 2, axis=2)
    return left, right


def spread(images):
    """The sd within an image, averaged; from one to the next the standardisation differs."""
    return images.std(axis=(1, 2)).mean()


@pytest.mark.parametrize("rows", [1.0, 0.6])
def test_noise_is_as_loud_as_was_drawn(rows):
    """In the real part, normal; zero-filled rows carry none.  Columns would ring if cut off."""
    left, right = two_halves(0, 1, noise=0.05, signed=1, sampled=(rows, 1))
    step = right.mean() - left.mean()
    lines = np.count_nonzero(np.abs(np.fft.fftfreq(SHAPE[0])) * 2 <= rows) / SHAPE[0]
    for half in (left, right):
        assert spread(half) / step == pytest.approx(0.05 * np.sqrt(lines), rel=0.03)
        assert np.corrcoef(half[0].ravel(), half[1].ravel())[0, 1] == pytest.approx(0, abs=0.1)


def test_noise_of_the_magnitude_is_that_of_rayleigh_where_it_is_dark():
    left, right = two_halves(0, 1, noise=0.05)
    step = (right.mean() - left.mean()) / (1 - 0.05 * np.sqrt(np.pi / 2))
    assert spread(left) / step == pytest.approx(0.05 * np.sqrt(2 - np.pi / 2), rel=0.03)
    assert spread(right) / step == pytest.approx(0.05, rel=0.03)


def test_a_t1_map_is_even_in_tissue_and_anything_in_air():
    left, right = two_halves(0, 0.3, map_noise=0.01)
    anything = spread(left)  # of 0 to 1, evenly
    assert np.ptp(left) / anything == pytest.approx(np.sqrt(12), rel=0.02)
    assert spread(right) / anything == pytest.approx(0.01 * np.sqrt(12), rel=0.03)
