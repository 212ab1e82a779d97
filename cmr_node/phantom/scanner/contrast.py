"""Contrasts drawn at random: every sequence with its settings spread, and none at all.

The promise kept here: shapes stay true whatever the contrast.  Two thirds of the draws obey the
equations with relaxation times spread by 12 %, the rest draws the brightness of every tissue
freely, after SynthSeg (Billot et al. 2021), which found unrealistic contrasts to suffice where
shapes are right.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
import numpy.typing as npt

from cmr_node.phantom.body.tissues import (
    CHAMBERS,
    LV_MUSCLE,
    ONE_SUBSTANCE,
    OPPOSED,
    Tissue,
    draw_jitter,
)
from cmr_node.phantom.scanner import signals
from cmr_node.phantom.scanner.acquire import Image
from cmr_node.phantom.scanner.molli import LONGEST_MS, Molli

JITTER_SD = 0.12  #: of the logarithm of T1, T2 and proton density


class Kind(StrEnum):
    """What a drawn contrast imitates."""

    CINE = "cine"
    LATE_ENHANCEMENT = "lge"
    T2 = "t2"
    T1_MAP = "t1"
    ANY = "any"  #: no sequence at all


SHARES = {
    Kind.CINE: 0.35,
    Kind.LATE_ENHANCEMENT: 0.15,
    Kind.T2: 0.10,
    Kind.T1_MAP: 0.10,
    Kind.ANY: 0.30,
}
_CHAMBERS = list(CHAMBERS)


@dataclass(frozen=True, slots=True)
class Contrast:
    """What each tissue gives, (tissues,) each; myocardium or blood is about 1."""

    kind: Kind
    signal: Image  #: signed; fat may oppose water
    roughness: Image  #: relative sd of the texture


def draw_contrast(rng: np.random.Generator, kind: Kind | None = None) -> Contrast:
    """One contrast; of a kind drawn by ``SHARES`` unless told which."""
    if kind is None:
        kind = Kind(str(rng.choice(list(SHARES), p=list(SHARES.values()))))
    rough = (signals.roughness() * np.exp(rng.normal(0, 0.5))).astype(np.float32)
    if kind is Kind.ANY:
        return Contrast(kind, _free(rng), np.minimum(rough, 0.3))
    tesla = float(rng.choice([1.5, 3.0]))
    jitter = draw_jitter(rng, (JITTER_SD, JITTER_SD, JITTER_SD))
    draw = {
        Kind.CINE: _cine,
        Kind.LATE_ENHANCEMENT: _late_enhancement,
        Kind.T2: _t2,
        Kind.T1_MAP: _t1_map,
    }[kind]
    signal = draw(rng, tesla, jitter)
    level = max(float(np.abs(signal[[Tissue.MYOCARDIUM, Tissue.LV_BLOOD]]).max()), 1e-6)
    return Contrast(kind, np.asarray(signal / level, np.float32), rough)


def _cine(
    rng: np.random.Generator, tesla: float, jitter: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    t1, t2, density = signals.relaxation(tesla, jitter)
    signal = signals.bssfp(t1, t2, density, rng.uniform(35, 75), rng.uniform(2.6, 3.6))
    signal[_CHAMBERS] *= rng.uniform(0.85, 1.5)  # fresh blood flows in
    return signal * signals.fat_sign()


def _late_enhancement(
    rng: np.random.Generator, tesla: float, jitter: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    t1, _, density = signals.relaxation(tesla, jitter, gadolinium=True)
    repetition = float(rng.uniform(700, 2200))
    null = signals.null_time(float(t1[Tissue.MYOCARDIUM]), repetition)
    return signals.inversion_recovery(t1, density, null * rng.uniform(0.85, 1.25), repetition)


def _t2(
    rng: np.random.Generator, tesla: float, jitter: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    t1, t2, density = signals.relaxation(tesla, jitter)
    signal = signals.spin_echo(t1, t2, density, rng.uniform(40, 80), rng.uniform(1400, 2600))
    if rng.random() < 0.6:
        signal[_CHAMBERS] *= rng.uniform(0.02, 0.3)
    if rng.random() < 0.5:
        signal[[*OPPOSED, Tissue.MARROW]] *= rng.uniform(0.05, 0.25)
    return signal


def _t1_map(
    rng: np.random.Generator, tesla: float, jitter: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Apparent T1 as a share of the longest a map shows; fat and blood alike carry no sign."""
    return _apparent(tesla) * jitter[:, 0] / LONGEST_MS


@cache
def _apparent(tesla: float) -> npt.NDArray[np.float64]:
    t1, t2, _ = signals.relaxation(tesla)
    return Molli().apparent(t1, t2, 950.0)


def _free(rng: np.random.Generator) -> Image:
    signal = rng.uniform(0.02, 1.2, len(Tissue))
    for first, *others in ONE_SUBSTANCE:
        signal[others] = signal[first]
    if rng.random() < 0.3:  # first pass: contrast medium has reached one side
        signal[[Tissue.RV_BLOOD, Tissue.RA_BLOOD]] *= rng.uniform(0.7, 1.3)
    if rng.random() < 0.6:  # no scar to be seen
        signal[list(LV_MUSCLE)] = signal[Tissue.MYOCARDIUM]
    if rng.random() < 0.4:
        signal[list(OPPOSED)] *= -1
    signal[Tissue.AIR] = rng.uniform(0, 0.05)
    signal[Tissue.LUNG] *= rng.uniform(0.05, 0.6)
    return np.asarray(signal, np.float32)
