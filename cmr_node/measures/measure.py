"""From outlines to numbers for the report.

The promise kept here: every quantity is either given or withheld with a reason, never both and
never neither; what was left out and by which conventions is said.  End-diastole is the phase of
the largest, end-systole of the smallest volume of the left ventricle, one phase for all slices
and for both ventricles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cmr_node.measures import quality
from cmr_node.measures.body import of_the_body
from cmr_node.measures.cleaning import clean
from cmr_node.measures.masks import Masks
from cmr_node.measures.quality import ALL, SYSTOLIC, Doubt, Finding, Withheld
from cmr_node.measures.quantities import INDEXED, RIGHT, Quantity
from cmr_node.measures.volumes import (
    DENSITY_G_PER_ML,
    BasalRule,
    Discs,
    discs,
    usable_phases,
)

PAPILLARY = "papillary muscles and trabeculae count as blood pool (SCMR 2020)"
METHOD = (
    "summation of discs; each slice stands for half the distance to its neighbours along the "
    f"normal; mass at end-diastole with {DENSITY_G_PER_ML:g} g/ml"
)
_HELD_UP_BY = {
    Quantity.LV_SV: (Quantity.LV_EDV, Quantity.LV_ESV),
    Quantity.LV_EF: (Quantity.LV_EDV, Quantity.LV_ESV),
    Quantity.CARDIAC_OUTPUT: (Quantity.LV_SV,),
    Quantity.RV_SV: (Quantity.RV_EDV, Quantity.RV_ESV),
    Quantity.RV_EF: (Quantity.RV_EDV, Quantity.RV_ESV),
}
"""What is computed from what, in this order."""


@dataclass(frozen=True, slots=True)
class Measurements:
    """The numbers of one short-axis stack.

    values
        What is given, in ``Quantity.unit``.
    withheld
        What is not, and why; with ``values`` it names every ``Quantity`` once.
    flags
        What to know of the numbers that are given; ASCII sentences.
    ed_phase, es_phase
        Zero-based; None where not found.
    lv_curve_ml, rv_curve_ml
        (phases,): cavities; NaN in a phase that some slice of the left ventricle lacks.
    lv_slices
        Zero-based, as handed in: those that count in either phase.
    basal_rule
        And ``conventions``, ``exclusions``: ASCII sentences, how and on what was measured.
    """

    values: Mapping[Quantity, float]
    withheld: tuple[Withheld, ...]
    flags: tuple[Finding, ...]
    ed_phase: int | None
    es_phase: int | None
    lv_curve_ml: tuple[float, ...]
    rv_curve_ml: tuple[float, ...]
    lv_slices: tuple[int, ...]
    basal_rule: BasalRule
    conventions: tuple[str, ...]
    exclusions: tuple[str, ...]


def measure(
    masks: Masks,
    positions_mm: Sequence[float],
    pixel_spacing: tuple[float, float],
    *,
    heart_rate: float | None = None,
    height_m: float | None = None,
    weight_kg: float | None = None,
    basal_rule: BasalRule = BasalRule.AS_DRAWN,
    brighter: NDArray[np.float64] | None = None,
    doubts: Sequence[Finding] = (),
) -> Measurements:
    """Volumes, function and mass.

    Parameters
    ----------
    masks
        As drawn; they are cleaned here (``cleaning.clean``).
    positions_mm
        One per slice, along the stack's normal, in any order.
    pixel_spacing
        mm between rows, between columns.
    heart_rate
        Beats per minute, for the cardiac output.
    height_m, weight_kg
        For the body surface.
    brighter
        (slices, phases): share of each cavity that outshines its wall (``quality.outshines``);
        None where nobody looked.
    doubts
        Of whoever drew, beside those that are found here.

    Raises
    ------
    ValueError
        Not one position per slice.
    """
    if len(positions_mm) != len(masks.labels):
        raise ValueError(f"{len(positions_mm)} positions of {len(masks.labels)} slices")
    order = np.argsort(np.array(positions_mm, float), kind="stable")
    positions = np.array(positions_mm, float)[order]
    phases = masks.labels.shape[1]
    findings = quality.check_grid(positions, pixel_spacing)
    if findings:
        unknown = (math.nan,) * phases
        none = _Found({}, tuple(findings), None, None, unknown, unknown, (), ())
        return _told(none, basal_rule)
    ordered = Masks(masks.labels[order], masks.present[order], masks.confidence[order])
    seen = np.full((len(order), phases), math.nan) if brighter is None else brighter[order]
    found = _summed(ordered, positions, pixel_spacing, basal_rule, order, seen)
    values, more = of_the_body(dict(found.values), heart_rate, height_m, weight_kg)
    findings = [*found.findings, *more, *doubts]
    return _told(replace(found, values=values, findings=tuple(findings)), basal_rule)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was computed, before anything is withheld."""

    values: Mapping[Quantity, float]
    findings: tuple[Finding, ...]
    ed: int | None
    es: int | None
    left: tuple[float, ...]
    right: tuple[float, ...]
    slices: tuple[int, ...]
    exclusions: tuple[str, ...]


