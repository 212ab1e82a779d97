"""Volumes by summation of discs: areas times what each slice stands for, from where slices lie.

The promise kept here: a slice stands for half the distance to each neighbour, whatever its
thickness is said to be, and every phase of the curve is summed over the same slices.  Papillary
muscles are what the outlines make of them: ``cleaning`` gives them to the cavity.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cmr_node.measures.masks import Masks, Structure

Vector = NDArray[np.float64]

DENSITY_G_PER_ML = 1.05  #: of myocardium
HALF_CIRCUMFERENCE = 0.5


class BasalRule(StrEnum):
    """Which slices near the valves belong to the left ventricle."""

    AS_DRAWN = "as_drawn"
    """All that are outlined: outflow tract up to the aortic valve included (SCMR 2020)."""
    HALF = "half"
    """From the base on, slices are left out until muscle borders half the cavity's circumference
    (SCMR 2013); their muscle with them."""

    @property
    def words(self) -> str:
        """For the report, ASCII."""
        return _RULES[self]


_RULES = {
    BasalRule.AS_DRAWN: "every slice with an outlined cavity counts, the outflow tract up to the "
    "aortic valve included (SCMR 2020)",
    BasalRule.HALF: "a basal slice counts if myocardium borders at least 50 % of the "
    "circumference of its blood pool (SCMR 2013)",
}


@dataclass(frozen=True, slots=True, eq=False)
class Discs:
    """What is outlined, slice by slice and phase by phase; slices in order along the stack.

    left, wall, right
        (slices, phases), ml: cavity, wall and right cavity.
    bordered
        (slices, phases), 0 to 1: share of the left cavity's circumference that borders on
        muscle; NaN without cavity.
    base_first
        Whether the base is at the first slice: there the heart is larger.
    """

    left: Vector
    wall: Vector
    right: Vector
    bordered: Vector
    base_first: bool

    def in_use(self, rule: BasalRule) -> NDArray[np.bool_]:
        """(slices, phases): which slices with a left ventricle count."""
        there = self.left + self.wall > 0
        if rule is BasalRule.AS_DRAWN:
            return np.asarray(there)
        # A slice of wall alone has no circumference: it lies beyond the apex, not the base.
        enough = there & ~(self.bordered < HALF_CIRCUMFERENCE)
        from_base = enough if self.base_first else enough[::-1]
        reached = np.maximum.accumulate(from_base, axis=0)
        return np.asarray(there & (reached if self.base_first else reached[::-1]))


def slabs(positions: Vector) -> Vector:
    """What each slice stands for, mm.

    Parameters
    ----------
    positions
        (slices,), mm along the normal, ascending; two and more.

    Returns
    -------
    (slices,): half the distance to either neighbour; towards an end of the stack, half the
    usual (median) step.
    """
    steps = np.diff(positions)
    usual = np.median(steps)
    return np.asarray((np.append(usual, steps) + np.append(steps, usual)) / 2)


def discs(masks: Masks, positions: Vector, pixel_spacing: tuple[float, float]) -> Discs:
    """Volumes of what ``masks`` outline.

    Parameters
    ----------
    masks
        Cleaned, slices in the order of ``positions``.
    positions
        As for ``slabs``.
    pixel_spacing
        mm between rows, between columns.
    """
    # Pixels are counted first: turned pictures then give the same numbers to the last bit.
    millilitres = (slabs(positions) * (pixel_spacing[0] * pixel_spacing[1]) / 1000)[:, None]
    left, wall, right = (
        masks.of(structure).sum(axis=(2, 3)) * millilitres
        for structure in (Structure.LV_BLOOD, Structure.LV_MYOCARDIUM, Structure.RV_BLOOD)
    )
    heart = (left + wall + right).sum(axis=1)
    filled = heart[heart > 0]
    half = len(filled) // 2
    return Discs(
        left,
        wall,
        right,
        _bordered(masks, pixel_spacing),
        base_first=bool(filled[:half].sum() >= filled[len(filled) - half :].sum()),
    )


def _bordered(masks: Masks, pixel_spacing: tuple[float, float]) -> Vector:
    blood = masks.of(Structure.LV_BLOOD)
    wall = masks.of(Structure.LV_MYOCARDIUM)
    around = muscle = np.zeros(blood.shape[:2])
    for axis, length in ((2, pixel_spacing[1]), (3, pixel_spacing[0])):
        # An edge between two rows is as long as the columns lie apart.
        outside, inside = _counted(blood, wall, axis)
        around, muscle = around + length * outside, muscle + length * inside
    share = np.full(around.shape, np.nan)
    np.divide(muscle, around, out=share, where=around > 0)
    return share


def _counted(
    blood: NDArray[np.bool_], wall: NDArray[np.bool_], axis: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges of the cavity across ``axis``: all, and those that border on muscle."""
    every = 2 * blood.sum(axis=(2, 3))
    low: list[slice] = [slice(None)] * 4
    high: list[slice] = [slice(None)] * 4
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    a, b = tuple(low), tuple(high)
    inner = 2 * (blood[a] & blood[b]).sum(axis=(2, 3))
    muscle = (blood[a] & wall[b]).sum(axis=(2, 3)) + (wall[a] & blood[b]).sum(axis=(2, 3))
    return every - inner, muscle


def usable_phases(discs: Discs, masks: Masks) -> NDArray[np.bool_]:
    """(phases,): those that every slice between the ends of the left ventricle has."""
    places = np.flatnonzero((discs.left + discs.wall).sum(axis=1) > 0)
    if not len(places):
        return np.zeros(masks.present.shape[1], np.bool_)
    return np.asarray(masks.present[places[0] : places[-1] + 1].all(axis=0))
