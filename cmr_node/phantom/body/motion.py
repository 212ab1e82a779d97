"""The heart beat in time: how far it has contracted and which valves are open.

The promise kept here: everything is a function of the phase, the fraction of the R-R interval
since the R wave taken modulo 1, and one beat ends exactly where it began.
"""

from __future__ import annotations

import numpy as np

END_SYSTOLE = 0.36  #: of the R-R interval
_TIMES = (0.0, END_SYSTOLE, 0.58, 0.84, 1.0)
_LEVELS = (0.0, 1.0, 0.22, 0.16, 0.0)


def contraction(phase: float) -> float:
    """How far the ventricles have contracted, 0 at end-diastole and 1 at end-systole.

    Ejection, early filling, diastasis, atrial kick.
    """
    phase %= 1.0
    begun = int(np.searchsorted(_TIMES, phase, side="right")) - 1
    (start, stop), (before, after) = _TIMES[begun : begun + 2], _LEVELS[begun : begun + 2]
    share = 0.5 - 0.5 * np.cos(np.pi * (phase - start) / (stop - start))
    return float(before + (after - before) * share)


def ejection(phase: float) -> float:
    """How fast blood leaves the ventricles, 0 to 1; the outlet valves are open where it is > 0."""
    return _hump(phase % 1.0, 0.02, END_SYSTOLE)


def filling(phase: float) -> float:
    """How fast blood enters the ventricles, 0 to 1: early filling, then the atrial kick."""
    phase %= 1.0
    return _hump(phase, 0.42, 0.62) + 0.6 * _hump(phase, 0.84, 1.0)


def inlets_closed(phase: float) -> bool:
    """Whether mitral and tricuspid valve are shut."""
    return phase % 1.0 < END_SYSTOLE + 0.06


def _hump(phase: float, start: float, stop: float) -> float:
    """0 up to ``start``, 1 in the middle, 0 again from ``stop``."""
    if not start < phase < stop:
        return 0.0
    return float(np.sin(np.pi * (phase - start) / (stop - start)))
