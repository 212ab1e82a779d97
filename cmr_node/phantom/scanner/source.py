"""Simulated slices as arrays, for training: look up once, render many times.

The promise kept here: the label map belongs to the pixels it comes with, to the sample, and a
seed decides everything.  A look-up (tens of milliseconds) is kept as one small integer per sample,
tissue and texture together, so that an image with another contrast costs one table and one pass
through the receive chain (a few milliseconds).  Nothing here is a network's business: the arrays
go to whoever trains, on any number of processes that each take a seed of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.tissues import Labels
from cmr_node.phantom.scanner import acquire, signals
from cmr_node.phantom.scanner.acquire import Border, Image, Receive
from cmr_node.phantom.scanner.contrast import Contrast, Kind, draw_contrast
from cmr_node.phantom.scanner.planes import view_planes
from cmr_node.phantom.scanner.sample import Sampling, Slice, pixel_mean

_GREY = 16  #: steps of the texture, over +-2.5 standard deviations
_VIEWS = {View.SAX: 0.7, View.TWO_CHAMBER: 0.1, View.THREE_CHAMBER: 0.08, View.FOUR_CHAMBER: 0.12}


@dataclass(frozen=True, slots=True)
class Sketch:
    """One slice in one phase, ready to be rendered again and again."""

    view: View
    plane: Plane
    labels: Labels  #: (rows, columns), the tissue at the centre of each pixel
    index: npt.NDArray[np.uint16]  #: (samples of a pixel, rows, columns)
    flow: npt.NDArray[np.uint8]  #: likewise; factor on the signal of blood, in 1 / 128
    skin: tuple[float, float]  #: y of chest and back, mm: where the coils lie
    level: float  #: of a short-axis slice: 0 at the mitral ring, 1 at the apex; else 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What a training step takes."""

    images: npt.NDArray[np.float32]  #: (n, rows, columns), mean 0 and sd 1 each
    labels: Labels  #: (n, rows, columns), :class:`Tissue`
    views: tuple[View, ...]
    kinds: tuple[Kind, ...]


