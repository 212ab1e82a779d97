"""A beating heart as an implicit function of place and cardiac phase.

The promise kept here: one frame of coordinates for all of it.  Septal *p* (towards the right
ventricle), anterior *q*, apical *u*, in mm, with the origin at the centre of the mitral ring at
end-diastole.  Chambers are shapes given by distance, joined into one envelope that the epicardial
fat rounds off, the pericardium outlines and the fat of the mediastinum cushions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmr_node.phantom.body.atria import WALL_MM, Atria
from cmr_node.phantom.body.fields import Field, Points, Vector, blend_min, to_segment
from cmr_node.phantom.body.left_ventricle import LeftVentricle, Wall
from cmr_node.phantom.body.motion import contraction, ejection, filling
from cmr_node.phantom.body.right_ventricle import RightVentricle
from cmr_node.phantom.body.tissues import Labels, Tissue

PERICARDIUM_MM = 1.0
MARGIN_MM = 8.0  #: by what the heart of some phase sticks out of that of end-diastole

_YIELDS = np.zeros(len(Tissue), np.bool_)  # what gives way to the fat around the heart
_YIELDS[[Tissue.LUNG, Tissue.FAT, Tissue.LIVER, Tissue.STOMACH, Tissue.SPLEEN, Tissue.BOWEL]] = True
_YIELDS[[Tissue.EPICARDIAL_FAT, Tissue.PERICARDIUM]] = True


@dataclass(frozen=True, slots=True)
class Heart:
    """One heart; lengths in mm."""

    base: Vector  #: centre of the mitral ring at end-diastole, (3,) LPS
    axes: npt.NDArray[np.float64]  #: (3, 3), rows: unit vectors septal, anterior, apical in LPS
    left: LeftVentricle
    right: RightVentricle
    atria: Atria
    fat: float  #: thickness of the epicardial fat
    cushion: float  #: thickness of the fat outside the pericardium, where there is most
    layers: Field  #: where the fat is thick
    reach: float  #: from ``middle``; nothing of the heart lies beyond

    @property
    def septal(self) -> Vector:
        """Unit vector (LPS) from the left to the right ventricle."""
        return np.asarray(self.axes[0])

    @property
    def anterior(self) -> Vector:
        """Unit vector (LPS) from the inferior to the anterior wall."""
        return np.asarray(self.axes[1])

    @property
    def apical(self) -> Vector:
        """Unit vector (LPS) from base to apex."""
        return np.asarray(self.axes[2])

    @property
    def length(self) -> float:
        """Of the left ventricular cavity at end-diastole."""
        return self.left.length

    @property
    def middle(self) -> Vector:
        """Of the four chambers: patient coordinates (3,), mm."""
        return self.place(14, 4, 0.17 * self.length)

    def place(self, septal: float, anterior: float, apical: float) -> Vector:
        """The patient coordinates (3,) of a point in the heart's own, mm."""
        return self.base + np.array([septal, anterior, apical]) @ self.axes

    def local(self, points: Points) -> Points:
        """``points`` (3, n), mm LPS, in the heart's coordinates."""
        return np.asarray(
            self.axes.astype(np.float32) @ (points - self.base.astype(np.float32)[:, None])
        )

    def near(self, points: Points) -> npt.NDArray[np.bool_]:
        """Which ``points`` (3, n) can hold any heart in any phase; returns (n,)."""
        away = points - self.middle.astype(np.float32)[:, None]
        return np.asarray(np.einsum("ij,ij->j", away, away) < self.reach**2)

    def reached(self, points: Points) -> npt.NDArray[np.bool_]:
        """Which ``points`` (3, n) the heart or its fat covers in some phase, with a margin; (n,).

        Sharper than :meth:`near` and dearer: worth it where many phases are looked up.
        """
        local = self.local(points)
        envelope, *_ = self._envelope(local, 0.0)
        root = self.atria.outside_root(local, self.left, 0.0)
        return np.asarray(np.minimum(envelope, root) < self._cover_mm + MARGIN_MM)

    def paint(self, label: Labels, points: Points, phase: float) -> None:
        """Lay the heart at ``phase`` over ``label`` (n,) at ``points`` (3, n), mm LPS."""
        local = self.local(points)
        envelope, wall, outside_right, atria = self._envelope(local, phase)
        spots = np.flatnonzero(envelope < self._cover_mm)
        covered, part, distance = label[spots], local[:, spots], envelope[spots]
        self._cover(covered, part, distance)
        self._coronaries(covered, part, phase, distance)
        label[spots] = covered
        self.atria.paint(label, *atria)
        self.right.paint(label, local, self.left, phase, outside_right)
        self.left.paint(label, local, wall, phase)
        self.atria.paint_root(label, local, self.left, phase)

    @property
    def _cover_mm(self) -> float:
        """Thickest that fat and pericardium can be."""
        return 2.2 * self.fat + PERICARDIUM_MM + 1.3 * self.cushion

    def _envelope(
        self, local: Points, phase: float
    ) -> tuple[Points, Wall, Points, tuple[Points, Points]]:
        """Distance (n,) from the heart's muscle; and what it was joined from."""
        wall = self.left.locate(local, phase)
        outside_right, _ = self.right.shape(local, self.left, phase)
        atria = self.atria.shapes(local, self.left, self.right, phase)
        ventricles = blend_min(self.left.outside(wall), outside_right, 14)
        envelope = blend_min(ventricles, np.minimum(*atria) - np.float32(WALL_MM), 18)
        return envelope, wall, outside_right, atria

    def _cover(self, label: Labels, local: Points, envelope: Points) -> None:
        """Epicardial fat, pericardium, and the fat outside it."""
        uneven = 1.6 * self.layers.at(local)
        thick = self.fat * np.clip(0.75 + uneven, 0, 2.2)
        # Most of the cushion lies in front and below, towards apex and right border.
        p, q, u = local
        low = np.clip(0.012 * (u - 10) - 0.010 * q + 0.008 * p + 0.7 * uneven, 0, 1.3)
        # The pericardium thins out to what no image shows, mostly over the left ventricle.
        sac = thick + np.float32(PERICARDIUM_MM) * np.clip(0.6 + 1.6 * uneven + 0.008 * p, 0, 1)
        yields = _YIELDS[label]
        label[yields & (envelope < sac + self.cushion * low)] = Tissue.FAT
        label[yields & (envelope < sac)] = Tissue.PERICARDIUM
        label[yields & (envelope < thick)] = Tissue.EPICARDIAL_FAT

    def _coronaries(self, label: Labels, local: Points, phase: float, envelope: Points) -> None:
        """Arteries and the great cardiac vein in the grooves, where fat fills them."""
        fat = (label == Tissue.EPICARDIAL_FAT) | (label == Tissue.FAT)
        spots = np.flatnonzero(fat & (envelope < 8))
        p, q, u = part = local[:, spots]
        drop = np.float32(self.left.drop(phase))
        outer = self.left.outer_radius
        ring = np.hypot(np.hypot(p, q) - (outer + 1), u - drop + 2)  # circumflex, coronary sinus
        calibre = np.where(q < -0.25 * outer, np.float32(4.2), np.float32(2.0))
        right = np.hypot(
            np.hypot(p - outer - 0.42 * self.right.width, q + 4) - 0.62 * self.right.height,
            u - self.right.descent * contraction(phase) + 4,
        )
        anterior = to_segment(
            part, np.array([0.45, 1.02, 0.0]) * outer, np.array([0.40, 0.85, 1.5]) * outer
        )
        vessel = (ring < calibre) & (p < 0.5 * outer)
        vessel |= (right < 2.2) | (anterior < 2.0)
        label[spots[vessel]] = Tissue.BLOOD

    def flow(self, points: Points, phase: float) -> Points:
        """By what streaming changes the signal of blood at ``points`` (3, n): (n,), about 1.

        Jets dephase: dark in the outflow tracts while blood leaves, below the inlet valves while
        it enters; elsewhere inflow brightens and darkens in swirls that drift.
        """
        p, q, u = local = self.local(points)
        swirl = self.layers.at(2.2 * local + np.float32(40 * phase))
        out, into = ejection(phase), filling(phase)
        gain = 1 + np.float32(0.07 + 0.05 * into) * 2 * swirl
        # Where streams of unlike speed meet, blood is dark along a sheet that winds.
        winding = np.array([[1.6], [1.6], [0.6]], np.float32) * local
        sheet = self.layers.at(winding + 9 * swirl - np.float32(60 * phase))
        gain *= 1 - np.float32(0.10 + 0.12 * max(out, into)) * np.exp(-((sheet / 0.06) ** 2))
        if out > 0:
            valve = self.atria.valve(self.left, phase)
            jet = to_segment(
                local, valve - 10 * self.atria.root_axis, valve + 35 * self.atria.root_axis
            )
            gain *= 1 - np.float32(0.5 * out) * np.exp(-((jet / 8) ** 2))
        if into > 0:
            drop = np.float32(self.left.drop(phase))
            c = self.left.cavity_radius
            for x, y, z, strength in (
                (-0.14 * c, -0.16 * c, drop + 16, 0.30),
                (self.left.outer_radius + 0.4 * self.right.width, -6.0, drop + 14, 0.22),
            ):
                jet = ((p - x) ** 2 + (q - y) ** 2) / 150 + ((u - z) / 20) ** 2
                gain *= 1 - np.float32(strength * into) * np.exp(-jet) * (1 + 2 * swirl)
        return np.asarray(gain, np.float32)
