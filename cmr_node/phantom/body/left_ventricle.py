"""The left ventricle: a bullet whose base descends and whose wall keeps its volume.

The promise kept here: muscle is neither made nor lost.  A ray of the wall at some level and angle
is wrapped round the narrowed cavity with the cross-section it had at end-diastole, divided by the
shortening of the ventricle; so the wall thickens as a real one does, and the depth of a place in
it, counted by area, is the same in every phase.

Coordinates, mm: septal *p* (towards the right ventricle), anterior *q*, apical *u*, the origin at
the centre of the mitral ring at end-diastole.  The apex stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_node.phantom.body.fields import Field, Points
from cmr_node.phantom.body.motion import contraction, filling, inlets_closed
from cmr_node.phantom.body.scar import Scar
from cmr_node.phantom.body.tissues import Labels, Tissue

_STEPS = 1024  #: entries of a table along the long axis
_TOP, _TIP = -0.12, 1.30  #: its range, in lengths of the ventricle
ASCENT = 0.75  #: the wall at the apex, as a share of the wall elsewhere
Lobes = tuple[float, float, float]
"""Relative amplitudes of the radius: two lobes by cosine and sine, three by cosine."""


@dataclass(frozen=True, slots=True)
class Papillary:
    """One head of a papillary muscle: a column along the ventricle, mm where not said."""

    cosine: float  #: of its angle
    sine: float
    out: float  #: distance from the axis, as a share of the cavity's radius
    radius: float
    middle: float  #: level, as a share of the ventricle's length
    half_length: float  #: likewise


@dataclass(frozen=True, slots=True)
class Wall:
    """Where places (n,) lie with respect to the wall in one phase; mm where not said."""

    level: Points  #: 0 at the mitral ring, 1 at the tip of the cavity
    radius: Points  #: distance from the long axis, the unroundness taken out
    endo: Points  #: radius of the cavity there
    epi: Points
    cosine: Points  #: of the angle in AHA's picture
    sine: Points
    endo_rest: Points  #: the radii at end-diastole of the same muscle
    epi_rest: Points

    @property
    def depth(self) -> Points:
        """Share of the wall's thickness at end-diastole: 0 endocardium, 1 epicardium."""
        area = (self.radius**2 - self.endo**2) / np.maximum(self.epi**2 - self.endo**2, 1e-3)
        rest = np.sqrt(
            self.endo_rest**2 + np.clip(area, 0, 1) * (self.epi_rest**2 - self.endo_rest**2)
        )
        return np.asarray((rest - self.endo_rest) / np.maximum(self.epi_rest - self.endo_rest, 0.1))


