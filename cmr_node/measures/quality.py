"""What speaks against a number, and which numbers are therefore not given.

The promise kept here: a doubt is said in words with the numbers it rests on; what it makes
untrustworthy is withheld, and nothing else is.  Limits without a source are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cmr_node.measures.masks import Masks, Structure
from cmr_node.measures.quantities import LEFT, RIGHT, Quantity
from cmr_node.measures.volumes import HALF_CIRCUMFERENCE, Discs, Vector

SPACING_MM = (0.2, 5.0)  #: pixels of cine are 1 to 2 mm
STEP_MM = (1.0, 30.0)  #: slices less than the first apart are the same place twice
GAP = 1.5  #: of the usual step: a slice is missing, as ``assemble`` has it
WIDE_GAP = 2.5  #: of the usual step: two are, and what lay between is a guess
FEWEST_SLICES, FEW_SLICES = 4, 6  #: with a left cavity; ukbb_cardiac asks for six
FEW_PHASES = 10
LOST_PHASES = 0.25  #: share of phases that some slice lacks, beyond which systole may be missed
END_SHARE = 0.1  #: of the end-diastolic volume in the last slice: the stack ends too early
SURE = 0.5  #: confidence
BRIGHTER = 0.6  #: share of a cavity that outshines its wall: 0.5 by chance, 0.96 as a rule
DARK_SHARE = 0.05  #: of a phase's volume, in slices less bright than that
FEWEST_PIXELS = 20  #: of cavity and of wall, to compare them
EF_PERCENT = (5.0, 85.0)
STROKES_APART = 0.15  #: of the larger stroke volume
HEART_RATE_BPM = (20.0, 250.0)
HEIGHT_M, WEIGHT_KG = (0.3, 2.5), (1.0, 400.0)

ALL = (*LEFT, *RIGHT)
SYSTOLIC = (
    Quantity.LV_ESV,
    Quantity.LV_SV,
    Quantity.LV_EF,
    Quantity.CARDIAC_OUTPUT,
    Quantity.RV_ESV,
    Quantity.RV_SV,
    Quantity.RV_EF,
)
"""What needs end-systole."""
_SYSTOLIC_LEFT = tuple(quantity for quantity in SYSTOLIC if quantity in LEFT)


class Doubt(StrEnum):
    """Why a number may be wrong."""

    POSITIONS = "positions"  #: not known, or several slices in one place
    SPACING = "spacing"  #: of pixels or slices: no cine is scanned so
    GAP = "gap"  #: slices are missing
    FEW_SLICES = "few_slices"
    HOLE = "hole"  #: a slice amid the ventricle has no outline
    ONE_PHASE = "one_phase"
    FEW_PHASES = "few_phases"
    MISSING_PHASES = "missing_phases"  #: some slices lack them
    NO_CHANGE = "no_change"  #: end-diastole and end-systole are the same
    NOT_FOUND = "not_found"  #: a ventricle or its wall was not outlined
    AT_BORDER = "at_border"  #: an outline is cut by the edge of the picture
    BASE = "base"  #: not covered by the stack
    APEX = "apex"  #: not covered by the stack
    CONFIDENCE = "confidence"
    CONTRAST = "contrast"  #: what was outlined as blood is no brighter than muscle
    EJECTION_FRACTION = "ejection_fraction"
    STROKE_VOLUMES = "stroke_volumes"  #: of the two ventricles differ
    HEART_RATE = "heart_rate"
    BODY_SIZE = "body_size"
    UNPROVEN = "unproven"  #: nobody has shown that such outlines are right


@dataclass(frozen=True, slots=True)
class Finding:
    """One doubt in one ASCII sentence; ``against`` is what may not be given because of it."""

    kind: Doubt
    text: str
    against: tuple[Quantity, ...] = ()


@dataclass(frozen=True, slots=True)
class Withheld:
    """A number that is not given, and why."""

    name: Quantity
    reason: str


RIGHT_UNPROVEN = Finding(
    Doubt.UNPROVEN,
    "outlines of the right ventricle were learnt from simulated hearts and not held against those "
    "of readers",
    RIGHT,
)
"""Until a network has been shown to measure right ventricles."""


def check_grid(positions: Vector, pixel_spacing: tuple[float, float]) -> list[Finding]:
    """What is wrong with the stack as a whole; any finding makes every number unsafe.

    ``positions``: (slices,), mm, ascending.
    """
    if not np.isfinite(positions).all():
        return [Finding(Doubt.POSITIONS, "the position of a slice is not known", ALL)]
    low, high = SPACING_MM
    if not all(low <= spacing <= high for spacing in pixel_spacing):
        told = " x ".join(f"{spacing:g}" for spacing in pixel_spacing)
        return [Finding(Doubt.SPACING, f"pixels of {told} mm (limits {low:g} to {high:g})", ALL)]
    if len(positions) < 2:
        return [Finding(Doubt.FEW_SLICES, "one slice: what it stands for is not known", ALL)]
    steps = np.diff(positions)
    low, high = STEP_MM
    if steps.min() < low:
        text = f"two slices {steps.min():.2f} mm apart lie in one place (limit {low:g} mm)"
        return [Finding(Doubt.POSITIONS, text, ALL)]
    if np.median(steps) > high:
        text = f"slices {np.median(steps):.1f} mm apart (limit {high:g} mm)"
        return [Finding(Doubt.SPACING, text, ALL)]
    return []


def check_stack(found: Discs, positions: Vector, ed: int) -> list[Finding]:
    """Slices that are too few or missing, and ends that the stack does not reach."""
    findings = []
    cavity = np.flatnonzero(found.left[:, ed] > 0)
    if len(cavity) < FEW_SLICES:
        text = f"{len(cavity)} slices show the left cavity (wanted {FEW_SLICES})"
        findings.append(Finding(Doubt.FEW_SLICES, text, ALL if len(cavity) < FEWEST_SLICES else ()))
    if not len(cavity):
        return findings
    steps = np.diff(positions)
    usual = float(np.median(steps))
    # A gap next to the outermost outlined slice may hold another one.
    first, last = max(cavity[0] - 1, 0), min(cavity[-1] + 1, len(steps))
    for step in steps[first:last]:
        if step > GAP * usual:
            text = f"slices {step:.1f} mm apart within a stack of {usual:.1f} mm: some are missing"
            findings.append(Finding(Doubt.GAP, text, ALL if step > WIDE_GAP * usual else ()))
    volume = float(found.left[:, ed].sum())
    ends = ("base", "apex") if found.base_first else ("apex", "base")
    for name, place in zip(ends, (0, -1), strict=True):
        share = float(found.left[place, ed]) / volume
        if not share:
            continue
        # Above the muscle little of the ventricle can follow.
        beyond = name == "base" and found.bordered[place, ed] < HALF_CIRCUMFERENCE
        unsafe = share > END_SHARE and not beyond
        text = (
            f"the last slice towards the {name} still holds {100 * share:.0f} % of the "
            f"end-diastolic volume of the left ventricle: the stack may end too early"
        )
        findings.append(Finding(Doubt(name), text, ALL if unsafe else ()))
    return findings


def check_outlines(
    masks: Masks, found: Discs, phases: dict[str, int], in_use: NDArray[np.bool_]
) -> list[Finding]:
    """Outlines with holes along the stack, cut by the picture's edge, or drawn in doubt."""
    findings = []
    left, right = found.left + found.wall > 0, found.right > 0
    for when, phase in phases.items():
        systole = when == "end-systole"
        for side, there, numbers in (("left", left, LEFT), ("right", right, RIGHT)):
            places = np.flatnonzero(there[:, phase])
            against = tuple(q for q in numbers if not systole or q in SYSTOLIC)
            missing = [
                int(p)
                for p in range(*(places[[0, -1]] if len(places) else (0, 0)))
                if p not in places
            ]
            if missing:
                text = f"no outline of the {side} ventricle in {_told(missing)} amid it at {when}"
                findings.append(Finding(Doubt.HOLE, text, against))
            structures = (
                (Structure.LV_BLOOD, Structure.LV_MYOCARDIUM)
                if side == "left"
                else (Structure.RV_BLOOD,)
            )
            cut = [
                int(p) for p in places if _at_border(np.isin(masks.labels[p, phase], structures))
            ]
            if cut:
                text = f"the {side} ventricle reaches the edge of {_told(cut)} at {when}"
                findings.append(Finding(Doubt.AT_BORDER, text, against))
        used = np.flatnonzero(in_use[:, phase])
        confidence = masks.confidence[used, phase]
        unsure = used[confidence < SURE].tolist()
        if len(unsure):
            mean = float(confidence.mean())
            text = (
                f"outlines of {_told(unsure)} at {when} are drawn with confidence as low as "
                f"{confidence.min():.2f} (limit {SURE:g}; mean {mean:.2f})"
            )
            against = ALL if not systole else SYSTOLIC
            findings.append(Finding(Doubt.CONFIDENCE, text, against if mean < SURE else ()))
    return findings


