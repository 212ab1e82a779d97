"""From a plan to series: who is scanned where and when, before a pixel exists.

The promise kept here: stacks of the short axis share their planes, as technologists copy them
from the cine, while each breath-hold has a shift of its own; and time only goes forward from
hold to hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cmr_node.geometry.standard_view import View
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.faults import Record, befall
from cmr_node.phantom.plan import Plan
from cmr_node.phantom.scanner import render
from cmr_node.phantom.scanner.render import Pixels, Protocol
from cmr_node.phantom.scanner.scan import Contrast, Stack, cuts, scan_cut
from cmr_node.phantom.series import HOLD_S, LOCALIZER, Scan, Series, Shot

COARSER = {
    LOCALIZER: 1.6,
    Contrast.CINE: 1.0,
    Contrast.T2: 1.15,
    Contrast.T1_MAP: 1.25,
    Contrast.LATE_ENHANCEMENT: 1.1,
}
"""Pixel spacing relative to the plan's; the field of view is the same."""
PAUSE_S = 30  #: between scans
WASH_OUT_S = 600  #: from the last scan without contrast medium to late enhancement
_STILL_SERIES = {
    Contrast.T2: (Contrast.T2,),
    Contrast.T1_MAP: (Contrast.T1_MAP,),
    Contrast.LATE_ENHANCEMENT: (Contrast.LATE_ENHANCEMENT, Contrast.PHASE_SENSITIVE),
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything about a study that is not a pixel."""

    patient: Patient
    series: tuple[Series, ...]
    records: tuple[Record, ...]  #: of what the faults did


def schedule(plan: Plan) -> Schedule:
    """The study of this plan.

    Raises
    ------
    ValueError
        The plan names a view the phantom cannot show, or a fault that cannot be.
    """
    patient = Patient.draw(plan.seed, plan.group)
    series, records = befall(plan.faults, list(_series(plan, patient)), plan.seed)
    return Schedule(patient, series, records)


class Scanner:
    """Scans one patient; what was scanned once is remembered, for the next series or vendor."""

    def __init__(self, patient: Patient) -> None:
        self._patient = patient
        self._taken: dict[tuple[Scan, int, int], dict[Contrast, Pixels]] = {}

    def take(self, scan: Scan, shot: Shot) -> dict[Contrast, Pixels]:
        """(phases, rows, columns) of each contrast of one slice, not turned."""
        key = scan, shot.cut.index, shot.take
        if key not in self._taken:
            rng = np.random.default_rng([*scan.key, 1 + shot.take, shot.cut.index])
            self._taken[key] = scan_cut(self._patient, shot.cut, scan.stack, rng)
        return self._taken[key]


def _series(plan: Plan, patient: Patient) -> Iterator[Series]:
    seconds, number = 0, 0
    for scan, contrasts in _scans(plan, patient):
        if isinstance(scan.stack.protocol, render.LateEnhancement):
            seconds += WASH_OUT_S
        shots = tuple(
            Shot(cut, seconds + HOLD_S * (place + 1)) for place, cut in enumerate(scan.cuts)
        )
        seconds = shots[-1].seconds + PAUSE_S
        for contrast in contrasts:
            split = (
                plan.series_per_slice and scan.stack.view is View.SAX and contrast is Contrast.CINE
            )
            parts = [(str(s.cut.index), (s,)) for s in shots] if split else [("stack", shots)]
            for part, held in parts:
                number += 1
                logged = plan.orientation_of(scan.stack.view)
                yield Series(scan, contrast, part, number, held, logged)


def _scans(plan: Plan, patient: Patient) -> Iterator[tuple[Scan, tuple[Contrast, ...]]]:
    for view in plan.views:
        kind = LOCALIZER if view is View.OTHER else Contrast.CINE
        stack = _stack(plan, view, plan.protocol, kind)
        key = plan.seed, list(View).index(view)
        yield Scan(stack, key, cuts(patient, stack, key)), (Contrast.CINE,)
    for still in plan.stills:
        yield _still(plan, patient, still), _STILL_SERIES[still]


def _still(plan: Plan, patient: Patient, still: Contrast) -> Scan:
    """On the planes of the short axis, held anew."""
    protocols: dict[Contrast, Protocol] = {
        Contrast.T2: plan.t2,
        Contrast.T1_MAP: plan.t1,
        Contrast.LATE_ENHANCEMENT: plan.late_enhancement,
    }
    protocol = replace(protocols[still], tesla=plan.protocol.tesla)
    stack = _stack(plan, View.SAX, protocol, still)
    places = plan.t1_slices if still is Contrast.T1_MAP else range(plan.slices)
    like_cine = cuts(patient, stack, (plan.seed, list(View).index(View.SAX)))
    key = plan.seed, list(View).index(View.SAX), 1 + list(Contrast).index(still)
    held = cuts(patient, stack, key)
    gap = plan.gap * (plan.t1_step if still is Contrast.T1_MAP else 1)
    return Scan(
        replace(stack, slices=len(places), gap=gap),
        key,
        tuple(replace(like_cine[place], shift=held[place].shift) for place in places),
    )


def _stack(plan: Plan, view: View, protocol: Protocol, kind: str) -> Stack:
    spacing, shape = plan.pixel_spacing, (plan.rows, plan.columns)
    if COARSER[kind] != 1:
        # In steps of a hundredth of a millimetre, so that the header holds it exactly.
        spacing = round(plan.pixel_spacing * COARSER[kind], 2)
        rows, columns = (round(size * plan.pixel_spacing / spacing) for size in shape)
        shape = rows, columns
    return Stack(
        view=view,
        protocol=protocol,
        slices=plan.slices_of(view),
        phases=plan.phases if kind == Contrast.CINE else 1,
        shape=shape,
        pixel_spacing=spacing,
        gap=plan.gap,
        turn_deg=plan.turn_deg if view is View.SAX else 0.0,
        breath_hold_mm=plan.breath_hold_mm,
    )
