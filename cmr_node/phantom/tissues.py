"""What the simulated patient is made of, and how bright each tissue is in a cine image.

Relaxation times are those of 1.5 T, in milliseconds; where a range is published its middle is
taken.  Sources: myocardium Dabir 2014 and Granitz 2019; blood, fat, liver, bone and muscle the
tables of MRXCAT (Wissmann 2014) and MyoMapNet; lung, spleen, stomach and cortical bone are of
the right order but from no publication.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.uint8]


class Tissue(IntEnum):
    """The label of a point of the patient."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    CORTICAL_BONE = 3
    MARROW = 4
    LUNG = 5
    LIVER = 6
    SPLEEN = 7
    STOMACH = 8  #: its content, and that of the bowel
    FLUID = 9  #: cerebrospinal
    BLOOD = 10  #: vessels other than the heart's chambers
    VESSEL_WALL = 11  #: also valves
    LV_BLOOD = 12
    RV_BLOOD = 13
    ATRIAL_BLOOD = 14
    MYOCARDIUM = 15
    PAPILLARY = 16  #: left ventricular papillary muscles and trabeculae


@dataclass(frozen=True, slots=True)
class Spin:
    """T1 and T2 in ms, proton density relative to water, and the texture's relative sd."""

    t1_ms: float
    t2_ms: float
    density: float
    texture: float = 0.03
    opposed: bool = False  #: fat, whose signal opposes that of water at TE = TR / 2


_BLOOD = Spin(1400, 200, 0.90, 0.04)
_MYOCARDIUM = Spin(980, 50, 0.84, 0.05)
SPINS: dict[Tissue, Spin] = {
    Tissue.AIR: Spin(1000, 10, 0.0, 0.0),
    Tissue.FAT: Spin(290, 55, 0.65, 0.05, opposed=True),
    Tissue.MUSCLE: Spin(930, 43, 0.80, 0.10),
    Tissue.CORTICAL_BONE: Spin(250, 20, 0.10, 0.10),
    Tissue.MARROW: Spin(480, 48, 0.50, 0.12),
    Tissue.LUNG: Spin(1150, 35, 0.12, 0.30),
    Tissue.LIVER: Spin(640, 40, 0.86, 0.06),
    Tissue.SPLEEN: Spin(1050, 80, 0.85, 0.05),
    Tissue.STOMACH: Spin(1150, 85, 0.85, 0.12),
    Tissue.FLUID: Spin(2400, 500, 0.95, 0.03),
    Tissue.BLOOD: _BLOOD,
    Tissue.VESSEL_WALL: Spin(980, 45, 0.60, 0.05),
    Tissue.LV_BLOOD: _BLOOD,
    Tissue.RV_BLOOD: _BLOOD,
    Tissue.ATRIAL_BLOOD: _BLOOD,
    Tissue.MYOCARDIUM: _MYOCARDIUM,
    Tissue.PAPILLARY: _MYOCARDIUM,
}


def bssfp(spin: Spin, flip_deg: float, repetition_ms: float) -> float:
    """Steady-state signal of balanced SSFP on resonance at TE = TR / 2, arbitrary unit.

    S = PD sin(fa) (1 - E1) / (1 - (E1 - E2) cos(fa) - E1 E2) exp(-TE / T2), the Freeman-Hill
    formula for alternating pulses (Haacke et al., Magnetic Resonance Imaging, 2014, chapter 18).
    Negative for fat, so that a voxel of fat and water loses signal (the dark line around the
    heart in every cine image).
    """
    flip = np.deg2rad(flip_deg)
    e1, e2 = np.exp(-repetition_ms / spin.t1_ms), np.exp(-repetition_ms / spin.t2_ms)
    signal = spin.density * np.sin(flip) * (1 - e1) * np.exp(-repetition_ms / 2 / spin.t2_ms)
    signal /= 1 - (e1 - e2) * np.cos(flip) - e1 * e2
    return float(-signal if spin.opposed else signal)
