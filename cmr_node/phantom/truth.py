"""What is true of a simulated study, for machines: ``truth.json``.

The promise kept here: everything is computed from the patient and the plan, nothing from the
pixels, so whatever reads the images can be held against it.

    schema             1
    plan               its fields, as text where they are no numbers
    study_uid, frame_of_reference_uid
    patient
        id, group, heart_rate_bpm, field_strength_t
        left, right    edv_ml, esv_ml, ef (0 to 1), by integration; papillary muscles are cavity
        papillary_ml   at end-diastole
        mass_g         of the left ventricle, end-diastole
        scar           null, or pattern, territory, acute, no_reflow, share (of the muscle),
                       share_by_segment, transmurality_by_segment (AHA's 17)
        tissues        name -> label, t1_ms, t2_ms
    faults             fault (as ordered), series, orientation, slices (indices in the stack)
    series             one each
        uid, number, name (series of one name are one stack), description, view, sequence
        folder         of its files
        stored_as      the o of the eight such that stored = o.apply(as scanned); of it, ``logged``
                       is known to the header, ``unlogged`` is not
        n              what the pixels show: the o nearest to the anatomy
        chirality      of n: 1, or -1 mirrored
        angle_deg      where in the stored picture the septum (short axis) or the apex (long axis)
                       lies, seen from the middle of the left ventricle: clockwise from the right
        turn_deg       what is left of the turn after n is undone, clockwise
        h              what the header implies (``geometry.standard_view``): orientation, second,
                       residual_deg, margin_deg, conditioning; null without orientation
        slices         index (from the base), take (1 and more: scanned again), acquired (time of
                       day), position (of pixel 0, mm LPS), shift_mm: by how much the patient lay
                       off, as lps, and in the plane as scanned as right, down, through (along
                       right x down)
    maps               name of stack -> files, see ``maps``

A localizer has no n, chirality, angle and h.
"""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from functools import lru_cache
from typing import Any

import numpy as np

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import reorient
from cmr_node.geometry.standard_view import View, implied_orientation
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.groups import Group
from cmr_node.phantom.body.measures import Measures, measure
from cmr_node.phantom.body.tissues import Tissue
from cmr_node.phantom.dicom.headers import derived_uid, moment
from cmr_node.phantom.plan import Plan
from cmr_node.phantom.scanner.planes import STANDARD_DEG
from cmr_node.phantom.scanner.signals import relaxation
from cmr_node.phantom.schedule import schedule
from cmr_node.phantom.series import Series, Shot
from cmr_node.phantom.study import headers_of

SCHEMA = 1


def study_truth(plan: Plan) -> dict[str, Any]:
    """Everything above but ``maps``; fit for JSON."""
    planned = schedule(plan)
    told = headers_of(plan, planned)
    return {
        "schema": SCHEMA,
        "plan": _plain(asdict(plan)),
        "study_uid": str(derived_uid(told.key, "study")),
        "frame_of_reference_uid": str(derived_uid(told.key, "frame of reference")),
        "patient": {
            "id": told.patient,
            **_patient(planned.patient, _measures(plan.seed, plan.group), plan.protocol.tesla),
        },
        "faults": [_plain(asdict(record)) for record in planned.records],
        "series": [
            {
                "uid": str(told.series_uid(series)),
                "description": told.description(series),
                **_series(planned.patient, series),
            }
            for series in planned.series
        ],
    }


def apparent_orientation(patient: Patient, series: Series) -> tuple[Orientation, float, float]:
    """What the pixels of a series show, whatever the header says.

    Returns
    -------
    The orientation nearest to the patient's anatomy; the angle in the stored picture, clockwise
    from the right, at which septum or apex lies; and what is left of the turn once the
    orientation is undone, -45 to 45.  Degrees.
    """
    plane = reorient(series.shots[0].cut.plane, series.stored_as)
    heart = patient.heart
    mark = heart.septal if series.view is View.SAX else heart.apical
    # (row, column) components, as the index maps have them.
    seen = np.array([mark @ plane.column_direction, mark @ plane.row_direction])
    angle = _degrees(seen)
    left = {}
    for candidate in Orientation:
        if candidate.chirality == series.stored_as.chirality:
            undone = candidate.index_map(plane.shape)[0] @ seen
            turn = _degrees(undone) - STANDARD_DEG[series.view]
            left[candidate] = (turn + 180) % 360 - 180
    nearest = min(left, key=lambda o: abs(left[o]))
    return nearest, angle, left[nearest]


