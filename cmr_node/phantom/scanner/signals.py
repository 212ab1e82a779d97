"""How bright a tissue is in each sequence: equations of magnetic resonance, on resonance.

The promise kept here: signals are signed and relative to the equilibrium magnetisation of water,
so tissues may be averaged in a voxel before the magnitude is taken, and fat that opposes water
takes signal away (the dark line around the heart in every cine image).

All functions take arrays of T1 and T2 (ms) and proton density of one shape and return that shape.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmr_node.phantom.body.tissues import OPPOSED, Tissue, spins

Array = npt.NDArray[np.float64]


def relaxation(
    tesla: float, jitter: npt.NDArray[np.float32] | None = None, gadolinium: bool = False
) -> tuple[Array, Array, Array]:
    """T1 (ms), T2 (ms) and proton density of every :class:`Tissue`, (tissues,) each.

    Parameters
    ----------
    jitter
        (tissues, 3), the patient's own factors on the three.
    gadolinium
        Whether contrast medium was given 15 minutes before.
    """
    table = np.array(
        [
            ((gadolinium and spin.gadolinium_t1_ms) or spin.t1_ms, spin.t2_ms, spin.density)
            for spin in (spins(tesla)[tissue] for tissue in Tissue)
        ]
    )
    if jitter is not None:
        table *= jitter
    return table[:, 0], table[:, 1], table[:, 2]


def roughness() -> Array:
    """Relative standard deviation of each tissue's texture, (tissues,)."""
    return np.array([spins(1.5)[tissue].roughness for tissue in Tissue])


def fat_sign() -> Array:
    """-1 for tissues of fat and 1 for the others, (tissues,): bSSFP at TE = TR / 2."""
    return np.array([-1.0 if tissue in OPPOSED else 1.0 for tissue in Tissue])


def bssfp(t1: Array, t2: Array, density: Array, flip_deg: float, repetition_ms: float) -> Array:
    """Steady state of balanced SSFP at TE = TR / 2.

    S = PD sin(fa) (1 - E1) / (1 - (E1 - E2) cos(fa) - E1 E2) exp(-TE / T2), the Freeman-Hill
    formula for alternating pulses (Haacke et al., Magnetic Resonance Imaging, 2014, chapter 18).
    """
    flip = np.deg2rad(flip_deg)
    e1, e2 = np.exp(-repetition_ms / t1), np.exp(-repetition_ms / t2)
    signal = density * np.sin(flip) * (1 - e1) * np.exp(-repetition_ms / 2 / t2)
    return np.asarray(signal / (1 - (e1 - e2) * np.cos(flip) - e1 * e2))


def banding(
    off_resonance_hz: npt.NDArray[np.float32], flip_deg: float, repetition_ms: float
) -> npt.NDArray[np.float32]:
    """What off-resonance leaves of a bSSFP signal, relative to resonance; shape as given.

    The steady state of pulses with a phase advance beta between them (Haacke 2014, chapter 18),
    for muscle: near 1 in the passband, near 0 where beta is a whole turn, 1 / (2 TR) away.
    """
    flip = np.deg2rad(flip_deg)
    e1, e2 = np.exp(-repetition_ms / 1000), np.exp(-repetition_ms / 50)
    advance = np.pi * (1 + 2 * off_resonance_hz * repetition_ms * 1e-3)

    def signal(beta: npt.NDArray[np.float32] | float) -> npt.NDArray[np.float32]:
        cosine = np.cos(beta)
        below = (1 - e1 * np.cos(flip)) * (1 - e2 * cosine) - e2 * (e1 - np.cos(flip)) * (
            e2 - cosine
        )
        return np.asarray(np.sqrt(1 + e2**2 - 2 * e2 * cosine) / below)

    return np.asarray(signal(advance) / signal(float(np.pi)), np.float32)


def inversion_recovery(
    t1: Array, density: Array, inversion_ms: float, repetition_ms: float
) -> Array:
    """Longitudinal magnetisation at the inversion time, inverted every ``repetition_ms``.

    M = PD (1 - 2 exp(-TI / T1) + exp(-TR / T1)): late enhancement, one or two beats apart.
    """
    return np.asarray(density * (1 - 2 * np.exp(-inversion_ms / t1) + np.exp(-repetition_ms / t1)))


def null_time(t1: float, repetition_ms: float) -> float:
    """The inversion time (ms) at which a tissue of ``t1`` gives no signal."""
    return float(t1 * np.log(2 / (1 + np.exp(-repetition_ms / t1))))


def spin_echo(t1: Array, t2: Array, density: Array, echo_ms: float, repetition_ms: float) -> Array:
    """Turbo spin echo or T2-prepared readout: PD (1 - exp(-TR / T1)) exp(-TE / T2)."""
    return np.asarray(density * (1 - np.exp(-repetition_ms / t1)) * np.exp(-echo_ms / t2))
