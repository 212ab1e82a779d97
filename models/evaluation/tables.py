"""Held-out predictions in, rows of figures out; nothing is trained, read or drawn here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.card import Thresholds
from cmr_node.inference.equivariance import matrices
from cmr_node.inference.fusion import fuse_slices
from models.evaluation.held_out import Outlined, Seen, slice_confidence
from models.scores import (
    GOOD_MM,
    calibration_error,
    fit_temperature,
    over_patients,
    upper_bound,
)

Row = dict[str, Any]


def orientation_row(seen: Sequence[Seen], *, alone: bool) -> Row:
    """Per slice and turn, and per stack; ``alone`` is the network without averaging.

    A stack is one patient at one phase; a patient is wrong if one of the two stacks is, in one
    of the eight turns.
    """
    right = [one.single_right if alone else one.averaged_right[None] for one in seen]
    names = [one.patient.name for one in seen]
    figure, low, high = over_patients(
        np.concatenate([hit.ravel() for hit in right]).tolist(),
        [name for name, hit in zip(names, right, strict=True) for _ in range(hit.size)],
    )
    stacks = [_alone_stack(one) if alone else _stack_right(one) for one in seen]
    wrong = {name for name, hit in zip(names, stacks, strict=True) if not np.all(hit)}
    count = len(set(names))
    return {
        "slices": sum(len(one.patient.images) for one in seen),
        "per slice": figure,
        "95 %": [low, high],
        "per stack": float(np.mean([np.mean(hit) for hit in stacks])),
        "patients wrong": f"{len(wrong)} of {count}",
        "bound": upper_bound(len(wrong), count),
    }


def handedness_row(seen: Sequence[Seen]) -> Row:
    """Mirrored or not, and how far the standard right seen lies from the class's."""
    truth = [one.patient.stored_as for one in seen]
    mirrored = [
        (one.outputs.mirrored > 0) == (o.chirality < 0) for one, o in zip(seen, truth, strict=True)
    ]
    angles = np.concatenate([_angles(one, 0) for one in seen])
    septal = [_angles(one, 1) for one in seen]
    return {
        "mirrored or not": float(np.concatenate(mirrored).mean()),
        "right, deg from the class: median": float(np.median(angles)),
        "right, deg: 5 to 95 %": [float(v) for v in np.percentile(angles, [5, 95])],
        "septum, deg: spread over a patient's slices": float(
            np.median([np.std((one + 180) % 360) for one in septal if len(one) > 2])
        ),
    }


def calibration_row(seen: Sequence[Seen]) -> Row:
    """ECE of single slices, and mean confidence of those that are wrong."""
    sure = np.concatenate([slice_confidence(one) for one in seen])
    right = np.concatenate([one.averaged_right for one in seen])
    error, bins = calibration_error(sure, right)
    wrong = sure[~right]
    return {
        "ECE": error,
        "confidence when wrong": float(wrong.mean()) if len(wrong) else None,
        "bins": bins,
    }


def temperature_of(seen: Sequence[Seen]) -> tuple[float, bool]:
    """Fitted on stacks, and whether it could be: with no stack wrong the best would be 0.

    Then half the number of slices is taken, as if every second one told something new.
    """
    logs = np.stack([one.stack_logs() for one in seen])
    truth = np.array([one.patient.stored_as.code for one in seen])
    if (logs.argmax(1) == truth).all():
        return max(1.0, float(np.mean([len(one.patient.images) for one in seen])) / 2), False
    return max(1.0, fit_temperature(logs, truth)), True


def abstention_row(seen: Sequence[Seen], thresholds: Thresholds) -> Row:
    """Stacks the network is sure of, and how many of those are wrong."""
    told = [fuse_slices(one.outputs, thresholds) for one in seen]
    sure = [(one, evidence) for one, evidence in zip(seen, told, strict=True) if not evidence.doubt]
    wrong = {o.patient.name for o, e in sure if e.orientation is not o.patient.stored_as}
    patients = len({one.patient.name for one, _ in sure})
    return {
        "stacks": len(seen),
        "abstained": len(seen) - len(sure),
        "doubts": sorted(
            f"{one.patient.name} {one.patient.phase}: {evidence.doubt}"
            for one, evidence in zip(seen, told, strict=True)
            if evidence.doubt
        ),
        "sure and wrong": f"{len(wrong)} of {patients} patients",
        "bound": upper_bound(len(wrong), patients) if patients else 1.0,
    }


def outline_rows(outlined: Sequence[Outlined]) -> dict[str, Row]:
    """All, and apart by phase, level and disease."""
    groups: dict[str, list[Outlined]] = {"all": list(outlined)}
    for one in outlined:
        for group in (one.phase, one.level, one.pathology):
            groups.setdefault(group, []).append(one)
    return {name: _outline_row(rows) for name, rows in groups.items()}


def _outline_row(rows: Sequence[Outlined]) -> Row:
    told: Row = {"slices": len(rows), "patients": len({one.patient for one in rows})}
    for border in ("endo", "epi"):
        kept = [one for one in rows if np.isfinite(getattr(one, f"{border}_dice"))]
        if not kept:
            continue
        names = [one.patient for one in kept]
        overlap = [getattr(one, f"{border}_dice") for one in kept]
        away = np.array([getattr(one, f"{border}_mm") for one in kept])
        good = away < GOOD_MM
        told[f"{border} Dice"], *told[f"{border} 95 %"] = over_patients(overlap, names)
        told[f"{border} good"] = float(good.mean())
        if good.any():
            told[f"{border} Dice of good contours"] = float(np.array(overlap)[good].mean())
            told[f"{border} mm of good contours"] = float(away[good].mean())
    return told


def _stack_right(seen: Seen) -> bool:
    return int(seen.stack_logs().argmax()) == seen.patient.stored_as.code


def _alone_stack(seen: Seen) -> list[bool]:
    """For each turn: whether the sum of its slices' log-probabilities is right."""
    shifted = seen.turned - seen.turned.max(2, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(2, keepdims=True))
    best = logs.sum(1).argmax(1)
    return [int(best[k.code]) == k.after(seen.patient.stored_as).code for k in Orientation]


def _angles(seen: Seen, which: int) -> np.ndarray:
    """(n,) degrees clockwise from the right, after the true orientation was undone."""
    standing = seen.outputs.directions[:, which] @ matrices()[seen.patient.stored_as.code]
    return np.asarray(np.degrees(np.arctan2(standing[:, 0], standing[:, 1])))
