"""Outlines as a reader would leave them: one ventricle per picture, whole and without islands.

The promise kept here: whatever is taken away or filled is counted and named, nothing is moved,
and turning all pictures first gives the same outlines turned.  In each picture

    left ventricle    cavity and wall together: the largest part, its small holes filled with wall
    cavity            the largest part of it, its holes (papillary muscles) filled with blood
    right ventricle   the largest part and those of a fifth of it and more: near the base inflow
                      and outflow are cut apart; its small holes filled

A large hole stays: near the base the wall can surround an atrium, which is neither.  And of each
phase, along the stack, a slice that stands alone is dropped.  After the rules of ukbb_cardiac
(Bai 2018), which keeps the largest part alone of the right ventricle too.  Of several parts
equally large all are kept: to choose would depend on how the picture lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cmr_node.measures.masks import Masks, Structure

Picture = NDArray[np.bool_]

_SECOND_PART = 0.2
"""Of the right ventricle's largest part; the outflow tract is about a third of the inflow."""


_SMALL_HOLE = 0.02
"""Of what encloses it; larger ones in true outlines of simulated hearts are atrium."""


class Change(StrEnum):
    """What was done to outlines."""

    LEFT_ISLAND = "left_island"  #: left ventricle apart from its largest part: dropped
    CAVITY_ISLAND = "cavity_island"  #: blood within the wall, apart from the cavity: now wall
    RIGHT_ISLAND = "right_island"  #: right ventricle apart from its larger parts: dropped
    CAVITY_HOLE = "cavity_hole"  #: something enclosed by the cavity: now cavity
    WALL_HOLE = "wall_hole"  #: something small enclosed by the wall: now wall
    RIGHT_HOLE = "right_hole"  #: something small enclosed by the right ventricle: now its blood
    LEFT_ALONE = "left_alone"  #: left ventricle in a slice whose neighbours have none: dropped
    RIGHT_ALONE = "right_alone"  #: the same of the right ventricle


WORDS = {
    Change.LEFT_ISLAND: "left ventricle apart from its largest part, dropped",
    Change.CAVITY_ISLAND: "blood in the wall apart from the cavity, counted as wall",
    Change.RIGHT_ISLAND: "right ventricle apart from its larger parts, dropped",
    Change.CAVITY_HOLE: "holes of the left cavity, filled",
    Change.WALL_HOLE: "small holes of the left ventricular wall, filled",
    Change.RIGHT_HOLE: "small holes of the right cavity, filled",
    Change.LEFT_ALONE: "left ventricle in a slice that stands alone, dropped",
    Change.RIGHT_ALONE: "right ventricle in a slice that stands alone, dropped",
}


@dataclass(frozen=True, slots=True)
class Correction:
    """One kind of change in one picture."""

    kind: Change
    slice: int
    phase: int
    pixels: int


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """Outlines after cleaning, and what was done, by picture."""

    masks: Masks
    corrections: tuple[Correction, ...]

    def summary(self) -> tuple[str, ...]:
        """One ASCII sentence for each kind of change that happened; slices count from 1."""
        return tuple(
            f"{WORDS[kind]}: {sum(one.pixels for one in found)} pixels in {len(found)} "
            f"pictures of slices {', '.join(map(str, sorted({one.slice + 1 for one in found})))}"
            for kind in Change
            if (found := [one for one in self.corrections if one.kind is kind])
        )


def clean(masks: Masks) -> Cleaned:
    """``masks`` as above.  Its slices must lie in order along the stack."""
    labels = masks.labels.copy()
    corrections: list[Correction] = []
    for place, phase in np.ndindex(*labels.shape[:2]):
        (found,) = ndimage.find_objects(labels[place, phase] > 0, max_label=1) or [None]
        if found is not None:
            changes = _clean_picture(labels[place, phase][found])
            corrections += [Correction(kind, place, phase, n) for kind, n in changes if n]
    for phase in range(labels.shape[1]):
        corrections += _drop_alone(labels[:, phase], phase)
    return Cleaned(Masks(labels, masks.present, masks.confidence), tuple(corrections))


def _clean_picture(labels: NDArray[np.uint8]) -> Iterator[tuple[Change, int]]:
    """Clean one picture in place."""
    blood, wall = labels == Structure.LV_BLOOD, labels == Structure.LV_MYOCARDIUM
    right = labels == Structure.RV_BLOOD
    left = _parts(blood | wall)
    yield Change.LEFT_ISLAND, _count((blood | wall) & ~left)
    cavity = _parts(blood & left)
    yield Change.CAVITY_ISLAND, _count(blood & left & ~cavity)
    whole_cavity = ndimage.binary_fill_holes(cavity)
    yield Change.CAVITY_HOLE, _count(whole_cavity & ~cavity)
    whole_left = _filled(left) | whole_cavity
    yield Change.WALL_HOLE, _count(whole_left & ~left & ~whole_cavity)
    kept = _parts(right & ~whole_left, _SECOND_PART)
    yield Change.RIGHT_ISLAND, _count(right & ~whole_left & ~kept)
    whole_right = _filled(kept) & ~whole_left
    yield Change.RIGHT_HOLE, _count(whole_right & ~kept)
    labels[:] = Structure.NONE
    labels[whole_right] = Structure.RV_BLOOD
    labels[whole_left] = Structure.LV_MYOCARDIUM
    labels[whole_cavity] = Structure.LV_BLOOD


def _parts(mask: Picture, share: float = 1.0) -> Picture:
    """The parts of ``mask`` that have ``share`` of the largest's pixels and more."""
    numbered, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(numbered.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= share * sizes.max())[numbered] & mask)


def _filled(mask: Picture) -> Picture:
    """``mask`` without small holes."""
    holes = ndimage.binary_fill_holes(mask) & ~mask
    numbered, count = ndimage.label(holes)
    if not count:
        return mask
    sizes = np.bincount(numbered.ravel())
    sizes[0] = 0
    small = (sizes > 0) & (sizes <= _SMALL_HOLE * mask.sum())
    return np.asarray(mask | small[numbered])


def _drop_alone(labels: NDArray[np.uint8], phase: int) -> Iterator[Correction]:
    """Drop in place, of one phase (slices, rows, columns), slices that stand alone.

    Two slices and more beside a hole are kept: half a ventricle is not dropped because one
    picture in its middle failed.  Where no run is longer than one slice, the largest is kept.
    """
    for structures, kind in (
        ((Structure.LV_BLOOD, Structure.LV_MYOCARDIUM), Change.LEFT_ALONE),
        ((Structure.RV_BLOOD,), Change.RIGHT_ALONE),
    ):
        there = np.isin(labels, structures)
        sizes = there.sum(axis=(1, 2))
        runs, count = ndimage.label(sizes > 0)
        if count < 2:
            continue
        of_run = ndimage.sum_labels(sizes, runs, range(1, count + 1))
        for number in range(1, count + 1):
            places = np.flatnonzero(runs == number)
            if len(places) == 1 and of_run[number - 1] < of_run.max():
                (place,) = places
                labels[place][there[place]] = Structure.NONE
                yield Correction(kind, int(place), phase, int(sizes[place]))


def _count(mask: Picture) -> int:
    return int(np.count_nonzero(mask))
