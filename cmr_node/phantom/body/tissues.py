"""What the simulated patient is made of: labels, and the relaxation of each tissue.

The promise kept here: one number of each kind per tissue and field strength, with its source;
where a range is published its middle is taken, and what no publication gives is said.

T1 and T2 in ms, at 1.5 T and 3 T.  Myocardium: the T1 that makes a MOLLI map show the published
normal value (Dabir 2014: 950 and 1052; see ``molli``), and the T2 pooled from 42 studies (Hanson
2020, PMC7605362: 52 and 46; the 56 and 52 of Granitz 2019 are of GraSE, which reads longer).
Blood, fat, liver, muscle, bone: tables of MRXCAT (Wissmann 2014) and MyoMapNet.  Acute oedema and
infarct: Ferreira 2012, Layland 2017; chronic scar: a multicentre study of 2020 (PMC7363195).
Fifteen minutes after gadolinium: JCMR 2013 15:11 and MyoMapNet.  Lung, spleen, gastric and bowel
content, cartilage and kidney are of the right order but from no publication.
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
    STOMACH = 8  #: its content
    FLUID = 9  #: cerebrospinal
    BLOOD = 10  #: arteries and veins other than the heart's chambers
    VESSEL_WALL = 11  #: also atrial wall and valves
    LV_BLOOD = 12  #: from the mitral to the aortic valve
    RV_BLOOD = 13  #: from the tricuspid to the pulmonary valve
    LA_BLOOD = 14
    MYOCARDIUM = 15  #: of the left ventricle, healthy
    PAPILLARY = 16  #: left ventricular papillary muscles and trabeculae
    RA_BLOOD = 17
    RV_WALL = 18
    SCAR = 19  #: infarct, or the fibrosis of another disease
    BORDER = 20  #: zone between scar and healthy muscle
    NO_REFLOW = 21  #: core of an acute infarct that contrast medium does not reach
    OEDEMA = 22  #: swollen muscle round an acute infarct
    PERICARDIUM = 23
    EPICARDIAL_FAT = 24
    CARTILAGE = 25
    BOWEL = 26  #: its content
    KIDNEY = 27
    CORD = 28  #: spinal
    SKIN = 29


LV_CAVITY = (Tissue.LV_BLOOD, Tissue.PAPILLARY)
"""What is inside the endocardial contour where papillary muscles count as cavity."""
CHAMBERS = (Tissue.LV_BLOOD, Tissue.RV_BLOOD, Tissue.LA_BLOOD, Tissue.RA_BLOOD)
"""Blood in the heart."""
SCARRED = (Tissue.SCAR, Tissue.NO_REFLOW)
"""What counts as scar; the border zone does not."""
LV_MUSCLE = (Tissue.MYOCARDIUM, Tissue.SCAR, Tissue.BORDER, Tissue.NO_REFLOW, Tissue.OEDEMA)
"""What is between endocardial and epicardial contour of the left ventricle."""
ONE_SUBSTANCE = (
    (*CHAMBERS, Tissue.BLOOD),
    (Tissue.MYOCARDIUM, Tissue.PAPILLARY, Tissue.RV_WALL),
    (Tissue.FAT, Tissue.EPICARDIAL_FAT),
)
"""Labels that differ in place alone."""
OPPOSED = (Tissue.FAT, Tissue.EPICARDIAL_FAT)
"""What holds mostly fat, whose signal opposes that of water at TE = TR / 2."""


@dataclass(frozen=True, slots=True)
class Spin:
    """T1 and T2 in ms, proton density relative to water."""

    t1_ms: float
    t2_ms: float
    density: float
    roughness: float = 0.04  #: relative sd of the texture
    gadolinium_t1_ms: float = 0.0  #: T1 15 minutes after contrast medium; 0: as before it


def _table(tesla: float) -> dict[Tissue, Spin]:
    at3 = tesla > 2

    def of(low: float, high: float) -> float:
        return high if at3 else low

    blood = Spin(of(1550, 1850), of(200, 150), 0.90, 0.05, of(450, 514))
    muscle = Spin(of(1060, 1192), of(52, 46), 0.84, 0.13, of(540, 630))
    fat = Spin(of(260, 350), of(55, 50), 0.70, 0.10)
    return {
        Tissue.AIR: Spin(1000, 10, 0.0, 0.0),
        Tissue.FAT: fat,
        Tissue.MUSCLE: Spin(of(930, 1100), of(43, 38), 0.80, 0.22, of(560, 640)),
        Tissue.CORTICAL_BONE: Spin(250, 12, 0.08, 0.2),
        Tissue.MARROW: Spin(of(520, 580), 44, 0.42, 0.15),
        Tissue.LUNG: Spin(of(1150, 1300), of(30, 22), 0.035, 0.6, 500),
        Tissue.LIVER: Spin(of(600, 780), of(42, 34), 0.82, 0.14, of(420, 480)),
        Tissue.SPLEEN: Spin(of(1050, 1250), of(80, 62), 0.85, 0.10, of(430, 480)),
        Tissue.STOMACH: Spin(of(1150, 1300), 85, 0.85, 0.16),
        Tissue.FLUID: Spin(of(3200, 3800), 900, 0.98, 0.03),
        Tissue.BLOOD: blood,
        Tissue.VESSEL_WALL: Spin(of(1000, 1150), 42, 0.70, 0.05, 520),
        Tissue.LV_BLOOD: blood,
        Tissue.RV_BLOOD: blood,
        Tissue.LA_BLOOD: blood,
        Tissue.RA_BLOOD: blood,
        Tissue.MYOCARDIUM: muscle,
        Tissue.PAPILLARY: muscle,
        Tissue.RV_WALL: muscle,
        Tissue.SCAR: Spin(of(1330, 1560), of(64, 58), 0.86, 0.07, of(415, 470)),
        Tissue.BORDER: Spin(of(1180, 1330), of(57, 51), 0.85, 0.07, of(475, 545)),
        Tissue.NO_REFLOW: Spin(of(1150, 1250), of(50, 44), 0.80, 0.06, of(900, 1000)),
        Tissue.OEDEMA: Spin(of(1260, 1460), of(71, 62), 0.88, 0.06, of(500, 580)),
        Tissue.PERICARDIUM: Spin(of(900, 1000), 25, 0.30, 0.05),
        Tissue.EPICARDIAL_FAT: fat,
        Tissue.CARTILAGE: Spin(of(1000, 1150), 32, 0.62, 0.08),
        Tissue.BOWEL: Spin(of(1100, 1300), 70, 0.80, 0.25),
        Tissue.KIDNEY: Spin(of(1150, 1300), of(85, 75), 0.86, 0.07, 330),
        Tissue.CORD: Spin(of(900, 1000), of(78, 70), 0.72, 0.05),
        Tissue.SKIN: Spin(of(850, 950), 30, 0.60, 0.05),
    }


_SPINS = {1.5: _table(1.5), 3.0: _table(3.0)}
SPINS = _SPINS[1.5]


def spins(tesla: float) -> dict[Tissue, Spin]:
    """The tissues at a field strength of 1.5 or 3 T.

    Raises
    ------
    ValueError
        Another field strength.
    """
    if tesla not in _SPINS:
        raise ValueError(f"no tissue values at {tesla:g} T, allowed are 1.5 and 3")
    return _SPINS[tesla]


def draw_jitter(
    rng: np.random.Generator, spread: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """(tissues, 3): factors on T1, T2 and proton density, as one patient differs from another.

    ``spread`` is the sd of their logarithms.  What is one substance gets one set of factors: a
    few per cent between the blood of two chambers would show where inversion nearly nulls it.
    """
    jitter = np.exp(rng.normal(0, spread, (len(Tissue), 3)))
    for first, *others in ONE_SUBSTANCE:
        jitter[others] = jitter[first]
    return np.asarray(jitter, np.float32)
