"""A beating heart as an implicit function of place and cardiac phase.

Its own coordinates, in mm: septal *p* (towards the right ventricle), anterior *q*, apical *u*,
with the origin at the centre of the mitral ring at end-diastole.  The left ventricle is a bullet
whose base descends and whose cavity narrows while the wall keeps its volume, so that it
thickens as a real one does; the right ventricle is an ellipse less the left one, which leaves
the crescent.  The apex stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from cmr_node.phantom.tissues import Labels, Tissue

Points = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]

END_SYSTOLE = 0.36  #: of the R-R interval
REACH_MM = 108.0  #: from ``Heart.middle``; nothing of the heart lies beyond
_ROOT = np.array([13.0, 13.0, -14.0])  #: centre of the aortic root, in the heart's coordinates
_STEPS = 1024  #: entries of a table along the long axis
_TOP, _TIP = -0.12, 1.30  #: its range, in lengths of the left ventricle


_TIMES = (0.0, END_SYSTOLE, 0.58, 0.84, 1.0)
_LEVELS = (0.0, 1.0, 0.22, 0.16, 0.0)


def contraction(phase: float) -> float:
    """How far the ventricles have contracted, 0 at end-diastole and 1 at end-systole.

    ``phase`` is the fraction of the R-R interval since the R wave, taken modulo 1: ejection,
    early filling, diastasis, atrial kick.
    """
    phase %= 1.0
    begun = int(np.searchsorted(_TIMES, phase, side="right")) - 1
    (start, stop), (before, after) = _TIMES[begun : begun + 2], _LEVELS[begun : begun + 2]
    share = 0.5 - 0.5 * np.cos(np.pi * (phase - start) / (stop - start))
    return float(before + (after - before) * share)


@dataclass(frozen=True, slots=True)
class Heart:
    """One heart; lengths in mm."""

    base: Vector  #: centre of the mitral ring at end-diastole, (3,) LPS
    axes: npt.NDArray[np.float64]  #: (3, 3), rows: unit vectors septal, anterior, apical in LPS
    length: float  #: of the left ventricular cavity, mitral ring to apex, end-diastole
    cavity_radius: float  #: left, end-diastole, widest
    wall: float  #: left, end-diastole
    narrowing: float  #: share of the cavity radius lost at end-systole
    descent: float  #: of the mitral ring at end-systole
    right_width: float  #: half width of the right ventricle's ellipse, septal
    right_height: float  #: half height, anterior
    fat: float  #: thickness of the epicardial fat
    lobes: tuple[float, float, float]  #: relative amplitude of the cavity's unroundness
    trabeculae: Points  #: (3,) phases of the ripple on the endocardium, rad

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """An adult heart in the usual place, drawn from ``rng``.

        Apex to the left, front and below, about 40 to 50 degrees off each plane of the body;
        right ventricle to the right and in front (the directions of situs solitus).
        """
        apical = _unit(np.array([0.64, -0.56, -0.44]) + rng.normal(0, 0.06, 3))
        septal = np.array([-0.85, -0.50, 0.15]) + rng.normal(0, 0.07, 3)
        septal = _unit(septal - apical * (septal @ apical))
        anterior = np.cross(septal, apical)
        length = rng.uniform(78, 92)
        middle = np.array([48.0, -25.0, 0.0]) + rng.normal(0, 3, 3)
        return cls(
            base=middle - 0.45 * length * apical,
            axes=np.stack([septal, anterior, apical]),
            length=length,
            cavity_radius=rng.uniform(22, 26),
            wall=rng.uniform(8, 10),
            narrowing=rng.uniform(0.27, 0.36),
            descent=rng.uniform(11, 15),
            right_width=rng.uniform(31, 36),
            right_height=rng.uniform(37, 42),
            fat=rng.uniform(2.5, 5),
            lobes=(rng.normal(0, 0.025), rng.normal(0, 0.025), rng.normal(0, 0.015)),
            trabeculae=rng.uniform(0, 2 * np.pi, 3).astype(np.float32),
        )

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
    def middle(self) -> Vector:
        """Of the four chambers and the great vessels: patient coordinates (3,), mm."""
        return self.place(12, 5, 0.16 * self.length)

    def place(self, septal: float, anterior: float, apical: float) -> Vector:
        """The patient coordinates (3,) of a point in the heart's own, mm."""
        return self.base + np.array([septal, anterior, apical]) @ self.axes

    def near(self, points: Points) -> npt.NDArray[np.bool_]:
        """Which ``points`` (3, n) can hold any heart in any phase; returns (n,)."""
        away = points - self.middle.astype(np.float32)[:, None]
        return np.asarray((away**2).sum(axis=0) < REACH_MM**2)

    def paint(self, label: Labels, points: Points, phase: float) -> None:
        """Lay the heart at ``phase`` over ``label`` (n,) at ``points`` (3, n), mm LPS."""
        local = self.axes.astype(np.float32) @ (points - self.base.astype(np.float32)[:, None])
        self._atria(label, local, phase)
        self._great_vessels(label, local)
        self._ventricles(label, local, phase)
        self._outflow(label, local, phase)

    def _ventricles(self, label: Labels, local: Points, phase: float) -> None:
        p, q, u = local
        beat = contraction(phase)
        drop = self.descent * beat
        length = self.length - drop
        w = (u - np.float32(drop)) / np.float32(length)
        index = np.clip((w - _TOP) * (_STEPS / (_TIP - _TOP)), 0, _STEPS - 1).astype(np.int32)
        endo_along, epi_along, muscle_along = self._left_profile(beat)
        endo, epi = endo_along[index], epi_along[index]
        rho = np.hypot(p, q) + np.float32(1e-3)
        c, s = p / rho, q / rho
        two, two_s, three = c * c - s * s, 2 * c * s, c * (c * c - 3 * s * s)
        rho = rho * (1 - self.lobes[0] * two - self.lobes[1] * two_s - self.lobes[2] * three)
        left = (w > -0.02) & (rho < epi)

        # The right ventricle: shorter, wider towards its outflow in front, closing like a bellows.
        right_top = 1.25 * drop
        v = (u - np.float32(right_top)) / np.float32(0.90 * self.length - right_top)
        taper = np.sqrt(np.maximum(1 - np.clip(v, 0, 1) ** 2.2, np.float32(1e-4)))
        ax = self.right_width * taper * (1 - 0.27 * beat)
        ay = self.right_height * taper * (1 - 0.12 * beat)
        p0 = 0.74 * (self.cavity_radius + self.wall) * (0.35 + 0.65 * taper)
        q0 = 7 - 9 * np.clip(v, 0, 1)
        # Flatter towards the diaphragm, rounder in front: a blunt triangle rather than an ellipse.
        lean = (q - q0) / ay
        narrowing = 1 - np.float32(0.16) * np.clip(lean, -3, 3)  # clipped far outside, never 0
        f = np.hypot((p - p0) / (ax * narrowing), lean)
        out = (f - 1) * np.minimum(ax, ay)
        ripple = self._ripple(p, q, u)
        within = (v > 0) & (v < 1.02) & ~left
        thick = self.fat * np.clip(
            0.8 + 0.9 * np.sin(0.055 * (p - q) + 0.07 * u + self.trabeculae[0]), 0.1, 2
        )
        fat = (rho - epi < thick) & (w > -0.02) & (w < _tip(self) + 0.03)
        fat |= (out < 3.5 + thick) & (v > -0.02) & (v < 1.05)
        groove = (np.abs(w) < 0.10) & (rho < epi_along.max() + 5) & (rho > endo_along.max() - 2)
        label[(fat | groove) & ~self._chamber(label)] = Tissue.FAT
        label[within & (out < 3.5)] = Tissue.MYOCARDIUM
        label[within & (out < -1.2 * ripple * np.clip(v * 3, 0.4, 1.6))] = Tissue.RV_BLOOD
        leaf = 2.0 if phase % 1.0 < END_SYSTOLE + 0.06 else 22 * (1 - f)
        tricuspid = (np.abs(u - right_top - leaf) < 0.8) & (f < 1) & (leaf < 14) & ~left
        label[tricuspid] = Tissue.VESSEL_WALL
        label[left] = Tissue.MYOCARDIUM
        lumen = left & (rho < endo)
        label[lumen] = Tissue.LV_BLOOD
        label[lumen & (rho > endo - 2.4 * ripple * np.clip(1.8 * w - 0.3, 0, 1))] = Tissue.PAPILLARY
        for septal, anterior in ((-0.62, 0.55), (-0.10, -0.84)):  # anterolateral, posteromedial
            away = np.hypot(p - septal * 0.80 * endo, q - anterior * 0.80 * endo)
            label[lumen & (away < muscle_along[index])] = Tissue.PAPILLARY
        self._mitral(label, rho, u - np.float32(drop), endo_along.max(), phase)

    def _left_profile(self, beat: float) -> tuple[Points, Points, Points]:
        """Radii along the left ventricle: cavity, outer wall, papillary muscle; (_STEPS,) each.

        The wall's cross-section at end-diastole, divided by the shortening of the ventricle, is
        what the narrowed cavity is wrapped in: muscle keeps its volume.
        """
        w = np.linspace(_TOP, _TIP, _STEPS)
        ring = 1 - 0.10 * np.exp(-np.maximum(w, 0) / 0.10)
        endo = self.cavity_radius * _bullet(w) * ring
        epi = (self.cavity_radius + self.wall) * _bullet(w / _tip(self)) * ring
        area = (epi**2 - endo**2) * self.length / (self.length - self.descent * beat)
        endo = endo * (1 - self.narrowing * beat)
        epi = np.sqrt(endo**2 + area)
        muscle = 4.6 * np.sqrt(np.maximum(1 - ((w - 0.56) / 0.25) ** 2, 0)) * (1 - 0.1 * beat)
        return endo.astype(np.float32), epi.astype(np.float32), muscle.astype(np.float32)

    def _ripple(self, p: Points, q: Points, u: Points) -> Points:
        a, b, c = self.trabeculae
        wave = np.sin(0.62 * p + 0.15 * u + a) + np.sin(0.58 * q - 0.20 * u + b)
        return np.asarray(np.abs(wave + 0.6 * np.sin(0.5 * (p + q) + c)) * np.float32(0.6))

    def _mitral(self, label: Labels, rho: Points, depth: Points, ring: float, phase: float) -> None:
        """The mitral leaflets: a lid in systole, two flaps into the cavity in diastole."""
        reach = rho < ring + 1
        if phase % 1.0 < END_SYSTOLE + 0.06:
            lid = 1.0 + 3.0 * (1 - np.clip(rho / ring, 0, 1))
            label[reach & (np.abs(depth - lid) < 0.8)] = Tissue.VESSEL_WALL
        else:
            edge = ring * (1 - 0.028 * depth)
            label[reach & (np.abs(rho - edge) < 1.0) & (depth > 0) & (depth < 15)] = (
                Tissue.VESSEL_WALL
            )

    def _atria(self, label: Labels, local: Points, phase: float) -> None:
        p, q, u = local
        drop = self.descent * contraction(phase)
        fill = 0.93 + 0.07 * contraction(phase)
        for p0, q0, back, width, height, front in (
            (49.0, -13.0, -46.0, 25.0, 29.0, 1.25 * drop),  # right; then left, with the septum
            (-3.0, -9.0, -46.0, 27.0, 25.0, drop),
        ):
            half = (front + 12 - back) / 2
            f = ((p - p0) / (width * fill)) ** 2 + ((q - q0) / (height * fill)) ** 2
            out = (np.sqrt(f + ((u - back - half) / half) ** 2) - 1) * width
            atrium = u < front + 1
            label[atrium & (out < 2.0 + self.fat) & ~self._chamber(label)] = Tissue.FAT
            label[atrium & (out < 2.0)] = Tissue.MYOCARDIUM
            label[atrium & (out < 0)] = Tissue.ATRIAL_BLOOD

    def _great_vessels(self, label: Labels, local: Points) -> None:
        """Ascending aorta, and pulmonary trunk in front and left of it."""
        up = np.array([-0.16, -0.06, 0.98]) @ self.axes.T
        back = np.array([0.22, 0.52, 0.82]) @ self.axes.T
        pulmonary = np.array([26.0, 33.0, -6.0])
        for start, along, length, radius in (
            (_ROOT, up, 70.0, 14.0),
            (pulmonary, back, 46.0, 12.0),
        ):
            away = _to_segment(local, start, start + length * along)
            label[(away < radius + 4) & ~self._chamber(label)] = Tissue.FAT
            label[away < radius + 1.6] = Tissue.VESSEL_WALL
            label[away < radius] = Tissue.BLOOD

    def _outflow(self, label: Labels, local: Points, phase: float) -> None:
        """Left outflow tract through the valve into the root, right one to the trunk."""
        drop = self.descent * contraction(phase)
        left = _to_segment(local, np.array([8.0, 6.0, drop + 4.0]), _ROOT)
        label[(left < 12.2) & (local[2] < drop + 1)] = Tissue.VESSEL_WALL
        label[left < 10.6] = Tissue.BLOOD
        right = _to_segment(
            local, np.array([30.0, 26.0, drop + 10.0]), np.array([26.0, 33.0, -6.0])
        )
        label[(right < 13.5) & ~self._chamber(label)] = Tissue.MYOCARDIUM
        label[(right < 11.0) & (label != Tissue.BLOOD)] = Tissue.RV_BLOOD
        if phase % 1.0 > END_SYSTOLE:  # the aortic valve is shut
            axis = _unit(_ROOT - np.array([8.0, 6.0, drop + 4.0]))
            along = (local - _ROOT.astype(np.float32)[:, None]).T @ axis.astype(np.float32)
            label[(left < 11) & (np.abs(along) < 0.9)] = Tissue.VESSEL_WALL

    @staticmethod
    def _chamber(label: Labels) -> npt.NDArray[np.bool_]:
        return np.asarray((label == Tissue.BLOOD) | (label >= Tissue.VESSEL_WALL))


def _unit(vector: Vector) -> Vector:
    return np.asarray(vector / np.linalg.norm(vector))


def _tip(heart: Heart) -> float:
    """Where the outer wall ends, in lengths of the cavity: the wall is thinner at the apex."""
    return 1 + 0.75 * heart.wall / heart.length


def _bullet(w: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Relative radius of the left ventricle at ``w``: 1 at the base, 0 at the apex."""
    return np.asarray((1 - np.clip(w, 0, 1) ** 2.6) ** 0.6)


def _to_segment(points: Points, start: Vector, stop: Vector) -> Points:
    """Distance (n,) of ``points`` (3, n) from the segment between ``start`` and ``stop``."""
    along = (stop - start).astype(np.float32)
    offset = points - start.astype(np.float32)[:, None]
    share = np.clip(along @ offset / np.float32(along @ along), 0, 1)
    return np.asarray(np.sqrt(((offset - along[:, None] * share) ** 2).sum(axis=0)))
