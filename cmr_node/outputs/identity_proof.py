"""Whether a derived image, read back, is a new instance of the same patient, study and values.

The promise kept here: a derived image neither replaces its source nor strays to another patient,
and its words mean what they meant.  Nothing is taken from the code that made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.dataset import Dataset

from cmr_node.dicom.raw import raw_bytes, texts
from cmr_node.dicom.reading import READ_ERRORS
from cmr_node.errors import GeometryNotKept, NodeError

_SAME = (  # what the derived image must share with its source
    "SOPClassUID",
    "StudyInstanceUID",
    "PatientID",
    "PatientName",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PhotometricInterpretation",
    "RescaleSlope",
    "RescaleIntercept",
)
_NEW = ("SOPInstanceUID", "SeriesInstanceUID")


def prove_identity(ds: Dataset, source: Dataset) -> None:
    """Prove that ``ds`` may stand beside ``source``; the frame of reference is not looked at.

    Raises
    ------
    GeometryNotKept
        It claims an identity that it must not have, or another reading of its words.
    """
    for keyword in _SAME:
        if stated(ds, keyword) != stated(source, keyword):
            raise GeometryNotKept(f"{keyword} is not that of the source")  # may name the patient
    for keyword in _NEW:
        if not stated(ds, keyword) or stated(ds, keyword) == stated(source, keyword):
            raise GeometryNotKept(f"{keyword} is that of the source or empty; allowed: a new one")
    if texts(ds, "ImageType")[:1] != ("DERIVED",):
        raise GeometryNotKept(f"ImageType {texts(ds, 'ImageType')}; allowed: DERIVED first")
    lossy = "LossyImageCompression"
    if texts(source, lossy) == ("01",) and texts(ds, lossy) != ("01",):
        raise GeometryNotKept("LossyImageCompression is lost; 01 must stay 01")


def stated(ds: Dataset, keyword: str) -> bytes:
    """The stored bytes: text is not decoded, neither to compare nor as a side effect."""
    raw = raw_bytes(ds, keyword)
    return "\\".join(texts(ds, keyword)).encode() if raw is None else raw


@contextmanager
def reading_back() -> Iterator[None]:
    """Turn whatever keeps an image from being read into ``GeometryNotKept``."""
    try:
        yield
    except GeometryNotKept:
        raise
    except NodeError as fault:
        raise GeometryNotKept(f"the derived image cannot be read back: {fault}") from fault
    except READ_ERRORS as fault:
        raise GeometryNotKept(
            f"an attribute of the derived image cannot be read ({type(fault).__name__})"
        ) from fault