def _summed(
    drawn: Masks,
    positions: NDArray[np.float64],
    pixel_spacing: tuple[float, float],
    rule: BasalRule,
    order: NDArray[np.int64],
    brighter: NDArray[np.float64],
) -> _Found:
    """The numbers of ``drawn``, whose slices are in order; ``order`` is where each came from."""
    cleaned = clean(drawn)
    found = discs(cleaned.masks, positions, pixel_spacing)
    in_use = found.in_use(rule)
    usable = usable_phases(found, cleaned.masks)
    corrections = tuple(replace(one, slice=int(order[one.slice])) for one in cleaned.corrections)
    exclusions = list(replace(cleaned, corrections=corrections).summary())
    left, wall, right = (
        np.where(usable, (volume * use).sum(axis=0), math.nan)
        for volume, use in ((found.left, in_use), (found.wall, in_use), (found.right, 1))
    )
    findings = quality.check_phases(usable, left)
    if not usable.any():
        if not in_use.any():
            findings = [Finding(Doubt.NOT_FOUND, "no left ventricle was outlined", ALL)]
        return _Found(
            {}, tuple(findings), None, None, tuple(left), tuple(right), (), tuple(exclusions)
        )
    ed, es = int(np.nanargmax(left)), int(np.nanargmin(left))
    still = {finding.kind for finding in findings} & {Doubt.ONE_PHASE, Doubt.NO_CHANGE}
    moments = {"end-diastole": ed} if still else {"end-diastole": ed, "end-systole": es}
    findings += quality.check_stack(found, positions, ed)
    findings += quality.check_outlines(cleaned.masks, found, moments, in_use)
    findings += quality.check_contrast(brighter, found, moments, in_use)
    findings += _missing(left[ed], wall[ed], right[ed], cleaned.masks, found, moments)
    exclusions += _basal(found, in_use, rule, moments, order)
    values = {
        Quantity.LV_EDV: left[ed],
        Quantity.LV_ESV: left[es],
        Quantity.LV_MASS: wall[ed] * DENSITY_G_PER_ML,
        Quantity.RV_EDV: right[ed],
        Quantity.RV_ESV: right[es],
    }
    if still:
        values = {name: value for name, value in values.items() if name not in SYSTOLIC}
    else:
        for side in ("LV", "RV"):
            edv, esv = values[Quantity[f"{side}_EDV"]], values[Quantity[f"{side}_ESV"]]
            values[Quantity[f"{side}_SV"]] = edv - esv
            if edv > 0:
                values[Quantity[f"{side}_EF"]] = 100 * (edv - esv) / edv
    counted = in_use[:, list(moments.values())].any(axis=1)
    return _Found(
        {name: float(value) for name, value in values.items()},
        tuple(findings),
        ed,
        None if still else es,
        tuple(map(float, left)),
        tuple(map(float, right)),
        tuple(sorted(int(place) for place in order[counted])),
        tuple(exclusions),
    )


def _missing(
    left: float, wall: float, right: float, masks: Masks, found: Discs, moments: dict[str, int]
) -> list[Finding]:
    """What was not outlined at end-diastole, and a right ventricle that some phase lacks."""
    findings = []
    if not left:
        findings.append(Finding(Doubt.NOT_FOUND, "no left cavity was outlined", ALL))
    if not wall:
        text = "no wall of the left ventricle was outlined"
        findings.append(Finding(Doubt.NOT_FOUND, text, (Quantity.LV_MASS,)))
    if not right:
        findings.append(Finding(Doubt.NOT_FOUND, "no right ventricle was outlined", RIGHT))
    lacking = (found.right.sum(axis=1) > 0)[:, None] & ~masks.present
    if lacking[:, list(moments.values())].any():
        text = "a slice of the right ventricle lacks the phase of end-diastole or end-systole"
        findings.append(Finding(Doubt.MISSING_PHASES, text, RIGHT))
    return findings


def _basal(
    found: Discs,
    in_use: NDArray[np.bool_],
    rule: BasalRule,
    moments: dict[str, int],
    order: NDArray[np.int64],
) -> list[str]:
    """How much hangs on the basal rule: what it leaves out, or would leave out."""
    told = []
    half = found.in_use(BasalRule.HALF)
    for when, phase in moments.items():
        doubtful = found.in_use(BasalRule.AS_DRAWN)[:, phase] & ~half[:, phase]
        if not doubtful.any():
            continue
        numbers = ", ".join(str(place + 1) for place in sorted(order[doubtful]))
        verdict = "left out" if rule is BasalRule.HALF else "counted"
        told.append(
            f"basal slices bordered by myocardium along less than half of the circumference, "
            f"{verdict} at {when}: {numbers} ({found.left[doubtful, phase].sum():.1f} ml)"
        )
    return told


def _told(found: _Found, rule: BasalRule) -> Measurements:
    """Withhold what the findings speak against, and what is computed from it."""
    reasons: dict[Quantity, list[str]] = {}
    findings = list(found.findings)
    sure = {
        name: value
        for name, value in found.values.items()
        if not any(name in one.against for one in findings)
    }
    findings += quality.check_function(sure)
    for finding in findings:
        for name in finding.against:
            reasons.setdefault(name, []).append(finding.text)
    for name, needed in _HELD_UP_BY.items():
        for one in needed:
            for reason in reasons.get(one, ()):
                if reason not in reasons.setdefault(name, []):
                    reasons[name].append(reason)
    for plain, index in INDEXED.items():
        if plain in reasons:
            # Why the number itself is not given matters more than why it is not indexed.
            reasons[index] = reasons[plain]
    reasons = {name: told for name, told in reasons.items() if told}
    values = {name: value for name, value in found.values.items() if name not in reasons}
    return Measurements(
        values=values,
        withheld=tuple(
            Withheld(name, "; ".join(reasons.get(name, ["not computed"])))
            for name in Quantity
            if name not in values
        ),
        flags=tuple(finding for finding in findings if not finding.against),
        ed_phase=found.ed,
        es_phase=found.es,
        lv_curve_ml=found.left,
        rv_curve_ml=found.right,
        lv_slices=found.slices,
        basal_rule=rule,
        conventions=(METHOD, PAPILLARY, f"basal rule: {rule.words}"),
        exclusions=found.exclusions,
    )
