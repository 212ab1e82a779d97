"""Headers as a scanner would write them, without the bytes, and a clock that only moves by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from cmr_node.dicom.header import Header
from tests.samples import SAX_IOP, orthonormal, uid

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"
#: A real short axis (Sunnybrook SC-HF-I-04), 8 degrees off the usual one, and planes of the body.
SHORT_AXIS = orthonormal([0.712221, 0.701112, -0.0343949, -0.307716, 0.267798, -0.913015])
AXIAL = [1.0, 0, 0, 0, 1, 0]
CORONAL = [1.0, 0, 0, 0, 0, -1]
SAGITTAL = [0, 1.0, 0, 0, 0, -1]


def header(
    *,
    series: str = "series",
    slice_number: int = 0,
    phase: int = 0,
    iop: list[float] | None = None,
    step: float = 10.0,
    name: object = "",
    sop_class_uid: str = MR_IMAGE,
    **attributes: Any,
) -> Header:
    """One image of a cine; further keywords as given, None deletes one."""
    cosines = iop if iop is not None else orthonormal(SAX_IOP)
    normal = np.cross(cosines[:3], cosines[3:])
    position = np.array([-80.25, -120.5, 60.125]) + step * slice_number * normal
    found: dict[str, Any] = {
        "Modality": "MR",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "SeriesDescription": "cine sax",
        "SeriesNumber": 3,
        "AcquisitionNumber": 1,
        "InstanceNumber": slice_number * 100 + phase + 1,
        "FrameOfReferenceUID": "1.2.3",
        "ScanningSequence": "GR",
        "SequenceVariant": "SS",
        "ScanOptions": "CG",
        "FlipAngle": 60.0,
        "EchoTime": 1.4,
        "TriggerTime": 30.0 * phase,
        "ImageOrientationPatient": [float(v) for v in cosines],
        "ImagePositionPatient": [round(float(v), 6) for v in position],
        "PixelSpacing": [1.25, 1.5],
        "Rows": 24,
        "Columns": 32,
        "SamplesPerPixel": 1,
    }
    found.update(attributes)
    kept = {keyword: value for keyword, value in found.items() if value is not None}
    return Header(
        uid(series, slice_number, phase, name),
        sop_class_uid,
        "1.2.840.10008.1.2.1",
        uid("study"),
        uid("study", series),
        kept,
    )


def cine(slices: int = 3, phases: int = 10, **attributes: Any) -> list[Header]:
    """A whole cine, slice by slice."""
    return [
        header(slice_number=s, phase=p, **attributes) for s in range(slices) for p in range(phases)
    ]


@dataclass(slots=True)
class Clock:
    """The time of day in a story; it stands still until somebody moves it."""

    now: datetime = field(default=NOON)

    def __call__(self) -> datetime:
        return self.now

    def at(self, seconds: float) -> datetime:
        """Move to so many seconds after noon."""
        self.now = NOON + timedelta(seconds=seconds)
        return self.now

    @property
    def seconds(self) -> float:
        """Since noon."""
        return (self.now - NOON).total_seconds()
