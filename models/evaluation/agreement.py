"""Volumes and function by the networks against those of the readers' contours, patient by patient.

The promise kept here: both sides are summed over the same slices, those that a reader drew, so that
a difference comes of the outlines alone.  The PNG files do not say how far slices lie apart: all
volumes rest on ``STEP_MM``, the ejection fraction does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmr_node.measures.volumes import DENSITY_G_PER_ML
from models.evaluation.held_out import Outlined

STEP_MM = 10.0  #: from slice to slice, as in most Sunnybrook studies that say it
QUANTITIES = ("EDV, ml", "ESV, ml", "EF, %", "mass, g")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """One number of one patient, twice."""

    patient: str
    found: float
    drawn: float  #: by the reader


def pairs(outlined: Sequence[Outlined]) -> dict[str, list[Pair]]:
    """By quantity, one pair a patient; nan where the reader did not draw what it takes."""
    told: dict[str, list[Pair]] = {name: [] for name in QUANTITIES}
    for patient in sorted({one.patient for one in outlined}):
        rows = [one for one in outlined if one.patient == patient]
        sides = [_numbers(rows, side) for side in (0, 1)]
        for name, found, drawn in zip(QUANTITIES, *sides, strict=True):
            told[name].append(Pair(patient, found, drawn))
    return told


def agreement_rows(told: dict[str, list[Pair]]) -> dict[str, Row]:
    """Bias, 95 % limits of agreement (Bland and Altman 1986) and correlation."""
    rows = {}
    for name, each in told.items():
        both = np.array([(one.found, one.drawn) for one in each])
        both = both[np.isfinite(both).all(1)]
        apart = both[:, 0] - both[:, 1]
        spread = 1.96 * float(apart.std(ddof=1))
        rows[name] = {
            "patients": len(both),
            "bias": float(apart.mean()),
            "limits of agreement": [float(apart.mean()) - spread, float(apart.mean()) + spread],
            "mean, readers": float(both[:, 1].mean()),
            "correlation": float(np.corrcoef(both.T)[0, 1]),
        }
    return rows


def _numbers(rows: Sequence[Outlined], side: int) -> tuple[float, float, float, float]:
    """EDV, ESV, EF, mass; side 0 is what was found, 1 what the reader drew."""
    per_mm2 = STEP_MM / 1000
    cavity = {
        phase: per_mm2 * sum(one.endo_mm2[side] for one in rows if one.phase == phase)
        for phase in ("ED", "ES")
    }
    walled = [one for one in rows if one.phase == "ED" and np.isfinite(one.epi_dice)]
    muscle = per_mm2 * sum(one.epi_mm2[side] - one.endo_mm2[side] for one in walled)
    edv, esv = cavity["ED"], cavity["ES"]
    mass = muscle * DENSITY_G_PER_ML if walled else np.nan
    return edv, esv, 100 * (edv - esv) / edv if edv else np.nan, mass
