"""A native T1 map as MOLLI 5(3)3 measures it.

The promise kept here: the map comes from the simulated train and a fit, never from the T1 that
went in, so it shows the apparent T1, some ten per cent short in muscle as in patients.

Scheme: Messroghli 2004 as shortened by Kellman 2012: an inversion, five images in five beats,
three beats of rest, an inversion, three images.  Each image is a bSSFP readout of ``pulses``
pulses whose transient decays per pulse by E1 cos^2(fa / 2) + E2 sin^2(fa / 2) (Scheffler 2003).
The fit is A - B exp(-t / T1*), and T1 = T1* (B / A - 1) (Look and Locker's correction).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]

LONGEST_MS = 4000.0  #: a map shows no more
_CANDIDATES = np.geomspace(60, 5000, 90)  #: of T1*, ms


@dataclass(frozen=True, slots=True)
class Molli:
    """The train; times in ms."""

    flip_deg: float = 35.0
    pulse_ms: float = 2.7  #: from one pulse of the readout to the next
    pulses: int = 70
    shortest_ms: tuple[float, float] = (120.0, 200.0)  #: inversion times after each inversion
    efficiency: float = 0.96  #: of the inversion

    def times(self, beat_ms: float) -> Array:
        """Inversion times of the eight images, in the order of the train."""
        first, second = self.shortest_ms
        return np.concatenate([first + beat_ms * np.arange(5), second + beat_ms * np.arange(3)])

    def signals(self, t1: Array, t2: Array, density: Array, beat_ms: float) -> Array:
        """Signed signal of each tissue in the eight images: (8, tissues)."""
        e1, e2 = np.exp(-self.pulse_ms / t1), np.exp(-self.pulse_ms / t2)
        flip = np.deg2rad(self.flip_deg)
        decay = e1 * np.cos(flip / 2) ** 2 + e2 * np.sin(flip / 2) ** 2
        # Steady state along the cone of half the flip angle, on which all of it lies.
        steady = 2 * np.cos(flip / 2) * (1 - e1) / (1 - (e1 - e2) * np.cos(flip) - e1 * e2)
        before = self.pulses // 2
        readout = self.pulses * self.pulse_ms
        magnetisation = np.ones_like(t1)
        images = []
        for first, beats, rest in zip(self.shortest_ms, (5, 3), (3, 0), strict=True):
            magnetisation = -self.efficiency * magnetisation
            wait = first - before * self.pulse_ms
            for beat in range(beats):
                magnetisation = 1 + (magnetisation - 1) * np.exp(-wait / t1)
                at_echo = steady + (magnetisation - steady) * decay**before
                images.append(density * at_echo * np.sin(flip / 2))
                magnetisation = steady + (magnetisation - steady) * decay**self.pulses
                wait = beat_ms - readout
                if beat == beats - 1:
                    wait += rest * beat_ms
            magnetisation = 1 + (magnetisation - 1) * np.exp(-wait / t1)
        return np.stack(images)

    def apparent(self, t1: Array, t2: Array, beat_ms: float) -> Array:
        """The T1 (ms) that the map shows for tissues of true ``t1`` and ``t2``."""
        signals = self.signals(t1, t2, np.ones_like(t1), beat_ms)
        return fit(signals.astype(np.float32), self.times(beat_ms)).astype(np.float64)


def fit(signals: Single, times: Array) -> Single:
    """T1 (ms) of each column by least squares over A, B and T1*.

    Parameters
    ----------
    signals
        (images, n), signed.
    times
        (images,), inversion times in ms.

    Returns
    -------
    (n,), 0 to ``LONGEST_MS``; noise alone gives anything in between, as it does on a scanner.

    Notes
    -----
    A and B are linear, so T1* is found by projection on the two basis functions of each
    candidate, refined by the parabola through the best three (variable projection).
    """
    basis = np.exp(-times / _CANDIDATES[:, None])
    ones = np.full_like(basis, 1 / np.sqrt(len(times)))
    ortho = basis - basis.mean(axis=1, keepdims=True)
    ortho /= np.linalg.norm(ortho, axis=1, keepdims=True)
    explained = (ortho.astype(np.float32) @ signals) ** 2 + (
        ones[:1].astype(np.float32) @ signals
    ) ** 2
    best = np.clip(explained.argmax(axis=0), 1, len(_CANDIDATES) - 2)
    columns = np.arange(signals.shape[1])
    below, at, above = (explained[best + step, columns] for step in (-1, 0, 1))
    bend = below - 2 * at + above
    offset = np.where(bend < 0, 0.5 * (below - above) / np.minimum(bend, -1e-12), 0)
    step = np.log(_CANDIDATES[1] / _CANDIDATES[0])
    star = (_CANDIDATES[best] * np.exp(step * np.clip(offset, -1, 1))).astype(np.float32)
    decay = np.exp(-times.astype(np.float32)[:, None] / star)
    mean_decay, mean = decay.mean(axis=0), signals.mean(axis=0)
    spread = ((decay - mean_decay) ** 2).sum(axis=0)
    b = -((decay - mean_decay) * (signals - mean)).sum(axis=0) / np.maximum(spread, 1e-12)
    a = mean + b * mean_decay
    safe = np.where(np.abs(a) > 1e-9, a, np.float32(1e-9))
    return np.asarray(np.clip(star * (b / safe - 1), 0, LONGEST_MS), np.float32)
