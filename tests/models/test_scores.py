"""Figures against what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models import scores

ROWS, COLUMNS = np.indices((80, 80))


def disc(radius: float, row: float = 40, column: float = 40) -> np.ndarray:
    return np.hypot(ROWS - row, COLUMNS - column) <= radius


def test_dice_of_the_same_of_nothing_and_of_half() -> None:
    assert scores.dice(disc(10), disc(10)) == 1
    assert scores.dice(disc(0.1) & ~disc(5), disc(0.1) & ~disc(5)) == 1
    assert scores.dice(disc(10), ~disc(10)) == 0
    left = disc(20) & (COLUMNS < 40)
    assert scores.dice(left, disc(20)) == pytest.approx(2 / 3, abs=0.02)


@pytest.mark.parametrize("spacing", [1.0, 1.33])
def test_the_distance_of_two_circles_is_that_of_their_radii(spacing: float) -> None:
    away = scores.perpendicular_distance(disc(20), disc(17), spacing)
    assert away == pytest.approx(3 * spacing, rel=0.06)
    assert scores.perpendicular_distance(disc(20), disc(20), spacing) == 0


def test_what_was_not_drawn_is_infinitely_far() -> None:
    assert scores.perpendicular_distance(disc(20) & ~disc(30), disc(20), 1.0) == np.inf


@pytest.mark.parametrize(
    ("errors", "patients", "bound"), [(0, 30, 0.095), (0, 45, 0.064), (30, 30, 1)]
)
def test_no_error_in_thirty_patients_proves_no_more_than_this(errors, patients, bound) -> None:
    assert scores.upper_bound(errors, patients) == pytest.approx(bound, abs=5e-4)


def test_the_interval_is_over_patients_and_not_over_slices() -> None:
    values, names = [0.0] * 50 + [1.0] * 50, ["a"] * 50 + ["b"] * 50
    figure, low, high = scores.over_patients(values, names)
    assert (figure, low, high) == (0.5, 0.0, 1.0)


def test_calibration_by_hand() -> None:
    error, bins = scores.calibration_error(
        np.array([0.95] * 10 + [0.55] * 10),
        np.array([True] * 9 + [False] + [True] * 5 + [False] * 5),
    )
    assert error == pytest.approx(0.05)
    assert [count for *_, count in bins] == [10, 10]


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_temperature_of_a_sampled_answer_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logs = rng.normal(0, 4, (4000, 8))
    odds = np.exp(logs / temperature)
    odds /= odds.sum(1, keepdims=True)
    truth = (odds.cumsum(1) > rng.random((4000, 1))).argmax(1)
    assert scores.fit_temperature(logs, truth) == pytest.approx(temperature, rel=0.08)
