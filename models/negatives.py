"""Pictures that show no heart at all: test bottles, heads, noise, patterns.

What comes to a node by mistake is mostly another part of the body or a test object.  Nothing here
is a likeness; enough kinds of nothing teach a network that most pictures are not a heart.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Picture = npt.NDArray[np.float32]


def draw_negative(rng: np.random.Generator, size: int) -> Picture:
    """(size, size) of one kind or another."""
    makers = (_bottle, _head, _noise, _blobs, _pattern)
    picture = makers[int(rng.integers(len(makers)))](rng, size)
    return np.asarray(picture + rng.normal(0, rng.uniform(0.01, 0.2), (size, size)), np.float32)


def _bottle(rng: np.random.Generator, size: int) -> Picture:
    picture = _ellipse(rng, size, 0.15, 0.48) * rng.uniform(0.5, 1)
    for _ in range(int(rng.integers(0, 6))):
        picture = np.where(_ellipse(rng, size, 0.02, 0.12) > 0, rng.uniform(0, 1.2), picture)
    return _smooth(picture, rng)


def _head(rng: np.random.Generator, size: int) -> Picture:
    rows, columns = _grid(rng, size)
    outer = np.hypot(rows / rng.uniform(0.30, 0.46), columns / rng.uniform(0.26, 0.40))
    folds = ndimage.gaussian_filter(rng.normal(size=(size, size)), rng.uniform(1.2, 3))
    brain = 0.5 + 0.25 * np.sign(folds) * (np.abs(folds) > folds.std() * 0.4)
    dark = np.hypot(rows / 0.12, (np.abs(columns) - 0.05) / 0.03) < 1
    picture = np.where(outer < 0.84, np.where(dark, rng.uniform(0, 1), brain), 0.02)
    return _smooth(np.where((outer > 0.9) & (outer < 1), rng.uniform(0.5, 1.2), picture), rng)


def _noise(rng: np.random.Generator, size: int) -> Picture:
    return np.asarray(
        ndimage.gaussian_filter(rng.normal(size=(size, size)), rng.uniform(0, 4)), np.float32
    )


def _blobs(rng: np.random.Generator, size: int) -> Picture:
    picture = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(2, 14))):
        picture = np.where(_ellipse(rng, size, 0.03, 0.35) > 0, rng.uniform(0, 1), picture)
    return _smooth(picture, rng)


def _pattern(rng: np.random.Generator, size: int) -> Picture:
    rows, columns = _grid(rng, size)
    waves = np.sin(rows * rng.uniform(5, 90)) * np.sin(columns * rng.uniform(5, 90))
    return np.asarray(waves + rng.normal() * rows + rng.normal() * columns, np.float32)


def _grid(rng: np.random.Generator, size: int) -> tuple[Picture, Picture]:
    """Row and column as shares of the size, shifted and turned."""
    rows, columns = (np.indices((size, size), np.float32) - (size - 1) / 2) / size
    rows, columns = rows - rng.normal(0, 0.04), columns - rng.normal(0, 0.04)
    angle = rng.uniform(0, 2 * np.pi)
    return (
        np.asarray(rows * np.cos(angle) + columns * np.sin(angle), np.float32),
        np.asarray(columns * np.cos(angle) - rows * np.sin(angle), np.float32),
    )


def _ellipse(rng: np.random.Generator, size: int, least: float, most: float) -> Picture:
    rows, columns = _grid(rng, size)
    rows, columns = rows - rng.uniform(-0.2, 0.2), columns - rng.uniform(-0.2, 0.2)
    inside = np.hypot(rows / rng.uniform(least, most), columns / rng.uniform(least, most)) < 1
    return np.asarray(inside, np.float32)


def _smooth(picture: Picture, rng: np.random.Generator) -> Picture:
    return np.asarray(ndimage.gaussian_filter(picture, rng.uniform(0.4, 1.5)), np.float32)
