"""What a re-indexed image says about itself: identity, origin, equipment.

The promise kept here: the image is a new instance in a new series of the same study, patient and
frame of reference; it names its source, the operation and this node, and the scanner stays on
record as contributing equipment (PS3.3 C.7.6.1, C.7.6.16.2.6, C.7.5.1, C.12.1).

No clock is read and nothing is written that may differ between two runs: SeriesDate, SeriesTime,
ContentDate and ContentTime stay those of the source (when the data were acquired and prepared),
InstanceCreationDate and -Time and our ContributionDateTime (all type 3) are left out.  When the
node worked is in its index.
"""

from __future__ import annotations

import re
from copy import deepcopy

from pydicom.charset import convert_encodings, decode_bytes, encode_string
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cmr_node.dicom.raw import put_raw, put_texts, raw_bytes, tag_of, texts
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import patient_orientation
from cmr_node.outputs.functional_groups import frame_groups, shared_group
from cmr_node.outputs.plane_text import PlaneText
from cmr_node.outputs.uids import Producer, derive_uid, derived_uid

SCHEME = "99CMRNODE"
REORIENTED = ("REORIENT", SCHEME, "In-plane re-orientation without interpolation")
"""CID 7203 has no code for it; resampling (113085) and MPR (113072) would say too much."""

SERIES_FACTOR, SERIES_KIND = 1000, 1
_LONGEST_DESCRIPTION = 64
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


def stamp(
    ds: Dataset,
    source: Dataset,
    operation: Orientation,
    producer: Producer,
    source_planes: list[PlaneText],
    *,
    enhanced: bool,
) -> None:
    """Write identity, derivation and equipment into ``ds``, a turned copy of ``source``.

    ``source_planes`` are the planes of the source's frames, before the operation.
    """
    _identity(ds, source, operation, producer, enhanced=enhanced)
    reference = _reference(source)
    letters = {patient_orientation(plane.plane) for plane in source_planes}
    if len(letters) == 1:
        put_texts(reference, "SpatialLocationsPreserved", "REORIENTED_ONLY")
        put_texts(reference, "PatientOrientation", *letters.pop())
    description = (
        f"In-plane re-indexing {operation.value}: stored values unchanged, no interpolation; plane "
        f"attributes updated, so every pixel keeps its patient position. "
        f"{producer.model} {producer.software_version}"
    )
    if enhanced:
        _derive_enhanced(ds, source, reference, description)
    else:
        ds.SourceImageSequence = Sequence([reference])
        earlier = list(ds.get("DerivationCodeSequence") or [])
        ds.DerivationCodeSequence = Sequence([*earlier, _code(*REORIENTED)])
        put_texts(ds, "DerivationDescription", description)
    _name_scheme(ds)
    _equip(ds, source, producer, f"In-plane re-indexing {operation.value}")


def _identity(
    ds: Dataset, source: Dataset, operation: Orientation, producer: Producer, *, enhanced: bool
) -> None:
    step = f"reorient {operation.value}"
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        source_uid = "".join(texts(source, keyword))
        put_raw(ds, keyword, derived_uid(keyword, source_uid, step, producer).encode())
    creator = derive_uid("creator", producer.model)
    put_raw(ds, "InstanceCreatorUID", creator.encode())
    second = "PRIMARY" if enhanced else "SECONDARY"  # PS3.3 C.8.13.3.1.1 allows PRIMARY alone
    image_type = texts(source, "ImageType")[2:] or ("OTHER",)
    put_texts(ds, "ImageType", "DERIVED", second, *image_type)
    for group in [shared_group(ds), *frame_groups(ds)] if enhanced else []:
        for item in group.get("MRImageFrameTypeSequence") or []:
            frame_type = texts(item, "FrameType")[2:] or ("OTHER",)
            put_texts(item, "FrameType", "DERIVED", second, *frame_type)
    number = "".join(texts(source, "SeriesNumber"))
    root = int(number) if re.fullmatch(r"\d{1,6}", number) else 0
    put_texts(ds, "SeriesNumber", str(SERIES_FACTOR * root + SERIES_KIND))
    _describe_series(ds, source, f"STD-ORIENT {operation.value}")


