"""Outlines whose volumes are known: shells of ellipsoids by formula, simulated hearts by truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cmr_node.geometry.standard_view import View
from cmr_node.measures.masks import Masks, Structure
from cmr_node.measures.quantities import Quantity
from cmr_node.measures.volumes import DENSITY_G_PER_ML
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.groups import Group
from cmr_node.phantom.body.measures import quantities, volumes
from cmr_node.phantom.body.motion import END_SYSTOLE
from cmr_node.phantom.body.tissues import LV_CAVITY, LV_MUSCLE, Tissue
from cmr_node.phantom.scanner.render import Cine
from cmr_node.phantom.scanner.scan import Stack, cuts, label_map

SPACING = (1.25, 1.5)


def masks_of(labels: NDArray[np.uint8]) -> Masks:
    """All pictures there, and drawn for sure."""
    shape = labels.shape[:2]
    return Masks(labels, np.ones(shape, np.bool_), np.ones(shape, np.float32))


@dataclass(frozen=True)
class Shells:
    """A left ventricle of half-axes (mm) that beats, beside a right one; centred between slices."""

    step: float = 8.0
    slices: int = 16
    phases: int = 12
    short: tuple[float, float] = (26.0, 17.0)  #: of the cavity, widest and narrowest
    long: float = 45.0
    wall: float = 9.0
    right: tuple[float, float] = (20.0, 12.0)

    @property
    def positions(self) -> list[float]:
        return [self.step * (number + 0.5 - self.slices / 2) for number in range(self.slices)]

    def half_axes(self, phase: int) -> tuple[float, float]:
        """Of the cavity and of the right ventricle, in one phase."""
        share = (1 - np.cos(2 * np.pi * phase / self.phases)) / 2
        left, right = (wide - share * (wide - narrow) for wide, narrow in (self.short, self.right))
        return left, right

    def masks(self) -> Masks:
        shape = (96, 112)
        labels = np.zeros((self.slices, self.phases, *shape), np.uint8)
        rows, columns = np.indices(shape)
        y, x = (rows - 47.3) * SPACING[0], (columns - 70.2) * SPACING[1]
        for place, z in enumerate(self.positions):
            for phase in range(self.phases):
                left, right = self.half_axes(phase)
                picture = labels[place, phase]
                for structure, middle, across, along in (
                    (Structure.RV_BLOOD, -66.0, right, 40.0),
                    (Structure.LV_MYOCARDIUM, 0.0, left + self.wall, self.long + self.wall),
                    (Structure.LV_BLOOD, 0.0, left, self.long),
                ):
                    inside = ((x - middle) ** 2 + y**2) / across**2 + z**2 / along**2 <= 1
                    picture[inside] = structure
        return masks_of(labels)

    def truth(self) -> dict[Quantity, float]:
        """By the formula of an ellipsoid's volume."""

        def millilitres(across: float, along: float) -> float:
            return 4 / 3 * np.pi * across**2 * along / 1000

        (ed, right_ed), (es, right_es) = (self.half_axes(n) for n in (0, self.phases // 2))
        edv, esv = millilitres(ed, self.long), millilitres(es, self.long)
        muscle = millilitres(ed + self.wall, self.long + self.wall) - edv
        return {
            Quantity.LV_EDV: edv,
            Quantity.LV_ESV: esv,
            Quantity.LV_SV: edv - esv,
            Quantity.LV_EF: 100 * (1 - esv / edv),
            Quantity.LV_MASS: muscle * DENSITY_G_PER_ML,
            Quantity.RV_EDV: millilitres(right_ed, 40.0),
            Quantity.RV_ESV: millilitres(right_es, 40.0),
        }


@cache
def simulated(seed: int, step: float = 8.0, spacing: float = 1.5) -> tuple[Masks, list[float]]:
    """The true outlines of a simulated patient in four phases, ED first, ES third; positions."""
    patient = Patient.draw(seed, group_of(seed))
    stack = Stack(
        View.SAX,
        Cine(),
        slices=round(174 / step),
        gap=step,
        shape=(110, 110),
        pixel_spacing=spacing,
    )
    places = cuts(patient, stack, (seed,))
    phases = (0.0, END_SYSTOLE / 2, END_SYSTOLE, 0.7)
    tissues = np.stack(
        [[label_map(patient, cut, step, phase) for phase in phases] for cut in places]
    )
    labels = np.zeros(tissues.shape, np.uint8)
    labels[np.isin(tissues, LV_CAVITY)] = Structure.LV_BLOOD
    labels[np.isin(tissues, LV_MUSCLE)] = Structure.LV_MYOCARDIUM
    labels[tissues == Tissue.RV_BLOOD] = Structure.RV_BLOOD
    normal = places[0].plane.normal
    return masks_of(labels), [float(normal @ np.array(cut.plane.position)) for cut in places]


@cache
def simulated_truth(seed: int) -> dict[Quantity, float]:
    """By integration over a fine grid, outflow tract and papillary muscles in the cavity."""
    patient = Patient.draw(seed, group_of(seed))
    return quantities(volumes(patient, 0.0), volumes(patient, END_SYSTOLE))


def group_of(seed: int) -> Group:
    """Every disease in turn."""
    return list(Group)[seed % len(Group)]


def allowed(name: Quantity, truth: float) -> float:
    """3 % or 3 ml, 2 points, 3 % of the mass."""
    if name in (Quantity.LV_EF, Quantity.RV_EF):
        return 2.0
    return 0.03 * truth if name is Quantity.LV_MASS else max(3.0, 0.03 * truth)
