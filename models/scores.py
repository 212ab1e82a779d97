"""Figures, from arrays: overlap, distance of contours, accuracy with its bounds, calibration.

The promise kept here: an interval is over patients, never over slices or turned copies, which do
not add to what is known; and what the network did not draw counts as drawn wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import contourpy
import numpy as np
import numpy.typing as npt
from scipy import optimize, stats
from scipy.spatial import cKDTree

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

GOOD_MM = 5.0  #: a contour nearer than this on average is a good one (MICCAI 2009 challenge)
_STEP = 0.1  #: pixels between the points of a contour


def dice(found: Mask, truth: Mask) -> float:
    """2 |A and B| / (|A| + |B|); 1 where both are empty."""
    size = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / size if size else 1.0


def perpendicular_distance(found: Mask, truth: Mask, spacing: float) -> float:
    """Mean distance (mm) from the contour found to the true one; infinite if there is none.

    The average perpendicular distance of Radau 2009: over all points of the contour found.
    """
    here, there = (_contour(mask) for mask in (found, truth))
    if not len(here) or not len(there):
        return float("inf")
    return float(cKDTree(there).query(here)[0].mean()) * spacing


def _contour(mask: Mask) -> Floats:
    """(points, 2) evenly along the longest contour at half height."""
    lines = contourpy.contour_generator(z=np.pad(mask, 1).astype(float)).lines(0.5)
    if not lines:
        return np.empty((0, 2))
    longest = max((np.asarray(line) for line in lines), key=len)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(longest, axis=0), axis=1))])
    steps = np.arange(0, along[-1], _STEP)
    return np.stack([np.interp(steps, along, longest[:, axis]) for axis in (0, 1)], 1)


def upper_bound(errors: int, patients: int, confidence: float = 0.95) -> float:
    """One-sided Clopper-Pearson bound on the share of patients that go wrong."""
    if errors >= patients:
        return 1.0
    return float(stats.beta.ppf(confidence, errors + 1, patients - errors))


def over_patients(
    values: Sequence[float],
    patients: Sequence[str],
    figure: Callable[[Floats], float] = lambda values: float(values.mean()),
    draws: int = 1000,
) -> tuple[float, float, float]:
    """A figure and its 95 % interval by bootstrap over patients; the mean unless told."""
    kept, names = np.asarray(values, np.float64), np.asarray(patients)
    groups = [kept[names == name] for name in np.unique(names)]
    rng = np.random.default_rng(0)
    drawn = [
        figure(np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))]))
        for _ in range(draws)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return figure(kept), float(low), float(high)


def calibration_error(
    confidence: Floats, correct: Mask, bins: int = 10
) -> tuple[float, list[tuple[float, float, int]]]:
    """ECE, and per bin that holds any: mean confidence, share correct, count."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    told = [
        (float(confidence[place == b].mean()), float(correct[place == b].mean()),
         int((place == b).sum()))
        for b in range(bins) if (place == b).any()
    ]  # fmt: skip
    error = sum(abs(sure - right) * count for sure, right, count in told) / len(confidence)
    return error, told


def fit_temperature(logs: Floats, truth: npt.NDArray[np.int64]) -> float:
    """The T of the smallest negative log-likelihood of softmax(logs / T).

    Parameters
    ----------
    logs
        (n, classes), of n patients.
    truth
        (n,).
    """

    def cost(log_t: float) -> float:
        scaled = logs / np.exp(log_t)
        scaled = scaled - scaled.max(1, keepdims=True)
        chosen = scaled[np.arange(len(truth)), truth]
        return float((np.log(np.exp(scaled).sum(1)) - chosen).mean())

    found = optimize.minimize_scalar(cost, bounds=(-2.0, 5.0), method="bounded")
    return float(np.exp(found.x))
