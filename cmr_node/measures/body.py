"""What needs the patient's size or heart rate.

The promise kept here: a size or rate that is missing or no human's is said, and nothing is
computed from it.
"""

from __future__ import annotations

import numpy as np

from cmr_node.measures.quality import HEART_RATE_BPM, HEIGHT_M, WEIGHT_KG, Doubt, Finding
from cmr_node.measures.quantities import INDEXED, Quantity


def body_surface_m2(height_m: float, weight_kg: float) -> float:
    """Mosteller 1987: the root of height (cm) times weight (kg) over 3600."""
    return float(np.sqrt(100 * height_m * weight_kg / 3600))


def of_the_body(
    values: dict[Quantity, float],
    heart_rate: float | None,
    height_m: float | None,
    weight_kg: float | None,
) -> tuple[dict[Quantity, float], list[Finding]]:
    """Cardiac output and what is indexed, where the patient's data allow it."""
    findings = []
    text = _not_within("heart rate", heart_rate, HEART_RATE_BPM, "/min")
    if text:
        findings.append(Finding(Doubt.HEART_RATE, text, (Quantity.CARDIAC_OUTPUT,)))
    elif heart_rate and Quantity.LV_SV in values:
        values[Quantity.CARDIAC_OUTPUT] = values[Quantity.LV_SV] * heart_rate / 1000
    text = _not_within("height", height_m, HEIGHT_M, "m") or _not_within(
        "weight", weight_kg, WEIGHT_KG, "kg"
    )
    if text or height_m is None or weight_kg is None:
        against = (Quantity.BODY_SURFACE, *INDEXED.values())
        findings.append(Finding(Doubt.BODY_SIZE, f"not indexed: {text}", against))
        return values, findings
    surface = body_surface_m2(height_m, weight_kg)
    values[Quantity.BODY_SURFACE] = surface
    for plain, index in INDEXED.items():
        if plain in values:
            values[index] = values[plain] / surface
    return values, findings


def _not_within(name: str, value: float | None, limits: tuple[float, float], unit: str) -> str:
    if value is None:
        return f"the {name} is not known"
    low, high = limits
    if low <= value <= high:
        return ""
    return f"a {name} of {value:g} {unit} (limits {low:g} to {high:g})"
