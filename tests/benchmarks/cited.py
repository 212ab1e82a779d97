"""What the ratios between blood, fat and muscle should be by publications alone.

The promise kept here: nothing of the phantom is used, neither its table nor its code.  Relaxation
times are drawn evenly from the ranges that are cited, and the plain equation of each sequence
makes ratios of them; so a mistake in the phantom cannot make its own expectation true.

T1 and T2 in ms.  Muscle: Dabir 2014 and Granitz 2019 (T1, as MOLLI shows it), Ugander 2012,
Granitz 2019 and Hanson 2020 (T2; 44 to 48 at 3 T without GraSE, 52 with it).  Blood: Wissmann 2014
and MyoMapNet.  Fat: Wissmann 2014.  After gadolinium: JCMR 2013 15:11, Open Heart 2018, MyoMapNet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Range = tuple[float, float]

DRAWS = 4000
REPETITION_MS = 3.0  #: of a cine; 2.8 to 3.6 are usual and change no ratio by more than 1 %
FLIP_DEG = {1.5: (50.0, 75.0), 3.0: (35.0, 55.0)}  #: of 35 to 75, by what the field allows
INFLOW = (0.7, 1.3)  #: by what moving blood differs from the steady state
AIMED_AT = {1.5: (2.5, 2.8), 3.0: (2.0, 2.2)}
"""Blood / muscle of cine as a prototype's equations gave it, not measured in patients."""
ECHO_MS, BEATS_MS = (40.0, 80.0), (1500.0, 2300.0)  #: of T2-weighted spin echo
BLACK_BLOOD, STIR_FAT = (0.02, 0.3), (0.05, 0.25)  #: what is left of the signal of each
SHOWN = {"blood": 1639 / 1750, "fat": 417 / 450}  #: MOLLI 5(3)3: apparent by true T1


@dataclass(frozen=True, slots=True)
class Cited:
    """Ranges of one tissue at one field strength."""

    t1: Range
    t2: Range
    density: Range
    gadolinium_t1: Range


TISSUES: Mapping[float, Mapping[str, Cited]] = {
    1.5: {
        "blood": Cited((1200, 1550), (100, 285), (0.79, 0.95), (442, 457)),
        "muscle": Cited((929, 1027), (49, 59), (0.80, 0.88), (452, 628)),
        "fat": Cited((240, 350), (30, 80), (0.60, 0.70), (240, 350)),
    },
    3.0: {
        "blood": Cited((1820, 1888), (150, 150), (0.79, 0.95), (499, 529)),
        "muscle": Cited((1029, 1221), (44, 55), (0.80, 0.88), (600, 660)),
        "fat": Cited((240, 350), (30, 80), (0.60, 0.70), (240, 350)),
    },
}


@dataclass(frozen=True, slots=True)
class Expected:
    """A ratio: the middle of what the cited ranges give, and the 5th and 95th centile."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratios(tesla: float) -> dict[tuple[str, str, str], Expected]:
    """(sequence, tissue, reference) -> ratio of their signals, fat's by magnitude.

    Late enhancement is given relative to blood: muscle is nulled, so nothing can be divided by it.
    """
    rng = np.random.default_rng(0)
    drawn = {
        name: tuple(rng.uniform(*limits, DRAWS) for limits in (of.t1, of.t2, of.density))
        for name, of in TISSUES[tesla].items()
    }
    after = {name: rng.uniform(*of.gadolinium_t1, DRAWS) for name, of in TISSUES[tesla].items()}
    density = {name: values[2] for name, values in drawn.items()}
    null_of = after["muscle"]
    cine = _cine(drawn, np.deg2rad(rng.uniform(*FLIP_DEG[tesla], DRAWS)))
    cine["blood"] = cine["blood"] * rng.uniform(*INFLOW, DRAWS)
    repetition = rng.uniform(*BEATS_MS, DRAWS)
    longitudinal = {name: _recovery(t1, null_of, repetition) for name, t1 in after.items()}
    spin_echo = _spin_echo(drawn, rng.uniform(*ECHO_MS, DRAWS), repetition)
    dark = spin_echo | {
        "blood": spin_echo["blood"] * rng.uniform(*BLACK_BLOOD, DRAWS),
        "fat": spin_echo["fat"] * rng.uniform(*STIR_FAT, DRAWS),
    }
    shown = {name: drawn[name][0] * SHOWN.get(name, 1.0) for name in drawn}
    found = {}
    for sequence, values, reference in (
        ("cine", cine, "muscle"),
        ("lge", {name: m * density[name] for name, m in longitudinal.items()}, "blood"),
        ("psir", longitudinal, "blood"),
        ("t2", dark, "muscle"),
        ("t1", shown, "muscle"),
    ):
        for name in ("blood", "fat"):
            if name != reference:
                quotient = values[name] / values[reference]
                low, middle, high = np.percentile(quotient, (5, 50, 95))
                found[sequence, name, reference] = Expected(middle, low, high)
    return found


def _cine(drawn: Mapping[str, tuple[Array, ...]], flip: Array) -> dict[str, Array]:
    """S = PD sin(fa) exp(-TE / T2) / ((T1 / T2 + 1) - cos(fa) (T1 / T2 - 1)), TE = TR / 2."""
    return {
        name: density
        * np.sin(flip)
        * np.exp(-REPETITION_MS / 2 / t2)
        / ((t1 / t2 + 1) - np.cos(flip) * (t1 / t2 - 1))
        for name, (t1, t2, density) in drawn.items()
    }


def _recovery(t1: Array, nulled: Array, repetition: Array) -> Array:
    """1 - 2 exp(-TI / T1) + exp(-TR / T1), TI where a tissue of T1 ``nulled`` gives nothing."""
    inversion = nulled * np.log(2 / (1 + np.exp(-repetition / nulled)))
    return np.asarray(1 - 2 * np.exp(-inversion / t1) + np.exp(-repetition / t1))


def _spin_echo(
    drawn: Mapping[str, tuple[Array, ...]], echo: Array, repetition: Array
) -> dict[str, Array]:
    """PD (1 - exp(-TR / T1)) exp(-TE / T2)."""
    return {
        name: density * (1 - np.exp(-repetition / t1)) * np.exp(-echo / t2)
        for name, (t1, t2, density) in drawn.items()
    }
