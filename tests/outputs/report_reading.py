"""Measurement reports as a foreign reader sees them: highdicom."""

from __future__ import annotations

from io import BytesIO

import highdicom as hd
from pydicom.dataset import Dataset


def numbers_of(data: bytes) -> dict[str, float]:
    """Code value of every number -> value, as highdicom reads it."""
    sr = hd.sr.srread(BytesIO(data))
    groups = [
        *sr.content.get_volumetric_roi_measurement_groups(),
        *sr.content.get_image_measurement_groups(),
    ]
    found: dict[str, float] = {}
    for group in groups:
        for one in group.get_measurements():
            assert one.name.value not in found
            found[one.name.value] = float(one.value)
    return found


def texts_of(ds: Dataset) -> list[str]:
    """Every TEXT of the qualitative evaluations: name and value."""
    (container,) = (
        item
        for item in ds.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Qualitative Evaluations"
    )
    return [
        f"{item.ConceptNameCodeSequence[0].CodeMeaning}: {item.TextValue}"
        for item in container.ContentSequence
    ]
