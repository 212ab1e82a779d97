"""Both atria, and the vessels that move with the heart: aortic root, veins that open into it.

The promise kept here: the atria end where the ventricles begin.  Their floor follows the valve
rings while their roof stays, so they fill as the ventricles empty.  Coordinates as in
``left_ventricle``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_node.phantom.body.fields import Field, Points, Vector, blend_min, to_segment
from cmr_node.phantom.body.left_ventricle import LeftVentricle
from cmr_node.phantom.body.motion import contraction, ejection
from cmr_node.phantom.body.right_ventricle import RightVentricle
from cmr_node.phantom.body.tissues import LV_MUSCLE, Labels, Tissue

WALL_MM = 2.0
REACH_MM = 45.0  #: from the floor of an atrium to where its fat ends, with a margin
FAR_MM = 1e3
ROOT_MM = 30.0  #: from the aortic valve to where the vessel no longer moves


@dataclass(frozen=True, slots=True)
class Tube:
    """A straight piece of a vessel, mm."""

    start: Vector
    stop: Vector
    radius: float

    def outside(self, points: Points) -> Points:
        """Distance (n,) of ``points`` (3, n) from its lumen, negative within."""
        return to_segment(points, self.start, self.stop) - np.float32(self.radius)


@dataclass(frozen=True, slots=True)
class Atria:
    """Lengths in mm; half axes are (septal, anterior) and from roof to floor."""

    left_centre: tuple[float, float]  #: septal, anterior
    left_half: tuple[float, float]
    left_roof: float  #: apical coordinate, negative
    right_centre: tuple[float, float]
    right_half: tuple[float, float]
    right_roof: float
    left_veins: tuple[Tube, ...]
    right_veins: tuple[Tube, ...]
    appendages: tuple[Tube, Tube]  #: left, right
    root: Vector  #: centre of the aortic valve, end-diastole
    root_axis: Vector  #: unit, out of the ventricle
    root_radius: float
    lumps: Field

    def shapes(
        self, local: Points, left: LeftVentricle, right: RightVentricle, phase: float
    ) -> tuple[Points, Points]:
        """Distance (n,) from the lumen of the left and the right atrium, negative within.

        ``FAR_MM`` where the ventricles are and no atrium can be.
        """
        floor = max(left.drop(phase), right.descent * contraction(phase) - 2)
        near = np.flatnonzero(local[2] < np.float32(floor + REACH_MM))
        found = np.full((2, local.shape[1]), np.float32(FAR_MM))
        found[:, near] = self._shapes(local[:, near], left, right, phase)
        return found[0], found[1]

    def _shapes(
        self, local: Points, left: LeftVentricle, right: RightVentricle, phase: float
    ) -> tuple[Points, Points]:
        uneven = 3 * self.lumps.at(local)
        beat = contraction(phase)
        found = []
        for centre, half, roof, floor, extra in (
            (
                self.left_centre,
                self.left_half,
                self.left_roof,
                left.drop(phase),
                (*self.left_veins, self.appendages[0]),
            ),
            (
                self.right_centre,
                self.right_half,
                self.right_roof,
                right.descent * beat - 2,
                (*self.right_veins, self.appendages[1]),
            ),
        ):
            fill = np.float32(0.93 + 0.07 * beat)
            deep = (floor + 9 - roof) / 2
            f = ((local[0] - centre[0]) / (half[0] * fill)) ** 2
            f += ((local[1] - centre[1]) / (half[1] * fill)) ** 2
            f += ((local[2] - roof - deep) / deep) ** 2
            out = (np.sqrt(f) - 1) * np.float32(min(half)) + uneven
            out = np.maximum(out, local[2] - np.float32(floor + 0.5))
            for tube in extra:
                out = blend_min(out, tube.outside(local), 7)
            found.append(out)
        return found[0], found[1]

    def paint(self, label: Labels, outside_left: Points, outside_right: Points) -> None:
        """Wall and blood of both; where they meet, the left one's wall is the septum."""
        label[outside_right < WALL_MM] = Tissue.VESSEL_WALL
        label[outside_right < 0] = Tissue.RA_BLOOD
        label[outside_left < WALL_MM] = Tissue.VESSEL_WALL
        label[outside_left < 0] = Tissue.LA_BLOOD

    def paint_root(self, label: Labels, local: Points, left: LeftVentricle, phase: float) -> None:
        """Left outflow tract, aortic valve, sinuses and the beginning of the aorta."""
        spots = np.flatnonzero(self.outside_root(local, left, phase) < 2 * WALL_MM)
        part, inner = local[:, spots], label[spots]
        valve, axis, radius = self.valve(left, phase), self.root_axis, np.float32(self.root_radius)
        start = self._tract_start(left, phase)
        beyond = axis.astype(np.float32) @ (part - valve.astype(np.float32)[:, None])
        tract = to_segment(part, start, valve) - np.float32(0.86) * radius
        tract = np.maximum(tract, beyond)
        # The sinuses bulge just above the valve.
        bulge = 1 + 0.16 * np.exp(-(((beyond - 9) / 7) ** 2))
        root = to_segment(part, valve, valve + ROOT_MM * axis) - radius * bulge
        root = np.maximum(root, -beyond)
        mine = ~np.isin(inner, (*LV_MUSCLE, Tissue.LV_BLOOD, Tissue.RV_BLOOD, Tissue.RV_WALL))
        inner[(tract < WALL_MM) & mine] = Tissue.VESSEL_WALL
        inner[(root < WALL_MM) & (inner != Tissue.RV_BLOOD)] = Tissue.VESSEL_WALL
        inner[tract < 0] = Tissue.LV_BLOOD
        inner[root < 0] = Tissue.BLOOD
        out = to_segment(part, valve, valve + axis)
        if ejection(phase) == 0:  # shut: three cusps, a cone from afar
            leaf = np.abs(beyond - 4 + 0.35 * out) < 0.8
        else:
            leaf = (np.abs(out - 0.8 * radius) < 0.7) & (np.abs(beyond - 5) < 5)
        inner[leaf & (out < radius) & (root < 0)] = Tissue.VESSEL_WALL
        label[spots] = inner

    def outside_root(self, local: Points, left: LeftVentricle, phase: float) -> Points:
        """Distance (n,) from capsules that hold outflow tract and root, mm."""
        valve = self.valve(left, phase)
        tract = to_segment(local, self._tract_start(left, phase), valve)
        root = to_segment(local, valve, valve + ROOT_MM * self.root_axis)
        return np.asarray(np.minimum(tract, root) - np.float32(1.2 * self.root_radius))

    def _tract_start(self, left: LeftVentricle, phase: float) -> Vector:
        begin = 0.20 * left.cavity_radius
        return np.array([begin, begin, left.drop(phase) + 7])

    def valve(self, left: LeftVentricle, phase: float) -> Vector:
        """Centre of the aortic valve; it follows the base of the ventricle."""
        return np.asarray(self.root + np.array([0, 0, 0.6 * left.drop(phase)]))
