"""SOP classes by name, those younger than the library's registry included (PS3.6 table A-1)."""

from __future__ import annotations

from pydicom.uid import UID

LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"

_YOUNGER = {LABEL_MAP_SEGMENTATION: "Label Map Segmentation Storage"}


def class_name(sop_class_uid: str) -> str:
    """The name of a SOP class; the UID itself where nobody named it."""
    return _YOUNGER.get(sop_class_uid) or UID(sop_class_uid).name