def _degrees(direction: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(direction[0], direction[1])))


@lru_cache(maxsize=4)
def _measures(seed: int, group: Group | None) -> Measures:
    """Kept, because one patient is often written by one vendor after the other."""
    return measure(Patient.draw(seed, group))


def _patient(patient: Patient, found: Measures, tesla: float) -> dict[str, Any]:
    diastole, systole, scar = found.end_diastole, found.end_systole, patient.heart.left.scar
    t1, t2, _ = relaxation(tesla, patient.tissue_jitter)
    return {
        "group": str(patient.group),
        "heart_rate_bpm": round(patient.heart_rate_bpm, 3),
        "field_strength_t": tesla,
        "left": _chamber(diastole.left, systole.left, found.left_ejection_fraction),
        "right": _chamber(diastole.right, systole.right, found.right_ejection_fraction),
        "papillary_ml": round(diastole.papillary, 3),
        "mass_g": round(found.mass_g, 3),
        "scar": scar
        and {
            "pattern": str(scar.pattern),
            "territory": scar.territory,
            "acute": scar.acute,
            "no_reflow": scar.no_reflow,
            "share": round(found.scar_share, 5),
            "share_by_segment": [round(share, 5) for share in found.scar_by_segment],
            "transmurality_by_segment": [round(share, 5) for share in found.transmurality],
        },
        "tissues": {
            tissue.name.lower(): {
                "label": int(tissue),
                "t1_ms": round(float(t1[tissue]), 2),
                "t2_ms": round(float(t2[tissue]), 2),
            }
            for tissue in Tissue
        },
    }


def _chamber(edv: float, esv: float, ef: float) -> dict[str, float]:
    return {"edv_ml": round(edv, 3), "esv_ml": round(esv, 3), "ef": round(ef, 5)}


def _series(patient: Patient, series: Series) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "number": series.number,
        "name": series.name,
        "view": str(series.view),
        "sequence": series.kind,
        "folder": f"{'late' if series.late else 'study'}/{series.number:03d}",
        "stored_as": str(series.stored_as),
        "logged": str(series.logged),
        "unlogged": str(series.unlogged),
        "h": None,
        "slices": [_slice(series, shot) for shot in series.shots],
    }
    if series.view is View.OTHER:
        return facts
    shown, angle, turn = apparent_orientation(patient, series)
    facts |= {
        "n": str(shown),
        "chirality": shown.chirality,
        "angle_deg": round(angle, 3),
        "turn_deg": round(turn, 3),
    }
    implied = implied_orientation(series.header_plane(series.shots[0].cut), series.view)
    if series.placed and implied is not None:
        facts["h"] = _plain(asdict(implied))
    return facts


def _slice(series: Series, shot: Shot) -> dict[str, Any]:
    plane, shift = shot.cut.plane, np.array(shot.cut.shift)
    told = series.header_plane(shot.cut)
    return {
        "index": shot.cut.index,
        "take": shot.take,
        "acquired": f"{moment(shot.seconds):%H:%M:%S}",
        "position": [round(value, 6) for value in told.position] if series.placed else None,
        "shift_mm": {
            "lps": list(shot.cut.shift),
            "right": round(float(shift @ plane.row_direction), 3),
            "down": round(float(shift @ plane.column_direction), 3),
            "through": round(float(shift @ plane.normal), 3),
        },
    }


def _plain(value: Any) -> Any:
    """As JSON has it; numbers to six decimals."""
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value
