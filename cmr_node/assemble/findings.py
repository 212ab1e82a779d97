"""What is odd about a stack, named with its numbers.

The promise kept here: an oddity is a finding of a known kind, never a reason to drop a slice in
silence.  Whether one forbids re-indexing is decided by whoever acts on the stack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from cmr_node.assemble.grouping import SAME_SLICE, Group, turn_deg
from cmr_node.assemble.records import Cell, Finding, FindingKind, Slice
from cmr_node.assemble.sequence import CardiacSequence
from cmr_node.geometry.plane import PARALLEL_LIMIT_DEG, Plane

GAP = 1.5  # times the usual step
UNEVEN = 0.1  # share of the usual step by which a step may differ
UNEVEN_LEAST = 0.5  # mm; less is rounding and the operator's hand
SHOWN = 5  # slices named in one text, the rest counted


def findings_of(group: Group, slices: Sequence[Slice], plane: Plane) -> tuple[Finding, ...]:
    """Everything odd about the stack made of ``group``; ``plane`` has its commonest orientation."""
    return (
        *_frame_of_reference(group),
        *_repeats(group),
        *_steps(slices),
        *_duplicates(slices, group.pieces[0].sequence),
        *_tilts(slices, plane),
        *_mixtures(slices),
        *_phases(slices),
    )


def _frame_of_reference(group: Group) -> Iterator[Finding]:
    counts = {piece.frames_of_reference for piece in group.pieces} - {1}
    if counts:
        text = f"{max(counts)} different FrameOfReferenceUIDs in one series, allowed is one"
        yield Finding(FindingKind.FRAME_OF_REFERENCE, text)


def _repeats(group: Group) -> Iterator[Finding]:
    if group.repeats:
        text = f"places of this stack were acquired again: {group.repeats} more stacks of them"
        yield Finding(FindingKind.REPEATED, text)


def _steps(slices: Sequence[Slice]) -> Iterator[Finding]:
    steps = np.diff([one.position for one in slices])
    steps_apart = [step for step in steps if step >= SAME_SLICE]
    if len(steps_apart) < 2:
        return
    usual = float(np.median(steps_apart))
    slack = max(UNEVEN * usual, UNEVEN_LEAST)
    gaps = [i for i, step in enumerate(steps) if step >= GAP * usual]
    uneven = [
        i
        for i, step in enumerate(steps)
        if step >= SAME_SLICE and i not in gaps and abs(step - usual) > slack
    ]
    for kind, found in ((FindingKind.GAP, gaps), (FindingKind.UNEVEN_STEPS, uneven)):
        if found:
            where = _listed([f"{steps[i]:.1f} mm after slice {i + 1}" for i in found])
            yield Finding(kind, f"{where}; the usual step is {usual:.1f} mm")


def _duplicates(slices: Sequence[Slice], sequence: CardiacSequence) -> Iterator[Finding]:
    steps = np.diff([one.position for one in slices])
    close = [f"slices {i + 1} and {i + 2}" for i, step in enumerate(steps) if step < SAME_SLICE]
    if close:
        text = f"{_listed(close)} are less than {SAME_SLICE:g} mm apart"
        yield Finding(FindingKind.DUPLICATE_POSITIONS, text)
    twice = [f"slice {i + 1}" for i, one in enumerate(slices) if _same_moment(one.cells)]
    if twice and sequence is CardiacSequence.CINE:
        text = f"{_listed(twice)}: more than one image with the same TriggerTime"
        yield Finding(FindingKind.DUPLICATE_POSITIONS, text)


def _same_moment(cells: Sequence[Cell]) -> bool:
    times = Counter(cell.header.number("TriggerTime") for cell in cells)
    return any(count > 1 for time, count in times.items() if time is not None)


def _tilts(slices: Sequence[Slice], plane: Plane) -> Iterator[Finding]:
    tilts = [max(turn_deg(plane, cell.plane) for cell in one.cells) for one in slices]
    tilted = [
        f"slice {i + 1} by {tilt_deg:.1f} deg"
        for i, tilt_deg in enumerate(tilts)
        if tilt_deg > PARALLEL_LIMIT_DEG
    ]
    if tilted:
        text = f"{_listed(tilted)}; allowed is {PARALLEL_LIMIT_DEG:g} deg from the others"
        yield Finding(FindingKind.TILTED_SLICES, text)


def _mixtures(slices: Sequence[Slice]) -> Iterator[Finding]:
    planes = [cell.plane for one in slices for cell in one.cells]
    shapes = Counter(plane.shape for plane in planes)
    if len(shapes) > 1:
        found = _listed([f"{n} of {rows} x {columns}" for (rows, columns), n in shapes.items()])
        yield Finding(FindingKind.MIXED_SIZES, f"images of different sizes: {found}")
    spacings = Counter(tuple(round(v, 4) for v in plane.pixel_spacing) for plane in planes)
    if len(spacings) > 1:
        found = _listed([f"{n} of {' x '.join(map(str, s))} mm" for s, n in spacings.items()])
        yield Finding(FindingKind.MIXED_SPACINGS, f"images of different spacing: {found}")


def _phases(slices: Sequence[Slice]) -> Iterator[Finding]:
    counts = [len(one.cells) for one in slices]
    most = max(counts)
    fewer = [f"slice {i + 1} has {n}" for i, n in enumerate(counts) if n < most]
    if fewer:
        text = f"{_listed(fewer)}; the most is {most} phases"
        yield Finding(FindingKind.MISSING_PHASES, text)


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
