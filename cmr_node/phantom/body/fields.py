"""Random fields over the patient, and the shapes that organs are put together from.

The promise kept here: every function is evaluated at places, never on a grid of its own, so a
plane cut anywhere finds the same patient; and all of it is float32, the wider type costing twice
the time for digits no image shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Points = npt.NDArray[np.float32]  #: (3, n) places in mm, or (n,) values at them
Vector = npt.NDArray[np.float64]

_TILE = 64  #: voxels along each side of the texture, which repeats


@dataclass(frozen=True, slots=True)
class Field:
    """A smooth random field: the mean of sines of random direction and length."""

    waves: npt.NDArray[np.float32]  #: (k, 3), rad/mm
    shifts: npt.NDArray[np.float32]  #: (k,), rad

    @classmethod
    def draw(
        cls, rng: np.random.Generator, count: int, shortest_mm: float, longest_mm: float
    ) -> Self:
        """``count`` sines with wavelengths between the two, in directions of no preference."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = rng.uniform(shortest_mm, longest_mm, size=(count, 1))
        waves = 2 * np.pi * directions / lengths
        return cls(waves.astype(np.float32), rng.uniform(0, 2 * np.pi, count).astype(np.float32))

    def at(self, points: Points) -> Points:
        """(n,) in [-1, 1] at ``points`` (3, n), mm; standard deviation sqrt(1 / (2 k))."""
        total = np.zeros(points.shape[1], np.float32)
        for wave, shift in zip(self.waves, self.shifts, strict=True):
            # One sine after the other: k rows at once would leave the cache.
            angle = wave @ points
            angle += shift
            total += np.sin(angle, out=angle)
        return np.asarray(total / np.float32(len(self.shifts)))


@dataclass(frozen=True, slots=True)
class Grain:
    """Fine unevenness of tissue: a block of filtered noise that repeats, turned and shifted."""

    turn: npt.NDArray[np.float32]  #: (3, 3), voxels per mm
    shift: npt.NDArray[np.float32]  #: (3,), voxels

    @classmethod
    def draw(cls, rng: np.random.Generator, voxel_mm: float) -> Self:
        """Its own turn and shift; structures are about two voxels across."""
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        shift = rng.uniform(0, _TILE, 3)
        return cls((turn / voxel_mm).astype(np.float32), shift.astype(np.float32))

    def at(self, points: Points) -> Points:
        """(n,), mean 0 and standard deviation 1, at ``points`` (3, n), mm."""
        i, j, k = (self.turn @ points + self.shift[:, None]).astype(np.int32) & (_TILE - 1)
        return np.asarray(_tile()[(i * _TILE + j) * _TILE + k])


@cache
def _tile() -> npt.NDArray[np.float32]:
    """Noise of two scales, (``_TILE``**3,); the same in every process."""
    noise = np.random.default_rng(0).normal(size=(2, _TILE, _TILE, _TILE))
    fine, coarse = (
        gaussian_filter(block, sigma, mode="wrap")
        for block, sigma in zip(noise, (0.8, 2.5), strict=True)
    )
    mixed = fine / fine.std() + 0.8 * coarse / coarse.std()
    return np.asarray(mixed / mixed.std(), np.float32).ravel()


def to_segment(points: Points, start: Vector, stop: Vector) -> Points:
    """Distance (n,) of ``points`` (3, n) from the segment between ``start`` and ``stop``, mm."""
    x, y, z = (float(part) for part in stop - start)
    # Component by component: rows of one large array would not stay in the cache.
    dx, dy, dz = (points[axis] - np.float32(origin) for axis, origin in enumerate(start.tolist()))
    share = dx * np.float32(x)
    share += dy * np.float32(y)
    share += dz * np.float32(z)
    share *= np.float32(1 / (x * x + y * y + z * z))
    np.clip(share, 0, 1, out=share)
    dx -= share * np.float32(x)
    dy -= share * np.float32(y)
    dz -= share * np.float32(z)
    dx *= dx
    dx += np.square(dy, out=dy)
    dx += np.square(dz, out=dz)
    return np.asarray(np.sqrt(dx, out=dx))


def blend_min(one: Points, other: Points, width: float) -> Points:
    """The union of two shapes given by distance, its crease filled over ``width`` mm."""
    crease = np.abs(one - other)
    np.subtract(np.float32(width), crease, out=crease)
    np.maximum(crease, 0, out=crease)
    crease *= crease
    crease *= np.float32(1 / (4 * width))
    return np.asarray(np.subtract(np.minimum(one, other), crease, out=crease))


def blend_max(one: Points, other: Points, width: float) -> Points:
    """The intersection of two shapes given by distance, its edge rounded over ``width`` mm."""
    return np.asarray(-blend_min(-one, -other, width))


def unit(vector: Vector) -> Vector:
    """``vector`` with length 1."""
    return np.asarray(vector / np.linalg.norm(vector))
