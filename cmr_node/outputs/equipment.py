"""Whose machines made an image: this node now, the scanner before it.

The promise kept here: General Equipment (PS3.3 C.7.5.1) names the node that wrote the bytes, and
the equipment that the source named stays on record as contributing (C.12.1), with its bytes.
"""

from __future__ import annotations

import re
from copy import deepcopy

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cmr_node.dicom.raw import put_texts, tag_of, texts
from cmr_node.outputs.codes import code
from cmr_node.outputs.uids import Producer

_EQUIPMENT = (  # Contributing Equipment Sequence, PS3.3 C.12.1
    "InstitutionName",
    "InstitutionAddress",
    "StationName",
    "InstitutionalDepartmentName",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "GantryID",
    "DeviceUID",
    "SpatialResolution",
    "DateOfLastCalibration",
    "TimeOfLastCalibration",
)
_NOT_OURS = (*_EQUIPMENT[1:], "InstitutionalDepartmentTypeCodeSequence", "UDISequence")
"""InstitutionName stays beside our equipment: archives sort by it, and it is the patient's."""
_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_TIME = re.compile(r"([01]\d|2[0-3])[0-5]\d([0-5]\d(\.\d{1,6})?)?")


def equip(ds: Dataset, source: Dataset, producer: Producer, contribution: str) -> None:
    """Write into ``ds`` that ``producer`` made it of ``source``; ``contribution`` says how."""
    items = list(ds.get("ContributingEquipmentSequence") or [])
    purposes = {
        value
        for item in items
        for purpose in item.get("PurposeOfReferenceCodeSequence") or []
        for value in texts(purpose, "CodeValue")
    }
    scanner = _item(source)
    # Where an acquisition device is on record, the source itself came from a processing one.
    scanner.PurposeOfReferenceCodeSequence = Sequence(
        [
            code("109102", "DCM", "Processing Equipment")
            if "109101" in purposes
            else code("109101", "DCM", "Acquisition Equipment")
        ]
    )
    for keyword in ("Manufacturer", *_EQUIPMENT):
        if keyword in source:
            element = source.get_item(tag_of(keyword))
            scanner[tag_of(keyword)] = deepcopy(element)
    if not texts(scanner, "Manufacturer"):
        put_texts(scanner, "Manufacturer", "UNKNOWN")
    date, time = ("".join(texts(source, f"Acquisition{part}")) for part in ("Date", "Time"))
    if _DATE.fullmatch(date) and _TIME.fullmatch(time):
        put_texts(scanner, "ContributionDateTime", date + time)
    ours = _item(source)
    ours.PurposeOfReferenceCodeSequence = Sequence([code("109102", "DCM", "Processing Equipment")])
    put_texts(ours, "ContributionDescription", contribution)
    for keyword in _NOT_OURS:
        if keyword in ds:
            del ds[keyword]
    for item in (ds, ours):
        put_texts(item, "Manufacturer", producer.manufacturer)
        put_texts(item, "ManufacturerModelName", producer.model)
        put_texts(item, "DeviceSerialNumber", producer.device_serial)
        put_texts(item, "SoftwareVersions", producer.software_version)
        put_texts(item, "StationName", producer.station_name)
    ds.ContributingEquipmentSequence = Sequence([*items, scanner, ours])


def _item(source: Dataset) -> Dataset:
    """An empty item that can take elements of ``source`` with their bytes as they are."""
    charset = source.original_character_set
    item = Dataset(parent_encoding=charset)
    implicit, little = source.original_encoding
    item.set_original_encoding(implicit, little, charset)
    return item
