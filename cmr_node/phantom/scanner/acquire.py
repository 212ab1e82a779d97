"""From an ideal image to the one a scanner gives: coils, k-space, noise, ghosts, borders.

The promise kept here: noise is added where a scanner collects it, in k-space before the image is
made, so it is coloured by zero-filling and filter as real noise is and becomes Rician by taking
the magnitude.  One generator decides everything: the same seed gives the same image.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import fft

from cmr_node.geometry.plane import Plane
from cmr_node.phantom.body.fields import Field

Image = npt.NDArray[np.float32]
Complex = npt.NDArray[np.complex64]


class Border(StrEnum):
    """What is left black at the edge of the picture."""

    NONE = "none"
    CIRCLE = "circle"  #: GE without the corners
    BOWED = "bowed"  #: left and right edge bent by the correction of gradient non-linearity
    BANDS = "bands"  #: a rectangular field of view filled up to a square


@dataclass(frozen=True, slots=True)
class Receive:
    """How a scanner collects and fills in the picture.  Columns are the frequency direction."""

    signal_to_noise: float = 22.0  #: of myocardium under a coil of sensitivity 1
    sampled: tuple[float, float] = (0.72, 0.9)  #: of the rows and columns of k-space; rest zero
    filtered: float = 0.45  #: 0 a hard edge of k-space (ringing), 1 a Hann window
    ghost: float = 0.04  #: height of the ghosts of breathing and pulsation, relative
    coils: float = 1.0  #: unevenness of the coils' sensitivity, 0 none; 1 typical, not evened
    shim_hz: float = 35.0  #: sd of the off-resonance over the chest
    fat_shift: float = 0.0  #: pixels; 220 Hz at 1.5 T divided by the bandwidth of a pixel
    border: Border = Border.NONE


def coil_sensitivity(
    plane: Plane, skin: tuple[float, float], unevenness: float, rng: np.random.Generator
) -> Image:
    """(rows, columns): an array on the chest and one in the table, about 1 at the heart.

    ``skin`` is where they lie: y of the chest's and the back's surface, mm.  ``unevenness`` is 0
    for an evened picture and 1 for one as received.
    """
    front, rear = skin
    rows, columns = np.arange(plane.shape[0]), np.arange(plane.shape[1])
    between_rows, between_columns = plane.steps
    x, y, z = (
        plane.position[axis] + between_rows[axis] * rows[:, None] + between_columns[axis] * columns
        for axis in range(3)
    )
    x0, z0 = rng.normal(25, 20), rng.normal(-5, 25)
    reach = rng.uniform(60, 120)
    deep = np.maximum(y - front + 8, 0)
    chest = np.exp(-deep / reach) + rng.uniform(2.5, 6.5) * np.exp(-deep / rng.uniform(18, 30))
    chest *= np.exp(-(((x - x0) / 190) ** 2) - ((z - z0) / 150) ** 2)
    back = np.exp(-np.maximum(rear - y, 0) / 45) * np.exp(-(((z - z0) / 190) ** 2))
    sum_of_both = 0.18 + rng.uniform(1.6, 3.0) * chest + rng.uniform(0.6, 2.5) * back
    wave = Field.draw(rng, 3, 150, 420)
    points = np.stack([x, y, z]).reshape(3, -1).astype(np.float32)
    ripple = 1 + 0.28 * wave.at(points).reshape(plane.shape)
    return np.asarray((sum_of_both * ripple) ** unevenness, np.float32)


def off_resonance(plane: Plane, spread_hz: float, rng: np.random.Generator) -> Image:
    """(rows, columns), Hz: what shimming leaves, growing towards the edge of the body."""
    grid = plane.to_patient(np.moveaxis(np.indices(plane.shape), 0, -1)).astype(np.float32)
    points = np.moveaxis(grid, -1, 0).reshape(3, -1)
    smooth = Field.draw(rng, 3, 160, 420).at(points)
    away = points - np.array([[40.0], [-20.0], [0.0]], np.float32)
    edge = np.einsum("ij,ij->j", away, away) / np.float32(150**2)
    slope = rng.uniform(-0.9, 0.9)
    return np.asarray(spread_hz * (2.2 * smooth + slope * edge).reshape(plane.shape), np.float32)


def through_k_space(
    ideal: Image | Complex, noise: float, receive: Receive, rng: np.random.Generator
) -> Complex:
    """The complex image of one acquisition; phase encoding runs down the columns.

    Parameters
    ----------
    ideal
        (rows, columns).
    noise
        Standard deviation of real and imaginary part where all of k-space is sampled.
    """
    rows, columns = ideal.shape
    k = fft.fft2(ideal.astype(np.complex64, copy=False), norm="ortho")
    if receive.ghost:
        # Amplitude and phase change from line to line: breathing slowly, pulsation fast.
        line = np.arange(rows)
        slow, fast = rng.uniform(0.012, 0.05), rng.uniform(0.08, 0.3)
        a, b = rng.uniform(0, 2 * np.pi, 2)
        modulation = np.sin(2 * np.pi * rows * slow * line / 17 + a)
        modulation = modulation + np.sin(2 * np.pi * rows * fast * line / 17 + b)
        turn = np.exp(1j * receive.ghost * modulation)
        k *= ((1 + receive.ghost * rng.normal(0, 0.3, rows)) * turn)[:, None].astype(np.complex64)
    noise_parts = rng.standard_normal((2, rows, columns), dtype=np.float32)
    noise_parts *= np.float32(noise)
    k.real += noise_parts[0]
    k.imag += noise_parts[1]
    for axis, share in enumerate(receive.sampled):
        window = _window(ideal.shape[axis], share, receive.filtered)
        k *= window[:, None] if axis == 0 else window
    return np.asarray(fft.ifft2(k, norm="ortho", overwrite_x=True), np.complex64)


def _window(size: int, share: float, filtered: float) -> Image:
    """(size,) in FFT order: 1 inside the sampled share, falling towards its edge."""
    frequency = np.abs(np.fft.fftfreq(size)) * 2 / share
    inside = frequency <= 1
    fall = np.clip((frequency - (1 - filtered)) / max(filtered, 1e-6), 0, 1)
    return np.asarray(inside * (0.5 + 0.5 * np.cos(np.pi * fall)), np.float32)


def shifted(image: Image, rows: float, columns: float) -> Image:
    """``image`` moved by fractions of a pixel, periodic at its edges."""
    k = fft.rfft2(image)
    down = np.fft.fftfreq(image.shape[0])[:, None] * rows
    right = np.fft.rfftfreq(image.shape[1]) * columns
    k *= np.exp(-2j * np.pi * (down + right)).astype(np.complex64)
    return np.asarray(fft.irfft2(k, s=image.shape), np.float32)


def border_mask(shape: tuple[int, int], border: Border) -> npt.NDArray[np.bool_]:
    """(rows, columns): which pixels the scanner shows."""
    rows, columns = shape
    y = np.abs(np.linspace(-1, 1, rows))[:, None]
    x = np.abs(np.linspace(-1, 1, columns))
    match border:
        case Border.NONE:
            return np.ones(shape, np.bool_)
        case Border.CIRCLE:
            short = min(shape)
            return np.asarray((x * columns / short) ** 2 + (y * rows / short) ** 2 < 0.98)
        case Border.BOWED:
            return np.asarray(x < 0.90 + 0.08 * y**2 + 0 * y)
        case Border.BANDS:
            return np.broadcast_to(x < 0.86, shape).copy()
