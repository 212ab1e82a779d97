"""Drawing a heart: sizes and motion of four groups of patients.

The promise kept here: a heart depends on the group and the generator alone.  Ranges: radii, walls,
lengths and contraction after the Sunnybrook contours' groups and the reference values of Petersen
2017 and Kawel-Boehm 2020; where valves and vessels lie relative to the ventricles, and all ranges
of unevenness, are ours, chosen by eye.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from cmr_node.phantom.body.atria import Atria, Tube
from cmr_node.phantom.body.fields import Field, Vector, unit
from cmr_node.phantom.body.heart import Heart
from cmr_node.phantom.body.left_ventricle import LeftVentricle, Lobes, Papillary
from cmr_node.phantom.body.right_ventricle import RightVentricle
from cmr_node.phantom.body.scar import Pattern, Scar


class Group(StrEnum):
    """The disease, or none."""

    NORMAL = "normal"
    DILATED = "dilated"
    HYPERTROPHIC = "hypertrophic"
    INFARCT = "infarct"


_RANGES = {  # cavity radius, wall, narrowing, descent, blunt, length; mm but for the shares
    Group.NORMAL: ((22.2, 29.0), (6.5, 9.5), (0.285, 0.49), (11, 18), (2.3, 2.8), (82, 98)),
    Group.DILATED: ((29, 36), (6, 8.5), (0.07, 0.17), (4, 9), (2.8, 3.6), (90, 108)),
    Group.HYPERTROPHIC: ((20.5, 25), (10.5, 15), (0.34, 0.46), (9, 14), (2.2, 2.7), (80, 94)),
    Group.INFARCT: ((23, 31), (7.5, 9.5), (0.20, 0.32), (7, 12), (2.4, 3.2), (82, 98)),
}


def draw_heart(rng: np.random.Generator, group: Group, spread: float = 1.0) -> Heart:
    """A heart of an adult in the usual place (situs solitus).

    Apex to the left, front and below, about 40 to 50 degrees off each plane of the body; right
    ventricle to the right and in front.  ``spread`` widens how far axes differ between patients.
    """
    apical = unit(np.array([0.64, -0.56, -0.44]) + rng.normal(0, 0.06, 3) * spread)
    septal = np.array([-0.85, -0.50, 0.15]) + rng.normal(0, 0.07, 3) * spread
    septal = unit(septal - apical * (septal @ apical))
    axes = np.stack([septal, np.cross(septal, apical), apical])
    left = _left_ventricle(rng, group)
    right = _right_ventricle(rng, group, left)
    # A large heart lies further left and further from the chest wall.
    excess = left.outer_radius - 33
    middle = np.array([48 + 0.3 * excess, -24 + 0.55 * excess, 0.2 * excess]) + rng.normal(0, 3, 3)
    base = middle - 0.45 * left.length * apical
    return Heart(
        base=base,
        axes=axes,
        left=left,
        right=right,
        atria=_atria(rng, left, right, axes),
        fat=float(rng.uniform(0.8, 5.0)),
        cushion=float(rng.uniform(1, 11)),
        layers=Field.draw(rng, 4, 38, 95),
        reach=116 + 0.6 * max(excess, 0.0),
    )


def _left_ventricle(rng: np.random.Generator, group: Group) -> LeftVentricle:
    radius, wall, narrowing, descent, blunt, length = (
        float(rng.uniform(*limits)) for limits in _RANGES[group]
    )
    asymmetric = group is Group.HYPERTROPHIC and rng.random() < 0.65
    return LeftVentricle(
        length=length,
        cavity_radius=radius,
        wall=0.85 * wall if asymmetric else wall,
        narrowing=narrowing,
        descent=descent,
        blunt=blunt,
        lobes=(_lobes(rng), _lobes(rng)),
        dents=(
            float(rng.uniform(0.006, 0.022)),
            float(rng.uniform(0, 2 * np.pi)),
            float(rng.uniform(0, 2 * np.pi)),
        ),
        thick_angle=float(np.radians(rng.uniform(120, 200))),
        thick_share=float(rng.uniform(0.4, 1.0) if asymmetric else rng.uniform(0, 0.12)),
        muscles=_papillary_muscles(rng, group, radius),
        trabeculation=float(rng.uniform(2.0, 4.5)),
        ripple=Field.draw(rng, 4, 7, 15),
        scar=_scar(rng, group),
    )


def _lobes(rng: np.random.Generator) -> Lobes:
    """By eye: most ventricles are a little narrower from septum to free wall."""
    two, skew, three = rng.normal((-0.02, 0, 0), (0.035, 0.035, 0.022))
    return float(two), float(skew), float(three)


def _scar(rng: np.random.Generator, group: Group) -> Scar | None:
    chance = rng.random()
    if group is Group.INFARCT:
        return Scar.infarct(rng)
    if group is Group.DILATED and chance < 0.4:
        return Scar.fibrosis(rng, Pattern.MID_WALL if chance < 0.28 else Pattern.EPICARDIAL)
    if group is Group.HYPERTROPHIC and chance < 0.6:
        return Scar.fibrosis(rng, Pattern.PATCHY)
    return None


def _papillary_muscles(
    rng: np.random.Generator, group: Group, cavity_radius: float
) -> tuple[Papillary, ...]:
    """Two groups, anterolateral and posteromedial, of one to three heads each."""
    heads = []
    thick = (1.25 if group is Group.HYPERTROPHIC else 1.0) * (cavity_radius / 24) ** 0.5
    for degrees in (40.0, 262.0):
        degrees += rng.normal(0, 9)
        count, apart = int(rng.integers(1, 4)), rng.uniform(11, 24)
        for number in range(count):
            angle = np.radians(degrees + apart * (number - (count - 1) / 2) + rng.normal(0, 4))
            heads.append(
                Papillary(
                    cosine=float(np.cos(angle)),
                    sine=float(np.sin(angle)),
                    out=float(rng.uniform(0.62, 0.92)),
                    radius=float(thick * rng.uniform(3.8, 6.4) / count**0.4),
                    middle=float(rng.uniform(0.50, 0.60)),
                    half_length=float(rng.uniform(0.18, 0.28)),
                )
            )
    return tuple(heads)


def _right_ventricle(rng: np.random.Generator, group: Group, left: LeftVentricle) -> RightVentricle:
    weak = group is Group.DILATED
    root = _root(left)
    return RightVentricle(
        width=float(rng.uniform(37, 46) * (1.06 if weak else (left.cavity_radius / 25) ** 0.5)),
        height=float((8 + left.outer_radius) * rng.uniform(1.10, 1.24)),
        reach=float(rng.uniform(0.84, 0.95)),
        wall=float(rng.uniform(2.2, 3.4)),
        # Both ventricles eject the same blood, so they mostly contract alike.
        narrowing=float(
            rng.uniform(0.18, 0.30)
            if weak
            else 0.28 + 0.65 * left.narrowing + rng.uniform(-0.09, 0.09)
        ),
        descent=float(left.descent * rng.uniform(1.3, 1.7)),
        outflow_radius=float(rng.uniform(12, 14.5)),
        pulmonary_valve=root + np.array([rng.uniform(2, 8), 27.0, rng.uniform(-6, -1)]),
        trabeculation=float(rng.uniform(3, 6)),
        ripple=Field.draw(rng, 4, 8, 18),
    )


def _root(left: LeftVentricle) -> Vector:
    """Centre of the aortic valve: in front of the mitral valve, towards the septum."""
    return np.array([0.36 * left.outer_radius, 0.40 * left.outer_radius, -9.0])


def _atria(
    rng: np.random.Generator,
    left: LeftVentricle,
    right: RightVentricle,
    axes: np.ndarray,
) -> Atria:
    size = float(rng.uniform(0.9, 1.12) * (1.0 + 0.010 * (left.outer_radius - 33)))
    behind = float(-48 * size)
    left_half = (27.0 * size, 25.0 * size)
    right_half = (24.0 * size, 29.0 * size)
    left_centre = (-0.05 * left.outer_radius, -0.30 * left.outer_radius)
    right_centre = (left.outer_radius + 0.36 * right.width + 1, -10.0)

    def tube(start: tuple[float, float, float], way: tuple[float, float, float], r: float) -> Tube:
        """From a place in the heart along a direction of the body (LPS, mm)."""
        begin = np.array(start)
        return Tube(begin, begin + axes @ np.array(way), r)

    x, y = left_centre
    back = 0.72 * behind
    rx, ry = right_centre
    outer = left.outer_radius
    return Atria(
        left_centre=left_centre,
        left_half=left_half,
        left_roof=behind,
        right_centre=right_centre,
        right_half=right_half,
        right_roof=0.92 * behind,
        left_veins=(
            tube((x - 14, y + 8, back), (34, 16, 12), 5.5),
            tube((x - 12, y - 10, back), (34, 20, -8), 5.5),
            tube((x + 14, y + 8, back), (-36, 10, 10), 5.5),
            tube((x + 14, y - 10, back), (-34, 18, -10), 5.5),
        ),
        right_veins=(
            tube((rx - 5, ry + 12, 0.62 * behind), (4, 0, 42), 9.5),
            tube((rx - 4, ry - 14, 0.45 * behind), (3, 10, -42), 11.0),
        ),
        appendages=(
            Tube(
                np.array([x - 15, y + 8, 0.5 * behind]), np.array([-0.75, 0.55, -0.1]) * outer, 7.0
            ),
            Tube(
                np.array([rx - 2, ry + 12, 0.5 * behind]),
                np.array([rx - 6, 0.75 * outer, -9.0]),
                9.0,
            ),
        ),
        root=_root(left),
        root_axis=unit(axes @ unit(np.array([-0.22, -0.10, 0.97])) + np.array([0.0, 0.1, -0.35])),
        root_radius=float(rng.uniform(12, 15)),
        lumps=Field.draw(rng, 4, 35, 70),
    )
