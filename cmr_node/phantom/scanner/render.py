"""From tissue to images of each sequence: cine, late enhancement, T2-weighted, T1 map.

The promise kept here: an image is what its sequence's equation makes of the tissue at the place
its header names, sent through the same receive chain.  The same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from cmr_node.geometry.plane import Plane
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.tissues import CHAMBERS, OPPOSED, Tissue
from cmr_node.phantom.scanner import acquire, signals
from cmr_node.phantom.scanner.acquire import Image, Receive
from cmr_node.phantom.scanner.molli import Molli, fit
from cmr_node.phantom.scanner.sample import Look, Sampling, Slice, pixel_mean

Pixels = npt.NDArray[np.uint16]

LARGEST = 4095  #: 12 bits stored
MYOCARDIUM_LEVEL = 190.0  #: mean pixel value of myocardium in a cine, under a coil of sensitivity 1
PSIR_ZERO = 2048  #: pixel value of no signal in a phase-sensitive image
USUAL_FLIP_DEG = {1.5: 60.0, 3.0: 45.0}
"""Of a cine by field strength: power absorbed grows with the square of both, so at 3 T the limit
leaves the lower half of the 35 to 75 degrees in use."""
INFLOW_SD = 0.15  #: of its logarithm, between patients
QUIET = 0.72  #: phase of diastasis, when still images are taken


@dataclass(frozen=True, slots=True)
class Cine:
    """A balanced SSFP protocol, echo in the middle of TR; times in ms, lengths in mm."""

    flip_deg: float = 60.0
    repetition_ms: float = 3.0
    inflow: float = 1.13  #: by what fresh blood is brighter than in the steady state, typically
    thickness: float = 8.0
    tesla: float = 1.5
    across: int = 2  #: samples of a pixel along each side
    through: int = 3  #: samples through the slice
    # Noise nearly that of Sunnybrook's slices: see tests.benchmarks.realism.
    receive: Receive = field(default_factory=lambda: Receive(signal_to_noise=8, coils=0.75))

    @classmethod
    def usual(cls, tesla: float) -> Self:
        """The protocol as it is set at 1.5 or 3 T."""
        return cls(flip_deg=USUAL_FLIP_DEG[tesla], tesla=tesla)


@dataclass(frozen=True, slots=True)
class LateEnhancement:
    """Inversion recovery gradient echo 15 minutes after contrast medium."""

    inversion_error: float = 1.0  #: inversion time, relative to the one that nulls muscle
    beats: int = 2  #: from one inversion to the next
    thickness: float = 8.0
    tesla: float = 1.5
    across: int = 2
    through: int = 3
    receive: Receive = field(
        default_factory=lambda: Receive(
            signal_to_noise=14, ghost=0.03, coils=0.65, shim_hz=0, fat_shift=1.4
        )
    )


@dataclass(frozen=True, slots=True)
class T2Weighted:
    """Dark-blood turbo spin echo, fat nulled by inversion (STIR) or not, or T2-prepared bSSFP."""

    echo_ms: float = 60.0
    dark_blood: bool = True
    suppressed_fat: bool = True
    thickness: float = 8.0
    tesla: float = 1.5
    across: int = 2
    through: int = 3
    receive: Receive = field(
        default_factory=lambda: Receive(
            signal_to_noise=16, ghost=0.05, coils=0.65, shim_hz=0, fat_shift=0.8
        )
    )


@dataclass(frozen=True, slots=True)
class T1Map:
    """Native MOLLI 5(3)3."""

    train: Molli = field(default_factory=Molli)
    misregistration_mm: float = 0.6  #: sd of the motion left between its images
    thickness: float = 8.0
    tesla: float = 1.5
    across: int = 2
    through: int = 2
    receive: Receive = field(
        default_factory=lambda: Receive(signal_to_noise=40, ghost=0.01, shim_hz=0)
    )


Protocol = Cine | LateEnhancement | T2Weighted | T1Map
Shift = tuple[float, float, float]
STILL: Shift = (0.0, 0.0, 0.0)


def render_cine(
    patient: Patient,
    plane: Plane,
    phases: int,
    protocol: Cine,
    rng: np.random.Generator,
    shift: Shift = STILL,
) -> Pixels:
    """All phases of one slice.

    Parameters
    ----------
    phases
        Number of images over one R-R interval; the first is at end-diastole.
    rng
        Where noise and ghosts come from; coils and shim are the patient's ``setup``.
    shift
        By how much this breath-hold moved the patient, mm LPS.

    Returns
    -------
    (phases, rows, columns), 0 to ``LARGEST``.
    """
    cut = Slice(patient, plane, sampling(protocol), shift)
    by_tissue, rough = cine_contrast(patient, protocol)
    scale = MYOCARDIUM_LEVEL / by_tissue[Tissue.MYOCARDIUM]
    receive = protocol.receive
    gain = _gain(patient, plane, receive) * scale
    shim = np.random.default_rng([patient.setup, 1])
    gain *= signals.banding(
        acquire.off_resonance(plane, receive.shim_hz * protocol.tesla / 1.5, shim),
        protocol.flip_deg,
        protocol.repetition_ms,
    )
    mask = acquire.border_mask(plane.shape, receive.border)
    noise = MYOCARDIUM_LEVEL / receive.signal_to_noise
    images = np.empty((phases, *plane.shape), np.uint16)
    for image, ideal in zip(images, cut.film(phases, by_tissue, rough), strict=True):
        received = acquire.through_k_space(ideal * gain, noise, receive, rng)
        image[:] = stored(np.abs(received) * mask)
    return images


def render_late_enhancement(
    patient: Patient,
    plane: Plane,
    protocol: LateEnhancement,
    rng: np.random.Generator,
    shift: Shift = STILL,
) -> tuple[Pixels, Pixels]:
    """Magnitude and phase-sensitive image (PSIR) of one slice, (rows, columns) each.

    Where the phase-sensitive image is ``PSIR_ZERO`` there is no signal; it is divided by the
    sensitivity a reference image shows, so air and lung are noise of full height.
    """
    look = Slice(patient, plane, sampling(protocol), shift).look(QUIET)
    by_tissue, rough = late_enhancement_contrast(patient, protocol)
    receive = protocol.receive
    gain = _gain(patient, plane, receive)
    blood = abs(float(by_tissue[Tissue.LV_BLOOD]))
    noise = 0.8 * blood / receive.signal_to_noise
    ideal = _with_fat_shifted(look, by_tissue, rough, receive) * gain
    image = acquire.through_k_space(ideal, noise, receive, rng)
    # Taken in the next beat, with a small flip angle: density, and some T1.
    t1, _, density = signals.relaxation(protocol.tesla, patient.tissue_jitter, gadolinium=True)
    shown = _single(density * (1 - 0.6 * np.exp(-60_000 / patient.heart_rate_bpm / t1)))
    reference = acquire.through_k_space(
        0.25 * pixel_mean(shown[look.labels]) * gain, noise, receive, rng
    )
    mask = acquire.border_mask(plane.shape, receive.border)
    magnitude = stored(np.abs(image) * mask * (420 / blood))
    size = np.maximum(np.abs(reference), 1e-6)
    signed = (image * np.conj(reference)).real / size / np.maximum(4 * size, 0.02)
    phase_sensitive = stored(PSIR_ZERO + signed * mask * (550 / blood))
    return magnitude, phase_sensitive


def render_t2(
    patient: Patient,
    plane: Plane,
    protocol: T2Weighted,
    rng: np.random.Generator,
    shift: Shift = STILL,
) -> Pixels:
    """One slice, (rows, columns)."""
    look = Slice(patient, plane, sampling(protocol), shift).look(QUIET)
    by_tissue, rough = t2_contrast(patient, protocol)
    receive = protocol.receive
    level = float(by_tissue[Tissue.MYOCARDIUM])
    ideal = _with_fat_shifted(look, by_tissue, rough, receive)
    ideal *= _gain(patient, plane, receive)
    image = acquire.through_k_space(ideal, level / receive.signal_to_noise, receive, rng)
    mask = acquire.border_mask(plane.shape, receive.border)
    return stored(np.abs(image) * mask * (MYOCARDIUM_LEVEL / level))


def render_t1_map(
    patient: Patient,
    plane: Plane,
    protocol: T1Map,
    rng: np.random.Generator,
    shift: Shift = STILL,
) -> Pixels:
    """The map of one slice, (rows, columns), ms: eight images of the train and a fit."""
    look = Slice(patient, plane, sampling(protocol), shift).look(QUIET)
    beat_ms = 60_000 / patient.heart_rate_bpm
    t1, t2, density = signals.relaxation(protocol.tesla, patient.tissue_jitter)
    train = protocol.train.signals(t1, t2, density, beat_ms)
    receive = protocol.receive
    gain = _gain(patient, plane, receive)
    noise = abs(float(train[-1, Tissue.MYOCARDIUM])) / receive.signal_to_noise
    rough = _single(0.3 * signals.roughness())
    images = []
    for by_tissue in train:
        ideal = look.signal(_single(by_tissue), rough) * gain
        ideal = acquire.shifted(
            ideal, *(rng.normal(0, protocol.misregistration_mm, 2) / plane.pixel_spacing)
        )
        images.append(acquire.through_k_space(ideal, noise, receive, rng).real)
    stack = np.stack(images).reshape(len(images), -1)
    values = fit(stack, protocol.train.times(beat_ms)).reshape(plane.shape)
    return np.rint(values * acquire.border_mask(plane.shape, receive.border)).astype(np.uint16)


def cine_contrast(patient: Patient, protocol: Cine) -> tuple[Image, Image]:
    """Signal and relative roughness of each tissue, (tissues,) each; likewise below."""
    relaxation = signals.relaxation(protocol.tesla, patient.tissue_jitter)
    signal = signals.bssfp(*relaxation, protocol.flip_deg, protocol.repetition_ms)
    # How much fresh blood a slice gets differs with output and heart rate, and so from one patient
    # to the next: blood by muscle varies by 20 % in Sunnybrook, of which tissue explains a third.
    own = np.random.default_rng([patient.setup, 2]).normal(0, INFLOW_SD)
    signal[[*CHAMBERS, Tissue.BLOOD]] *= protocol.inflow * np.exp(own)
    return _single(signal * signals.fat_sign()), _single(signals.roughness())


def late_enhancement_contrast(patient: Patient, protocol: LateEnhancement) -> tuple[Image, Image]:
    """See :func:`cine_contrast`."""
    t1, _, density = signals.relaxation(protocol.tesla, patient.tissue_jitter, gadolinium=True)
    signal = signals.inversion_recovery(t1, density, *inversion(patient, protocol))
    return _single(signal), _single(signals.roughness())


def inversion(patient: Patient, protocol: LateEnhancement) -> tuple[float, float]:
    """Time from the inversion to the image, and to the next inversion; ms."""
    t1, *_ = signals.relaxation(protocol.tesla, patient.tissue_jitter, gadolinium=True)
    repetition = protocol.beats * 60_000 / patient.heart_rate_bpm
    null = signals.null_time(float(t1[Tissue.MYOCARDIUM]), repetition)
    return null * protocol.inversion_error, repetition


def t2_contrast(patient: Patient, protocol: T2Weighted) -> tuple[Image, Image]:
    """See :func:`cine_contrast`."""
    relaxation = signals.relaxation(protocol.tesla, patient.tissue_jitter)
    repetition = 2 * 60_000 / patient.heart_rate_bpm
    signal = signals.spin_echo(*relaxation, protocol.echo_ms, repetition)
    if protocol.dark_blood:
        signal[list(CHAMBERS)] *= 0.10
        signal[Tissue.BLOOD] *= 0.15
    if protocol.suppressed_fat:
        t1, *_ = relaxation
        null = signals.null_time(float(t1[Tissue.FAT]), repetition)
        signal *= np.abs(1 - 2 * np.exp(-null / t1))
        signal[list(OPPOSED)] += 0.02  # what moves or lies off resonance escapes
    elif not protocol.dark_blood:
        signal *= signals.fat_sign()
    return _single(signal), _single(signals.roughness())


def sampling(protocol: Protocol) -> Sampling:
    """How a slice of this protocol is looked up."""
    return Sampling(protocol.thickness, protocol.across, protocol.through)


def stored(image: npt.NDArray[np.floating]) -> Pixels:
    """Rounded and held within what 12 bits can store."""
    return np.asarray(np.rint(np.clip(image, 0, LARGEST)), np.uint16)


def _with_fat_shifted(look: Look, by_tissue: Image, rough: Image, receive: Receive) -> Image:
    """The ideal image, fat displaced along the frequency direction by its chemical shift."""
    fat = np.isin(np.arange(len(Tissue)), OPPOSED)
    water = look.signal(np.where(fat, 0, by_tissue), rough)
    shifted = acquire.shifted(look.signal(np.where(fat, by_tissue, 0), rough), 0, receive.fat_shift)
    return np.asarray(water + shifted, np.float32)


def _gain(patient: Patient, plane: Plane, receive: Receive) -> Image:
    rng = np.random.default_rng([patient.setup, 0])
    return acquire.coil_sensitivity(plane, patient.thorax.skin, receive.coils, rng)


def _single(values: Sequence[float] | npt.NDArray[np.float64]) -> Image:
    return np.asarray(values, np.float32)