@dataclass(frozen=True, slots=True)
class LeftVentricle:
    """Lengths in mm, at end-diastole."""

    length: float  #: of the cavity, mitral ring to apex
    cavity_radius: float  #: widest
    wall: float  #: where nothing thickens or thins it
    narrowing: float  #: share of the cavity radius lost at end-systole
    descent: float  #: of the mitral ring at end-systole
    blunt: float  #: exponent of the bullet: larger is rounder, as in a dilated ventricle
    lobes: tuple[Lobes, Lobes]  #: its unroundness at the base and at the apex
    dents: tuple[float, float, float]  #: of the endocardium: relative depth, and two phases in rad
    thick_angle: float  #: rad; middle of the part that hypertrophy thickens
    thick_share: float  #: by how much, relative to ``wall``
    muscles: tuple[Papillary, ...]
    trabeculation: float  #: height of the trabeculae near the apex
    ripple: Field
    scar: Scar | None

    @property
    def tip(self) -> float:
        """Where the outer wall ends, in lengths of the cavity."""
        return 1 + ASCENT * self.wall / self.length

    @property
    def outer_radius(self) -> float:
        """Of the wall at its widest."""
        return self.cavity_radius + self.wall

    def drop(self, phase: float) -> float:
        """How far the mitral ring has descended."""
        return self.descent * contraction(phase)

    def profile(self, level: Points | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Radii of the cavity and of an even wall at end-diastole, at each ``level``."""
        ring = 1 - 0.12 * np.exp(-np.maximum(level, 0) / 0.10)
        endo = self.cavity_radius * ring * _bullet(level, self.blunt)
        epi = self.outer_radius * ring * _bullet(level / self.tip, self.blunt)
        return endo, epi

    def radii(
        self, level: Points, cosine: Points, sine: Points, beat: float
    ) -> tuple[Points, Points, Points, Points]:
        """Cavity and outer wall now, then at end-diastole; by level and angle, unroundness out.

        ``beat`` is the contraction, 0 to 1; see :func:`cmr_node.phantom.body.motion.contraction`.
        """
        entry = np.clip((level - _TOP) * (_STEPS / (_TIP - _TOP)), 0, _STEPS - 1).astype(np.int32)
        table = self.profile(np.linspace(_TOP, _TIP, _STEPS))
        endo_rest, even = (radii.astype(np.float32)[entry] for radii in table)
        endo_rest *= self._dented(cosine, sine, level)
        thickness = even - endo_rest
        if self.thick_share:
            along = cosine * np.float32(np.cos(self.thick_angle))
            along += sine * np.float32(np.sin(self.thick_angle))
            swell = np.exp(np.float32(1.6) * (along - 1)) * np.clip(1.3 - level, 0, 1)
            thickness *= 1 + np.float32(self.thick_share) * swell
        loss = np.full_like(level, self.narrowing * beat)
        if self.scar is not None:
            near = self.scar.nearness(cosine, sine, level)
            thickness *= 1 - self.scar.thinning(near)
            loss = loss * (1 - self.scar.stiffness(near))
        epi_rest = endo_rest + thickness
        endo = endo_rest * (1 - loss)
        shortening = np.float32(self.length / (self.length - self.descent * beat))
        epi = np.sqrt(endo**2 + (epi_rest**2 - endo_rest**2) * shortening)
        return endo, epi, endo_rest, epi_rest

    def _dented(self, cosine: Points, sine: Points, level: Points) -> Points:
        """By what the cavity's radius is multiplied: its wall is not of one thickness."""
        deep, a, b = (np.float32(value) for value in self.dents)
        waves = np.sin(4 * cosine + 5 * level + a) + np.sin(5 * sine - 4 * level + b)
        return np.asarray(1 + deep * waves)

    def unroundness(self, cosine: Points, sine: Points, level: Points) -> Points:
        """By what the radii of a round ventricle are multiplied at an angle and level."""
        two, two_sine = cosine**2 - sine**2, 2 * cosine * sine
        three = cosine * (cosine**2 - 3 * sine**2)
        share = np.clip(level, 0, 1)
        a, b, c = (
            np.float32(base) + np.float32(apex - base) * share
            for base, apex in zip(*self.lobes, strict=True)
        )
        return np.asarray(1 + a * two + b * two_sine + c * three)

    def locate(self, local: Points, phase: float) -> Wall:
        """Where ``local`` (3, n) lies in the wall at ``phase``."""
        p, q, u = local
        beat, drop = contraction(phase), np.float32(self.drop(phase))
        level = (u - drop) / np.float32(self.length - drop)
        away = np.hypot(p, q) + np.float32(1e-3)
        cosine, sine = -p / away, q / away
        radii = self.radii(level, cosine, sine, beat)
        return Wall(
            level,
            away / self.unroundness(cosine, sine, level),
            radii[0],
            radii[1],
            cosine,
            sine,
            *radii[2:],
        )

    def outside(self, wall: Wall) -> Points:
        """Distance (n,) from the outer wall, mm, negative within; rough far away."""
        above = (np.float32(-0.02) - wall.level) * self.length
        beyond = (wall.level - np.float32(self.tip)) * self.length
        aside = np.where(beyond > 0, np.hypot(wall.radius, beyond), wall.radius - wall.epi)
        return np.asarray(np.maximum(aside, above))

    def paint(self, label: Labels, local: Points, wall: Wall, phase: float) -> None:
        """Muscle, scar, cavity, papillary muscles, trabeculae and mitral leaflets."""
        muscle = (wall.level > -0.02) & (wall.radius < wall.epi)
        label[muscle] = Tissue.MYOCARDIUM
        if self.scar is not None:
            spots = np.flatnonzero(muscle & (wall.radius >= wall.endo))
            part = Wall(*(getattr(wall, name)[spots] for name in Wall.__slots__))
            scarred = label[spots]
            near = self.scar.nearness(part.cosine, part.sine, part.level)
            self.scar.paint(scarred, near, part.depth)
            label[spots] = scarred
        lumen = muscle & (wall.radius < wall.endo)
        label[lumen] = Tissue.LV_BLOOD
        spots = np.flatnonzero(lumen)
        inner = label[spots]
        self._relief(
            inner, local[:, spots], wall.radius[spots], wall.endo[spots], wall.level[spots]
        )
        label[spots] = inner
        self._mitral(label, local, phase)

    def _relief(
        self, label: Labels, local: Points, radius: Points, endo: Points, level: Points
    ) -> None:
        """What stands out of the wall into the cavity; all of it counts as cavity."""
        p, q, _ = local
        # Folds run along the ventricle: the field is stretched fourfold that way.
        folds = self.ripple.at(local * np.array([[1], [1], [0.25]], np.float32))
        coarse = self.ripple.at(local * np.array([[0.45], [0.45], [0.15]], np.float32))
        # Least on the septum, most at the free wall and towards the apex.
        bushy = np.clip(1.9 * level - 0.70, 0.15, 1) + 0.25 * np.clip(0.4 - p / endo, 0, 1.4)
        height = np.clip(2.6 * np.abs(folds) + 0.9 * folds, 0, 1.3) + np.clip(2 * coarse, 0, 0.9)
        height *= np.float32(self.trabeculation) * bushy
        label[radius > endo - height] = Tissue.PAPILLARY
        for muscle in self.muscles:
            rise = (level - muscle.middle) / muscle.half_length
            # A muscle leaves the wall towards the base and is thickest in its lower half.
            reach = muscle.out + 0.16 * np.clip(rise, -1, 1) + 0.5 * np.clip(rise - 0.6, 0, 1)
            away = np.hypot(p + muscle.cosine * reach * endo, q - muscle.sine * reach * endo)
            girth = muscle.radius * np.sqrt(np.clip(1 - np.minimum(rise, 0) ** 2, 0, 1))
            # Furrowed, not a rod; and strands tie it to the trabeculae here and there.
            label[(away < girth * (1 + 0.8 * folds + 0.5 * coarse)) & (rise < 2)] = Tissue.PAPILLARY

    def _mitral(self, label: Labels, local: Points, phase: float) -> None:
        """The leaflets: a lid in systole, two flaps into the cavity in diastole.

        The ring lies behind and beside the axis, for the outflow tract takes the front.
        """
        p, q, u = local
        ring = 0.80 * self.cavity_radius
        away = np.hypot(p + 0.14 * self.cavity_radius, q + 0.16 * self.cavity_radius)
        depth = u - np.float32(self.drop(phase))
        if inlets_closed(phase):
            # Not a smooth cone: the leaflets bulge between their chords.
            lid = 1.0 + 3.0 * (1 - away / ring) + 1.3 * np.sin(0.33 * p + 0.2) * np.sin(0.29 * q)
            leaf = (away < ring + 1) & (np.abs(depth - lid) < 0.9)
        else:
            # Wide open while blood streams in, half closed in diastasis.
            lean = 0.25 + 0.55 * (1 - min(filling(phase), 1.0))
            leaf = (np.abs(away - ring + lean * depth) < 1.0) & (depth > 0) & (depth < 17)
        blood = (label == Tissue.LV_BLOOD) | (label == Tissue.LA_BLOOD)
        label[leaf & blood] = Tissue.VESSEL_WALL


def _bullet(level: np.ndarray, blunt: float) -> np.ndarray:
    """Relative radius of the ventricle: 1 at the base, 0 at the apex."""
    return np.asarray((1 - np.clip(level, 0, 1) ** blunt) ** 0.6)
