"""Two readers of one heart: what they differ in is what is told."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from models.evaluation.agreement import agreement_rows, pairs
from models.evaluation.held_out import Outlined


def drawn(patient: str, phase: str, found: float, true: float, wall: float = 500.0) -> Outlined:
    """One slice of so many mm2 of cavity; epicardium at end-diastole alone, found 100 too large."""
    epi = 0.95 if phase == "ED" else np.nan
    areas = (found + wall + 100, true + wall)
    return Outlined(patient, "none", phase, "mid", 0.9, epi, 1.0, 1.0, (found, true), areas)


def test_volumes_are_sums_over_the_slices_the_reader_drew() -> None:
    slices = [
        drawn("a", "ED", 1000, 1100),
        drawn("a", "ED", 900, 900),
        drawn("a", "ES", 600, 500),
    ]
    told = pairs(slices)
    assert [(one.found, one.drawn) for one in told["EDV, ml"]] == [(19.0, 20.0)]
    assert [(one.found, one.drawn) for one in told["ESV, ml"]] == [(6.0, 5.0)]
    (function,) = told["EF, %"]
    assert function.found == pytest.approx(100 * 13 / 19)
    assert function.drawn == pytest.approx(75)
    (mass,) = told["mass, g"]
    assert (mass.found, mass.drawn) == pytest.approx((12 * 1.05, 10 * 1.05))


def test_bias_and_limits_are_those_of_the_differences() -> None:
    off = {"a": (100.0, 2000.0, 900.0), "b": (-100.0, 2500.0, 1500.0), "c": (300.0, 3000.0, 1200.0)}
    slices = []
    for number, (name, (by, diastole, systole)) in enumerate(off.items()):
        slices.append(drawn(name, "ED", diastole + by, diastole, wall=500.0 + number))
        slices.append(drawn(name, "ES", systole, systole))
    row = agreement_rows(pairs(slices))["EDV, ml"]
    assert row["patients"] == 3
    assert row["bias"] == pytest.approx(1.0)
    assert row["limits of agreement"] == pytest.approx([1 - 1.96 * 2, 1 + 1.96 * 2])


def test_a_patient_without_epicardium_has_no_mass() -> None:
    told = pairs([drawn("a", "ES", 600, 500)])
    assert np.isnan(told["mass, g"][0].drawn)
    assert np.isnan(told["EF, %"][0].drawn)
