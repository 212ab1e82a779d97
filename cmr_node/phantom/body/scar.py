"""Scar in the left ventricular wall, as a function of places that move with the muscle.

The promise kept here: a place is named by the level along the ventricle, the angle round it and
the depth in the wall at end-diastole, so a scar keeps its share of the muscle over the beat and
its transmurality can be computed without an image.

The angle is that of AHA's picture (Cerqueira 2002): short axis seen from the apex, anterior wall
up, septum left; counted from the right, counter-clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np

from cmr_node.phantom.body.fields import Points
from cmr_node.phantom.body.tissues import Labels, Tissue


class Pattern(StrEnum):
    """Where in the wall scar lies."""

    ISCHAEMIC = "ischaemic"  #: from the endocardium outwards, in the territory of one artery
    MID_WALL = "mid-wall"  #: septal stripe, as in dilated cardiomyopathy
    EPICARDIAL = "epicardial"  #: from the epicardium inwards, lateral, as after myocarditis
    PATCHY = "patchy"  #: at the insertions of the right ventricle, as in hypertrophy


_TERRITORIES = {  # angle of the centre in degrees, level of the centre: anterior, right, circumflex
    "lad": ((85, 160), (0.55, 0.85)),
    "rca": ((215, 285), (0.20, 0.55)),
    "lcx": ((310, 380), (0.20, 0.55)),
}


@dataclass(frozen=True, slots=True)
class Scar:
    """One scar; angles in radians, levels as shares of the ventricle's length from the base."""

    pattern: Pattern
    territory: str  #: lad, rca, lcx; empty where no artery explains it
    angle: float
    half_width: float
    level: float
    half_length: float
    depth: float  #: share of the wall reached in the middle of the scar, 0 to 1
    no_reflow: bool  #: whether the core of the infarct is without flow
    acute: bool  #: whether oedema surrounds it; an old infarct has thinned the wall instead
    ragged: tuple[float, float, float]  #: phases of the outline's unevenness, rad

    @classmethod
    def infarct(cls, rng: np.random.Generator) -> Self:
        """An infarct in the territory of one coronary artery."""
        territory = str(rng.choice(list(_TERRITORIES)))
        angles, levels = _TERRITORIES[territory]
        acute = bool(rng.random() < 0.4)
        return cls(
            pattern=Pattern.ISCHAEMIC,
            territory=territory,
            angle=float(np.radians(rng.uniform(*angles))),
            half_width=float(np.radians(rng.uniform(38, 70))),
            level=float(rng.uniform(*levels)),
            half_length=float(rng.uniform(0.25, 0.42)),
            depth=float(rng.uniform(0.3, 1.0)),
            no_reflow=acute and bool(rng.random() < 0.5),
            acute=acute,
            ragged=_phases(rng),
        )

    @classmethod
    def fibrosis(cls, rng: np.random.Generator, pattern: Pattern) -> Self:
        """The scar of a disease of the muscle itself."""
        angles = {
            Pattern.MID_WALL: (160, 215),
            Pattern.EPICARDIAL: (320, 375),
            Pattern.PATCHY: (112, 128),
        }[pattern]
        return cls(
            pattern=pattern,
            territory="",
            angle=float(np.radians(rng.uniform(*angles))),
            half_width=float(np.radians(rng.uniform(25, 50))),
            level=float(rng.uniform(0.2, 0.5)),
            half_length=float(rng.uniform(0.2, 0.4)),
            depth=float(rng.uniform(0.25, 0.55)),
            no_reflow=False,
            acute=False,
            ragged=_phases(rng),
        )

    def nearness(self, cosine: Points, sine: Points, level: Points) -> Points:
        """1 in the middle of the scar, 0 at its outline, negative outside.

        ``cosine`` and ``sine`` are of the angle; the chord stands for the arc.
        """
        along = cosine * np.float32(np.cos(self.angle)) + sine * np.float32(np.sin(self.angle))
        a, b, c = self.ragged
        uneven = np.sin(5 * cosine + 7 * level + a) + np.sin(6 * sine - 9 * level + b)
        uneven += np.sin(11 * (cosine - sine) + 8 * level + c)
        distance = 2 * (1 - along) / self.half_width**2
        distance += ((level - self.level) / self.half_length) ** 2
        return np.asarray(1 - distance + np.float32(0.09) * uneven, np.float32)

    def reach(self, nearness: Points) -> Points:
        """Share of the wall that is scar on a ray through it, 0 to 1: its transmurality."""
        return np.asarray(np.float32(self.depth) * np.sqrt(np.clip(1.5 * nearness, 0, 1)))

    def stiffness(self, nearness: Points) -> Points:
        """Share of the motion the wall has lost there, 0 to 1."""
        return np.asarray(np.clip(1.4 * nearness + 0.2, 0, 1) * np.float32(self.depth**0.5))

    def thinning(self, nearness: Points) -> Points:
        """Share of its thickness that the wall of an old infarct has lost."""
        if self.acute or self.pattern is not Pattern.ISCHAEMIC:
            return np.zeros_like(nearness)
        return np.asarray(np.float32(0.42 * self.depth) * np.clip(1.5 * nearness, 0, 1))

    def paint(self, label: Labels, nearness: Points, depth: Points) -> None:
        """Lay the scar over the ``label`` (n,) of muscle; ``depth`` 0 at the endocardium."""
        reach = self.reach(nearness)
        match self.pattern:
            case Pattern.ISCHAEMIC:
                inside = reach - depth
            case Pattern.EPICARDIAL:
                inside = reach - (1 - depth)
            case Pattern.MID_WALL | Pattern.PATCHY:
                inside = 0.5 * reach - np.abs(depth - 0.5)
        touched = nearness > 0
        if self.acute:
            label[(nearness > -0.35) & (inside > -0.45)] = Tissue.OEDEMA
        label[touched & (inside > -0.12)] = Tissue.BORDER
        label[touched & (inside > 0) & (reach > 0)] = Tissue.SCAR
        if self.no_reflow:
            label[(nearness > 0.45) & (inside > 0.12) & (depth > 0.1)] = Tissue.NO_REFLOW


def segment(cosine: Points, sine: Points, level: Points) -> Labels:
    """AHA's segment, 1 to 17 (Cerqueira 2002), of places in the wall.

    ``level`` is 0 at the base and 1 at the tip of the cavity; beyond is the apex, segment 17.
    """
    degrees = np.degrees(np.arctan2(sine, cosine)) % 360
    six = ((degrees - 60) // 60).astype(int) % 6 + 1
    four = ((degrees - 45) // 90).astype(int) % 4 + 13
    found = np.where(level < 1 / 3, six, np.where(level < 2 / 3, six + 6, four))
    return np.asarray(np.where(level > 1, 17, found), np.uint8)


def _phases(rng: np.random.Generator) -> tuple[float, float, float]:
    a, b, c = rng.uniform(0, 2 * np.pi, 3)
    return float(a), float(b), float(c)
