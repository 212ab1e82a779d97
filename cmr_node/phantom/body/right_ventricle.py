"""The right ventricle: a crescent round the left one, with apex, inflow and outflow tract.

The promise kept here: it is what remains of a blunt triangle after the left ventricle is taken
away, so the two never overlap and share the septum.  Coordinates as in ``left_ventricle``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_node.phantom.body.fields import Field, Points, Vector, blend_max, blend_min, to_segment
from cmr_node.phantom.body.left_ventricle import LeftVentricle
from cmr_node.phantom.body.motion import contraction, ejection, filling, inlets_closed
from cmr_node.phantom.body.tissues import Labels, Tissue


@dataclass(frozen=True, slots=True)
class RightVentricle:
    """Lengths in mm, at end-diastole."""

    width: float  #: from the septum to the free wall, widest
    height: float  #: half of it, anterior to inferior, at the base
    reach: float  #: of its apex, as a share of the left ventricle's length
    wall: float
    narrowing: float  #: share of the width lost at end-systole
    descent: float  #: of the tricuspid ring at end-systole
    outflow_radius: float
    pulmonary_valve: Vector  #: its centre
    trabeculation: float  #: height of its trabeculae near the apex
    ripple: Field

    def shape(self, local: Points, left: LeftVentricle, phase: float) -> tuple[Points, Points]:
        """Distance from its outer surface (n,), mm, negative within, and the level (n,).

        The level is 0 at the tricuspid ring and 1 at the apex.
        """
        p, q, u = local
        beat = contraction(phase)
        top = np.float32(self.descent * beat - 2)
        level = (u - top) / np.float32(self.reach * left.length - top)
        inside = np.clip(level, 0, 1)
        taper = np.maximum(1 - inside**1.8, np.float32(1e-4)) ** np.float32(0.75)
        outer = left.outer_radius * np.maximum(1 - inside**2.4, np.float32(1e-4)) ** np.float32(0.6)
        width = self.width * taper * np.float32(1 - self.narrowing * beat)
        half = 0.5 * (width + 1.02 * outer) + np.float32(0.5)
        middle = outer + width - half
        tall = np.float32(self.height * (1 - 0.10 * beat)) * (0.25 + 0.75 * taper) * taper**0.25
        centre = np.float32(0.10 * self.height) - np.float32(0.22 * self.height) * inside
        lean = (q - centre) / tall
        narrow = 1 - np.float32(0.13) * np.clip(lean, -3, 3)
        # Wider below, where inflow and apex are, than in front.
        f = np.hypot((p - middle) / (half * narrow), lean)
        body = (f - 1) * np.minimum(half, tall)
        # The lower surface lies flat on the diaphragm.
        body = blend_max(body, -(q + np.float32(0.86) * outer + np.float32(0.10) * p), 9)
        above, beyond = np.float32(-0.01) - level, level - np.float32(1)
        body = np.maximum(body, np.maximum(above, beyond) * np.float32(left.length))
        past, away = self._valve(local, left, phase)
        conus = np.maximum(away - np.float32(self.outflow_radius + self.wall), past)
        return blend_min(body, conus, 12), level

    def paint(
        self, label: Labels, local: Points, left: LeftVentricle, phase: float, free: Points
    ) -> None:
        """Wall, cavity, trabeculae, moderator band and valves.

        ``free`` is the distance from the outer surface as :meth:`shape` gives it.
        """
        label[free < 0] = Tissue.RV_WALL
        spots = np.flatnonzero(free < -self.wall * (1 + 0.5 * contraction(phase)))
        p, q, u = part = local[:, spots]
        top = np.float32(self.descent * contraction(phase) - 2)
        level = np.clip((u - top) / np.float32(self.reach * left.length - top), 0, 1)
        inner = np.full(spots.shape, Tissue.RV_BLOOD, np.uint8)
        folds = self.ripple.at(part * np.array([[1], [1], [0.4]], np.float32))
        height = self.trabeculation * np.clip(1.6 * level, 0.05, 1)
        height = height * np.clip(3 * np.abs(folds) + folds - 0.6, 0, 1.4)
        inner[-free[spots] - self.wall < height] = Tissue.RV_WALL
        band = to_segment(
            part,
            np.array([0.9 * left.outer_radius, -4.0, 0.52 * left.length]),
            np.array([left.outer_radius + 0.75 * self.width, -16.0, 0.66 * left.length]),
        )
        inner[(band < 2.2) & (level > 0.3)] = Tissue.RV_WALL
        inner[self._tricuspid(p, q, u - top, left, phase)] = Tissue.VESSEL_WALL
        if ejection(phase) == 0:
            beyond, away = self._valve(part, left, phase)
            inner[(np.abs(beyond + 1.5) < 0.9) & (away < self.outflow_radius + 1)] = (
                Tissue.VESSEL_WALL
            )
        label[spots] = inner

    def _outflow(self, left: LeftVentricle, phase: float) -> tuple[Vector, Vector]:
        """Where the outflow tract begins in the ventricle, and the pulmonary valve."""
        beat = contraction(phase)
        start = np.array(
            [0.72 * left.outer_radius + 0.3 * self.width, 0.62 * self.height, 16.0 + 5 * beat]
        )
        return start, self.pulmonary_valve + np.array([0, 0, 4.0 * beat])

    def _valve(self, local: Points, left: LeftVentricle, phase: float) -> tuple[Points, Points]:
        """How far places lie beyond the pulmonary valve, and from the axis of the tract."""
        start, stop = self._outflow(left, phase)
        along = (stop - start) / np.linalg.norm(stop - start)
        beyond = along.astype(np.float32) @ (local - stop.astype(np.float32)[:, None])
        away = to_segment(local, start, stop + 3 * along)
        return np.asarray(beyond), away

    def _tricuspid(
        self, p: Points, q: Points, depth: Points, left: LeftVentricle, phase: float
    ) -> Points:
        across = np.hypot((p - left.outer_radius - 0.42 * self.width) / 17, (q + 6) / 19)
        if inlets_closed(phase):
            bulge = 1.4 * np.sin(0.27 * p) * np.sin(0.31 * q + 0.4)
            leaf = np.abs(depth - 1 - 3 * (1 - across) - bulge) < 0.9
        else:
            lean = 0.016 + 0.03 * (1 - min(filling(phase), 1.0))
            leaf = (np.abs(across - 1 + lean * depth) < 0.06) & (depth < 18)
        return np.asarray(leaf & (across < 1.1) & (depth > -2))