def check_contrast(
    brighter: Vector, found: Discs, phases: dict[str, int], in_use: NDArray[np.bool_]
) -> list[Finding]:
    """Cavities that are no brighter than their wall: muscle was taken for blood.

    ``brighter``: (slices, phases), as ``outshines`` gives it.  In cine and after contrast medium
    blood is bright.  The limit is ours, chosen on Sunnybrook: of 480 slices outlined with a Dice of
    0.8 and more one lies below it, of 27 with less than 0.7 nine do, all in hypertrophic hearts.
    """
    findings = []
    for when, phase in phases.items():
        dark = in_use[:, phase] & (brighter[:, phase] < BRIGHTER)
        volume = found.left[:, phase]
        if volume[dark].sum() > DARK_SHARE * volume[in_use[:, phase]].sum():
            text = (
                f"what was outlined as blood of the left ventricle in "
                f"{_told(np.flatnonzero(dark).tolist())} at {when} is no brighter than what was "
                "outlined as muscle"
            )
            against = LEFT if when == "end-diastole" else _SYSTOLIC_LEFT
            findings.append(Finding(Doubt.CONTRAST, text, against))
    return findings


def outshines(image: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Share of the left cavity that is brighter than the median of its wall; NaN if too few.

    ``image`` and ``labels``: (rows, columns).
    """
    blood, wall = image[labels == Structure.LV_BLOOD], image[labels == Structure.LV_MYOCARDIUM]
    if min(blood.size, wall.size) < FEWEST_PIXELS:
        return float("nan")
    return float((blood > np.median(wall)).mean())


def check_phases(usable: NDArray[np.bool_], curve: Vector) -> list[Finding]:
    """Whether end-systole can be found.  ``curve``: (phases,), ml, NaN where not usable."""
    count, lost = int(usable.sum()), int((~usable).sum())
    if not count:
        text = "no phase is there in all slices of the left ventricle"
        return [Finding(Doubt.MISSING_PHASES, text, ALL)]
    findings = []
    if lost:
        text = f"{lost} of {len(usable)} phases are missing in some slice and were not looked at"
        unsafe = lost > LOST_PHASES * len(usable)
        findings.append(Finding(Doubt.MISSING_PHASES, text, SYSTOLIC if unsafe else ()))
    if count == 1:
        text = "one phase only, taken for end-diastole: there is no end-systole"
        findings.append(Finding(Doubt.ONE_PHASE, text, SYSTOLIC))
    elif np.nanmax(curve) == np.nanmin(curve):
        text = "the volume of the left ventricle is the same in all phases: no end-systole"
        findings.append(Finding(Doubt.NO_CHANGE, text, SYSTOLIC))
    elif count < FEW_PHASES:
        text = f"{count} phases (wanted {FEW_PHASES}): end-systole may lie between them"
        findings.append(Finding(Doubt.FEW_PHASES, text))
    return findings


def check_function(values: dict[Quantity, float]) -> list[Finding]:
    """Ejection fractions that no living heart has, and stroke volumes that do not agree."""
    findings = []
    for fraction, stroke, others in (
        (Quantity.LV_EF, Quantity.LV_SV, (Quantity.CARDIAC_OUTPUT,)),
        (Quantity.RV_EF, Quantity.RV_SV, ()),
    ):
        value, (low, high) = values.get(fraction), EF_PERCENT
        if value is not None and not low <= value <= high:
            text = f"{fraction.words} of {value:.0f} % (limits {low:.0f} to {high:.0f})"
            against = (fraction, stroke, *others)
            findings.append(Finding(Doubt.EJECTION_FRACTION, text, against))
    left, right = values.get(Quantity.LV_SV), values.get(Quantity.RV_SV)
    if left is not None and right is not None and max(left, right) > 0:
        apart = abs(left - right) / max(left, right)
        if apart > STROKES_APART:
            text = (
                f"stroke volumes of {left:.0f} ml (LV) and {right:.0f} ml (RV) are "
                f"{100 * apart:.0f} % apart (limit {100 * STROKES_APART:.0f} %)"
            )
            findings.append(Finding(Doubt.STROKE_VOLUMES, text))
    return findings


def _at_border(mask: NDArray[np.bool_]) -> bool:
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def _told(places: Iterable[int]) -> str:
    """Slices counted from 1, as people count them."""
    numbers = [str(place + 1) for place in places]
    return f"slice{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