@dataclass(slots=True)
class Source:
    """An endless supply; two with the same settings give the same slices."""

    seed: int
    shape: tuple[int, int] = (128, 128)
    pool: int = 64  #: look-ups kept at a time
    renderings: int = 8  #: of each look-up before another takes its place
    spread: float = 1.6  #: see :meth:`Patient.draw`
    sampling: Sampling = field(default_factory=lambda: Sampling(8.0, 2, 2))

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of ``size`` slices without end."""
        slices = self._slices()
        while True:
            drawn = [next(slices) for _ in range(size)]
            yield Batch(
                images=np.stack([image for _, _, image in drawn]),
                labels=np.stack([sketch.labels for sketch, _, _ in drawn]),
                views=tuple(sketch.view for sketch, _, _ in drawn),
                kinds=tuple(kind for _, kind, _ in drawn),
            )

    def _slices(self) -> Iterator[tuple[Sketch, Kind, Image]]:
        rng = np.random.default_rng([self.seed, 1])
        number = 0
        waiting: list[tuple[Sketch, int]] = []
        while True:
            # Filled step by step, so that the first batch does not wait for the whole pool.
            if len(waiting) < self.pool and (not waiting or rng.random() < 0.5):
                waiting.append((self.sketch(number), self.renderings))
                number += 1
            chosen = int(rng.integers(len(waiting)))
            sketch, left = waiting[chosen]
            if left == 1:
                waiting.pop(chosen)
            else:
                waiting[chosen] = (sketch, left - 1)
            contrast = draw_contrast(rng)
            yield sketch, contrast.kind, render(sketch, contrast, rng)

    def sketch(self, number: int) -> Sketch:
        """The look-up of this number: of some patient, view, level and phase."""
        rng = np.random.default_rng([self.seed, 0, number])
        patient = Patient.draw(int(rng.integers(1 << 31)), spread=self.spread)
        view = View(str(rng.choice(list(_VIEWS), p=list(_VIEWS.values()))))
        planes = view_planes(
            patient.heart,
            view,
            shape=self.shape,
            pixel_spacing=float(rng.uniform(1.2, 2.6) * 128 / min(self.shape)),
            slices=13,
            gap=10.0,
            rng=rng,
        )
        plane = planes[int(rng.integers(len(planes)))]
        return sketch(patient, plane, view, self.sampling, rng)


def sketch(
    patient: Patient, plane: Plane, view: View, sampling: Sampling, rng: np.random.Generator
) -> Sketch:
    """A look-up at a phase drawn from ``rng``, end-diastole and end-systole most often."""
    phase = float(rng.choice([0.0, 0.36, rng.uniform(0, 1)], p=[0.35, 0.25, 0.4]))
    cut = Slice(patient, plane, sampling)
    look = cut.look(phase)
    heart = patient.heart
    grey = np.clip((look.texture + 2.5) * (_GREY / 5), 0, _GREY - 1).astype(np.uint16)
    drop = heart.left.drop(phase)
    depth = float((plane.centre - heart.base) @ heart.apical)
    return Sketch(
        view=view,
        plane=plane,
        labels=cut.label_map(phase),
        index=look.labels.astype(np.uint16) * _GREY + grey,
        flow=np.clip(look.flow * 128, 0, 255).astype(np.uint8),
        skin=patient.thorax.skin,
        level=(depth - drop) / (heart.length - drop) if view is View.SAX else 0.0,
    )


def render(sketch: Sketch, contrast: Contrast, rng: np.random.Generator) -> Image:
    """(rows, columns), mean 0 and standard deviation 1: one image of a look-up."""
    texture = (np.arange(_GREY, dtype=np.float32) + 0.5) * (5 / _GREY) - 2.5
    table = contrast.signal[:, None] * (1 + contrast.roughness[:, None] * texture)
    values = table.astype(np.float32).ravel()[sketch.index]
    if contrast.kind is Kind.CINE:
        values *= sketch.flow * np.float32(1 / 128)
    ideal = pixel_mean(values)
    receive = draw_receive(rng)
    gain = acquire.coil_sensitivity(sketch.plane, sketch.skin, receive.coils, rng)
    if contrast.kind is Kind.T1_MAP:
        image = _map_noise(ideal, gain, rng)
    else:
        if contrast.kind is Kind.CINE and rng.random() < 0.5:
            hertz = acquire.off_resonance(sketch.plane, receive.shim_hz, rng)
            gain *= signals.banding(hertz, 55.0, float(rng.uniform(2.8, 3.6)))
        complex_image = acquire.through_k_space(
            ideal * gain, 0.5 / receive.signal_to_noise, receive, rng
        )
        signed = contrast.kind is Kind.LATE_ENHANCEMENT and rng.random() < 0.5
        image = complex_image.real if signed else np.abs(complex_image)
        image = _gamma(image, float(np.exp(rng.normal(0, 0.2))))
    image = image * acquire.border_mask(sketch.plane.shape, receive.border)
    return np.asarray((image - image.mean()) / (image.std() + 1e-6), np.float32)


def draw_receive(rng: np.random.Generator) -> Receive:
    """A receive chain of any scanner."""
    return Receive(
        signal_to_noise=float(np.exp(rng.uniform(np.log(6), np.log(45)))),
        sampled=(float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.65, 1.0))),
        filtered=float(rng.uniform(0.05, 0.9)),
        ghost=float(rng.uniform(0, 0.10) if rng.random() < 0.5 else 0.0),
        coils=float(rng.uniform(0, 1.3)),
        shim_hz=float(rng.uniform(10, 80)),
        border=Border(str(rng.choice(list(Border), p=[0.55, 0.2, 0.15, 0.1]))),
    )


def _map_noise(ideal: Image, gain: Image, rng: np.random.Generator) -> Image:
    """Noise of a T1 map: some tens of ms in tissue, anything where there is no signal."""
    error = rng.normal(0, rng.uniform(0.006, 0.014), ideal.shape) / gain
    nothing = rng.random(ideal.shape, dtype=np.float32)
    return np.asarray(np.where(ideal < 0.02, nothing, np.abs(ideal) + error), np.float32)


def _gamma(image: Image, power: float) -> Image:
    return np.asarray(np.sign(image) * np.abs(image) ** np.float32(power), np.float32)