def _describe_series(ds: Dataset, source: Dataset, prefix: str) -> None:
    """Put ASCII before the source's SeriesDescription, whose bytes stay if they fit.

    A text too long is cut by characters, where its character set can be trusted; where not,
    the prefix stands alone.
    """
    kept = raw_bytes(source, "SeriesDescription")
    encodings = convert_encodings(list(texts(source, "SpecificCharacterSet")) or [""])
    if kept is None:
        kept = encode_string(str(source.get("SeriesDescription") or ""), encodings)
    if not kept:
        put_texts(ds, "SeriesDescription", prefix)
        return
    room = _LONGEST_DESCRIPTION - len(prefix) - len(" / ")
    if len(kept) > room:
        text = decode_bytes(kept, encodings, set())
        if encode_string(text, encodings) != kept:
            put_texts(ds, "SeriesDescription", prefix)
            return
        kept = encode_string(text[:room].rstrip(), encodings)
    put_raw(ds, "SeriesDescription", f"{prefix} / ".encode() + kept)


def _derive_enhanced(ds: Dataset, source: Dataset, reference: Dataset, description: str) -> None:
    derivation = Dataset()
    put_texts(derivation, "DerivationDescription", description)
    derivation.DerivationCodeSequence = Sequence([_code(*REORIENTED)])
    derivation.SourceImageSequence = Sequence([reference])
    for group in frame_groups(ds):
        if "DerivationImageSequence" in group:
            del group["DerivationImageSequence"]
    shared_group(ds).DerivationImageSequence = Sequence([derivation])
    instance, series, study = Dataset(), Dataset(), Dataset()
    _refer(instance, source)
    put_raw(series, "SeriesInstanceUID", _uid(source, "SeriesInstanceUID"))
    series.ReferencedSOPSequence = Sequence([instance])
    put_raw(study, "StudyInstanceUID", _uid(source, "StudyInstanceUID"))
    study.ReferencedSeriesSequence = Sequence([series])
    ds.SourceImageEvidenceSequence = Sequence([study])


def _equip(ds: Dataset, source: Dataset, producer: Producer, contribution: str) -> None:
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
            _code("109102", "DCM", "Processing Equipment")
            if "109101" in purposes
            else _code("109101", "DCM", "Acquisition Equipment")
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
    ours.PurposeOfReferenceCodeSequence = Sequence([_code("109102", "DCM", "Processing Equipment")])
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


def _name_scheme(ds: Dataset) -> None:
    scheme = Dataset()
    put_texts(scheme, "CodingSchemeDesignator", SCHEME)
    put_texts(scheme, "CodingSchemeName", "CMR Node local codes")
    put_texts(scheme, "CodingSchemeResponsibleOrganization", "CMR Node")
    others = [
        item
        for item in ds.get("CodingSchemeIdentificationSequence") or []
        if texts(item, "CodingSchemeDesignator") != (SCHEME,)
    ]
    ds.CodingSchemeIdentificationSequence = Sequence([*others, scheme])


def _reference(source: Dataset) -> Dataset:
    item = Dataset()
    _refer(item, source)
    item.PurposeOfReferenceCodeSequence = Sequence(
        [_code("121322", "DCM", "Source image for image processing operation")]
    )
    return item


def _refer(item: Dataset, source: Dataset) -> None:
    put_raw(item, "ReferencedSOPClassUID", _uid(source, "SOPClassUID"))
    put_raw(item, "ReferencedSOPInstanceUID", _uid(source, "SOPInstanceUID"))


def _uid(ds: Dataset, keyword: str) -> bytes:
    return "".join(texts(ds, keyword)).encode("ascii")


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    put_texts(item, "CodeValue", value)
    put_texts(item, "CodingSchemeDesignator", scheme)
    put_texts(item, "CodeMeaning", meaning)
    return item


def _item(source: Dataset) -> Dataset:
    """An empty item that can take elements of ``source`` with their bytes as they are."""
    charset = source.original_character_set
    item = Dataset(parent_encoding=charset)
    implicit, little = source.original_encoding
    item.set_original_encoding(implicit, little, charset)
    return item
