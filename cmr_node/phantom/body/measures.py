"""What a reader should find in a patient: volumes, function, mass, scar by segment.

The promise kept here: no image is measured.  Volumes are sums over a fine grid in the heart's own
coordinates, scar is summed along rays through the wall in coordinates that move with the muscle.
Papillary muscles and trabeculae count as cavity, and the outflow tract up to the aortic valve
belongs to the ventricle (SCMR 2020); the volume of what stands in the cavity is given, so that
the other convention can be had.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmr_node.measures.quantities import Quantity
from cmr_node.measures.volumes import DENSITY_G_PER_ML
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.motion import END_SYSTOLE
from cmr_node.phantom.body.scar import Scar, segment
from cmr_node.phantom.body.tissues import LV_CAVITY, LV_MUSCLE, SCARRED, Tissue


@dataclass(frozen=True, slots=True)
class Volumes:
    """In one phase; ml."""

    left: float  #: cavity of the left ventricle, papillary muscles included
    papillary: float  #: what stands in it
    right: float  #: blood of the right ventricle
    muscle: float  #: of the left ventricle, without what stands in the cavity
    left_atrium: float
    right_atrium: float


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one patient; ml, g, and shares from 0 to 1."""

    end_diastole: Volumes
    end_systole: Volumes
    mass_g: float  #: left ventricular, end-diastole
    scar_share: float  #: of the left ventricular muscle
    scar_by_segment: tuple[float, ...]  #: AHA's 17: share of the segment's muscle
    transmurality: tuple[float, ...]  #: AHA's 17: mean over the rays that meet scar, else 0

    @property
    def left_ejection_fraction(self) -> float:
        """(EDV - ESV) / EDV."""
        return 1 - self.end_systole.left / self.end_diastole.left

    @property
    def right_ejection_fraction(self) -> float:
        """(EDV - ESV) / EDV."""
        return 1 - self.end_systole.right / self.end_diastole.right


def measure(patient: Patient, step_mm: float = 1.25) -> Measures:
    """Everything; ``step_mm`` is that of the grid."""
    diastole = volumes(patient, 0.0, step_mm)
    scar, by_segment, transmurality = scar_shares(patient)
    return Measures(
        end_diastole=diastole,
        end_systole=volumes(patient, END_SYSTOLE, step_mm),
        mass_g=diastole.muscle * DENSITY_G_PER_ML,
        scar_share=scar,
        scar_by_segment=by_segment,
        transmurality=transmurality,
    )


def volumes(patient: Patient, phase: float, step_mm: float = 1.25) -> Volumes:
    """By integration over a grid of ``step_mm`` that holds the whole heart."""
    heart = patient.heart
    septal, anterior, apical = (
        np.arange(low, high, step_mm)
        for low, high in (
            (-heart.left.outer_radius - 12, heart.left.outer_radius + heart.right.width + 30),
            (-heart.right.height - 15, heart.right.height + 30),
            (-75.0, heart.length + 20),
        )
    )
    counts = np.zeros(len(Tissue), np.int64)
    across = np.stack(np.meshgrid(septal, anterior, indexing="ij")).reshape(2, -1)
    for level in apical:
        local = np.vstack([across, np.full((1, across.shape[1]), level)])
        points = (heart.base[:, None] + heart.axes.T @ local).astype(np.float32)
        label = np.zeros(points.shape[1], np.uint8)
        heart.paint(label, points, phase)
        counts += np.bincount(label, minlength=len(Tissue))
    millilitres = counts * step_mm**3 / 1000
    return Volumes(
        left=float(millilitres[list(LV_CAVITY)].sum()),
        papillary=float(millilitres[Tissue.PAPILLARY]),
        right=float(millilitres[Tissue.RV_BLOOD]),
        muscle=float(millilitres[list(LV_MUSCLE)].sum()),
        left_atrium=float(millilitres[Tissue.LA_BLOOD]),
        right_atrium=float(millilitres[Tissue.RA_BLOOD]),
    )


def quantities(diastole: Volumes, systole: Volumes) -> dict[Quantity, float]:
    """What a report of this heart should say, by the names and in the units of a report."""
    return {
        Quantity.LV_EDV: diastole.left,
        Quantity.LV_ESV: systole.left,
        Quantity.LV_EF: 100 * (1 - systole.left / diastole.left),
        Quantity.LV_MASS: diastole.muscle * DENSITY_G_PER_ML,
        Quantity.RV_EDV: diastole.right,
        Quantity.RV_ESV: systole.right,
        Quantity.RV_EF: 100 * (1 - systole.right / diastole.right),
    }


def scar_shares(patient: Patient) -> tuple[float, tuple[float, ...], tuple[float, ...]]:
    """Share of the muscle that is scar; the same by segment; transmurality by segment."""
    left = patient.heart.left
    if left.scar is None:
        return 0.0, (0.0,) * 17, (0.0,) * 17
    angle, level, depth = (
        grid.ravel().astype(np.float32)
        for grid in np.meshgrid(
            np.arange(180) * (2 * np.pi / 180),
            (np.arange(90) + 0.5) / 90 * left.tip,
            (np.arange(40) + 0.5) / 40,
            indexing="ij",
        )
    )
    cosine, sine = np.cos(angle), np.sin(angle)
    endo, epi, *_ = left.radii(level, cosine, sine, 0.0)
    weight = (
        (epi - endo) * (endo + depth * (epi - endo)) * left.unroundness(cosine, sine, level) ** 2
    )
    scarred = _scarred(left.scar, cosine, sine, level, depth)
    where = segment(cosine, sine, level)
    all_of_it = np.bincount(where, weight, 18)[1:]
    scar = np.bincount(where, weight * scarred, 18)[1:]
    rays = scarred.reshape(-1, 40).mean(axis=1)
    hit = rays > 0
    of_ray = where.reshape(-1, 40)[:, 0]
    met = np.bincount(of_ray[hit], minlength=18)[1:]
    reached = np.bincount(of_ray[hit], rays[hit], 18)[1:] / np.maximum(met, 1)
    shares = scar / np.maximum(all_of_it, 1e-9)
    return (
        float(scar.sum() / all_of_it.sum()),
        tuple(float(share) for share in shares),
        tuple(float(share) for share in reached),
    )


def _scarred(
    scar: Scar, cosine: np.ndarray, sine: np.ndarray, level: np.ndarray, depth: np.ndarray
) -> np.ndarray:
    label = np.full(level.shape, Tissue.MYOCARDIUM, np.uint8)
    scar.paint(label, scar.nearness(cosine, sine, level), depth)
    return np.isin(label, SCARRED)
