"""Both atria, and the vessels that move with the heart: aortic root, veins that open into it.

The promise kept here: the atria end where the ventricles begin.  Their floor follows the valve
rings while their roof stays, so they fill as the ventricles empty.  Coordinates as in
``left_ventricle``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_node.phantom.fields import Field, Points, Vector, blend_min, to_segment
from cmr_node.phantom.left_ventricle import LeftVentricle
from cmr_node.phantom.motion import contraction, ejection
from cmr_node.phantom.right_ventricle import RightVentricle
from cmr_node.phantom.tissues import Labels, Tissue

WALL_MM = 2.0


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
        """Distance (n,) from the lumen of the left and the right atrium, negative within."""
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
        valve = self.valve(left, phase)
        axis = self.root_axis
        start = np.array(
            [0.20 * left.cavity_radius, 0.20 * left.cavity_radius, left.drop(phase) + 7]
        )
        beyond = axis.astype(np.float32) @ (local - valve.astype(np.float32)[:, None])
        tract = to_segment(local, start, valve) - np.float32(0.86 * self.root_radius)
        tract = np.maximum(tract, beyond)
        # The sinuses bulge just above the valve.
        bulge = 1 + 0.16 * np.exp(-(((beyond - 9) / 7) ** 2))
        root = to_segment(local, valve, valve + 30 * axis) - np.float32(self.root_radius) * bulge
        root = np.maximum(root, -beyond)
        mine = ~np.isin(label, (Tissue.LV_BLOOD, Tissue.MYOCARDIUM, Tissue.RV_BLOOD))
        label[(tract < WALL_MM) & mine & (label != Tissue.RV_WALL)] = Tissue.VESSEL_WALL
        label[(root < WALL_MM) & (label != Tissue.RV_BLOOD)] = Tissue.VESSEL_WALL
        label[tract < 0] = Tissue.LV_BLOOD
        label[root < 0] = Tissue.BLOOD
        out = to_segment(local, valve, valve + axis)
        if ejection(phase) == 0:  # shut: three cusps, a cone from afar
            leaf = np.abs(beyond - 4 + 0.35 * out) < 0.8
        else:
            leaf = (np.abs(out - 0.8 * self.root_radius) < 0.7) & (np.abs(beyond - 5) < 5)
        label[leaf & (out < self.root_radius) & (root < 0)] = Tissue.VESSEL_WALL

    def valve(self, left: LeftVentricle, phase: float) -> Vector:
        """Centre of the aortic valve; it follows the base of the ventricle."""
        return np.asarray(self.root + np.array([0, 0, 0.6 * left.drop(phase)]))
