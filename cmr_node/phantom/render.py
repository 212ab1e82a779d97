"""From tissue to image: a breath-held bSSFP cine of one slice.

A pixel is the mean of samples spread over its area and over the slice's thickness, fat against
water; then come the point spread of the acquisition, the sensitivity of the coils on chest and
back, and Rician noise.  The same seed gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from cmr_node.geometry.plane import Plane
from cmr_node.phantom.anatomy import Patient
from cmr_node.phantom.tissues import SPINS, Tissue, bssfp

Pixels = npt.NDArray[np.uint16]
Image = npt.NDArray[np.float32]

LARGEST = 4095  #: 12 bits stored
MYOCARDIUM_LEVEL = 190.0  #: mean pixel value of myocardium under a coil of sensitivity 1


@dataclass(frozen=True, slots=True)
class Cine:
    """A balanced SSFP protocol at 1.5 T, echo in the middle of TR; times in ms, lengths in mm."""

    flip_deg: float = 60.0
    repetition_ms: float = 3.0
    thickness: float = 8.0
    signal_to_noise: float = 22.0  #: of myocardium, before the coils' sensitivity
    blur: float = 0.55  #: sd of the point spread, pixels
    across: int = 2  #: samples of a pixel along each side
    through: int = 3  #: samples through the slice


def render_cine(
    patient: Patient, plane: Plane, phases: int, protocol: Cine, rng: np.random.Generator
) -> Pixels:
    """All phases of one slice.

    Parameters
    ----------
    phases
        Number of images over one R-R interval; the first is at end-diastole.
    rng
        Where the noise comes from.

    Returns
    -------
    (phases, rows, columns), 0 to ``LARGEST``.
    """
    points = _samples(plane, protocol)
    flat = points.reshape(3, -1)
    signal, roughness = _tables(protocol)
    texture = patient.texture(flat)
    still = patient.thorax.labels(flat)
    sampled = signal[still] * (1 + roughness[still] * texture)
    # Only what can beat is looked up again for each phase.
    near = np.flatnonzero(patient.heart.near(flat))
    heart_points, grain, around = flat[:, near], texture[near], still[near]
    coils = _coils(plane, patient.thorax.half_depth)
    scale = MYOCARDIUM_LEVEL / signal[Tissue.MYOCARDIUM]
    noise = MYOCARDIUM_LEVEL / protocol.signal_to_noise
    images = np.empty((phases, *plane.shape), np.uint16)
    for index in range(phases):
        label = around.copy()
        patient.heart.paint(label, heart_points, index / phases)
        sampled[near] = signal[label] * (1 + roughness[label] * grain)
        # Fat counts negative: where it shares a pixel with water the two cancel.
        mean = sampled.reshape(points.shape[1:]).mean(axis=(0, 2, 4))
        ideal = gaussian_filter(mean, protocol.blur) * coils * scale
        real, imaginary = rng.normal(0, noise, (2, *plane.shape))
        images[index] = np.rint(np.clip(np.hypot(ideal + real, imaginary), 0, LARGEST))
    return images


def _samples(plane: Plane, protocol: Cine) -> Image:
    """(3, through, rows, across, columns, across), mm LPS: where the tissue is looked up."""
    rows, columns = plane.shape
    part = (np.arange(protocol.across) + 0.5) / protocol.across - 0.5
    down = (np.arange(rows)[:, None] + part).ravel()
    right = (np.arange(columns)[:, None] + part).ravel()
    depth = (np.arange(protocol.through) + 0.5) / protocol.through - 0.5
    between_rows, between_columns = plane.steps
    points = (
        np.array(plane.position)[:, None, None, None]
        + (plane.normal * protocol.thickness)[:, None, None, None] * depth[:, None, None]
        + between_rows[:, None, None, None] * down[:, None]
        + between_columns[:, None, None, None] * right
    )
    shape = (3, protocol.through, rows, protocol.across, columns, protocol.across)
    return np.asarray(points.reshape(shape), np.float32)


def _tables(protocol: Cine) -> tuple[Image, Image]:
    """Signal and relative roughness by label."""
    signal = [bssfp(SPINS[tissue], protocol.flip_deg, protocol.repetition_ms) for tissue in Tissue]
    roughness = [SPINS[tissue].texture for tissue in Tissue]
    return np.array(signal, np.float32), np.array(roughness, np.float32)


def _coils(plane: Plane, half_depth: float) -> Image:
    """(rows, columns): sensitivity of an array on the chest and one in the table, partly evened."""
    y = plane.to_patient(np.moveaxis(np.indices(plane.shape), 0, -1))[..., 1]
    chest = np.exp(-np.maximum(y + half_depth, 0) / 75)
    back = np.exp(-np.maximum(half_depth - y, 0) / 75)
    return np.asarray(0.45 + 1.15 * chest + 0.40 * back, np.float32)
