"""The measurement report: a Comprehensive 3D SR of TID 1500, not verified by anyone.

The promise kept here: the same numbers of the same images by the same producer in the same job
give the same bytes: dates come from the job's record, UIDs from what went in.  Patient and study
are the source's, byte for byte, in the source's character set; a date that is none, which
Sunnybrook's are, is left empty.  The report is PRELIMINARY and UNVERIFIED: a person has to look.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from io import BytesIO

import highdicom as hd
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, Comprehensive3DSRStorage, ExplicitVRLittleEndian

from cmr_node.dicom.part10 import IMPLEMENTATION_VERSION_NAME
from cmr_node.dicom.products import IMPLEMENTATION_CLASS_UID
from cmr_node.dicom.raw import is_decimal, put_raw, put_texts, raw_bytes, tag_of, texts
from cmr_node.dicom.reading import parse
from cmr_node.measures.measure import Measurements
from cmr_node.outputs.codes import name_scheme
from cmr_node.outputs.derivation import SERIES_FACTOR
from cmr_node.outputs.equipment import equip
from cmr_node.outputs.report_content import report_content
from cmr_node.outputs.report_facts import Algorithm, OrientationResult, SegmentReference
from cmr_node.outputs.turned import damage_named
from cmr_node.outputs.uids import Producer, derive_uid, derived_uid

SERIES_KIND = 3
"""Of reports; see ``derivation.Derivation.series_kind``."""
DESCRIPTION = "CMR measurements, unverified"
_STEP = "measurement report"

_PASSED_ON = (  # Patient, Patient Study, General Study: PS3.3 C.7.1.1, C.7.2.2, C.7.2.1
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "StudyDescription",
    "ReferringPhysicianName",
    "InstitutionName",
)
_ALWAYS = (  # type 2
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
)
_FORM = {
    "PatientSex": re.compile("[MFO]"),
    "PatientAge": re.compile(r"\d{3}[DWMY]"),
    "TimezoneOffsetFromUTC": re.compile(r"[+-](0\d|1[0-4])[0-5]\d"),
    "StudyTime": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"),
}


def measurement_report(
    sources: Sequence[FileDataset],
    measured: Measurements,
    orientation: OrientationResult | None,
    algorithm: Algorithm,
    producer: Producer,
    when: datetime,
    segments: Sequence[SegmentReference] = (),
) -> FileDataset:
    """The report of one stack, as a new instance in a new series of the study.

    Parameters
    ----------
    sources
        The images that were measured, of one study, in the order of the stack; not changed.
    orientation
        None where it was not looked at.
    when
        When the job was taken up, from its record; written as it is, without a zone.
    segments
        What the numbers were measured on, where that is kept as Segmentation; may be empty.

    Raises
    ------
    ValueError
        No source, or sources of several studies.
    UnreadableHeader
        A value that is needed is damaged.
    """
    with damage_named():
        evidence = [_reference(source) for source in sources]
    if len({one.StudyInstanceUID for one in evidence}) != 1:
        raise ValueError("sources of no study or of several; allowed: one")
    first = sources[0]
    series_uid, instance_uid = _uids(
        evidence, measured, orientation, algorithm, producer, when, segments
    )
    middle = evidence[len(evidence) // 2]
    content = report_content(
        (middle.SOPClassUID, middle.SOPInstanceUID),
        evidence[0].SeriesInstanceUID,
        measured,
        orientation,
        algorithm,
        segments,
        producer,
    )
    for keyword in _ALWAYS:
        setattr(evidence[0], keyword, None)
    plain = hd.sr.Comprehensive3DSR(
        evidence=[*evidence, *_instances(segments, evidence[0].StudyInstanceUID)],
        content=content[0],
        series_instance_uid=series_uid,
        series_number=_series_number(first),
        sop_instance_uid=instance_uid,
        instance_number=1,
        manufacturer=producer.manufacturer,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=DESCRIPTION,
        content_date=when.date(),
        content_time=when.time(),
        series_date=when.date(),
        series_time=when.time(),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    return _signed(plain, first, producer, when)


def _uids(
    evidence: Sequence[Dataset],
    measured: Measurements,
    orientation: OrientationResult | None,
    algorithm: Algorithm,
    producer: Producer,
    when: datetime,
    segments: Sequence[SegmentReference],
) -> tuple[str, str]:
    """Of series and instance.

    The series is one for each stack and algorithm.  The instance is another wherever a byte of it
    is: an archive must not meet two contents under one UID.
    """
    stack = "\n".join(f"{one.SeriesInstanceUID} {one.SOPInstanceUID}" for one in evidence)
    by = f"{_STEP} {algorithm!r}"
    series_uid = derived_uid("SeriesInstanceUID", _digest(stack), by, producer)
    values = sorted((name.value, f"{value:.2f}") for name, value in measured.values.items())
    statements = (
        measured.conventions,
        measured.exclusions,
        measured.flags,
        measured.withheld,
        (measured.ed_phase, measured.es_phase, len(measured.lv_curve_ml)),
    )
    said = repr((values, statements, orientation, tuple(segments), when.isoformat()))
    return series_uid, derive_uid("SOPInstanceUID", series_uid, _digest(said))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _series_number(source: Dataset) -> int:
    number = "".join(texts(source, "SeriesNumber"))
    root = int(number) if re.fullmatch(r"\d{1,6}", number) else 0
    return SERIES_FACTOR * root + SERIES_KIND


def _reference(source: Dataset) -> Dataset:
    """What the report needs to know of an image."""
    found = Dataset()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID"):
        uid = "".join(texts(source, keyword))
        found[tag_of(keyword)] = _uid_element(keyword, uid)
    return found


def _instances(segments: Sequence[SegmentReference], study_uid: str) -> list[Dataset]:
    """The Segmentations, each once."""
    found = {}
    for segment in segments:
        one = Dataset()
        for keyword, uid in (
            ("StudyInstanceUID", study_uid),
            ("SeriesInstanceUID", segment.series_uid),
            ("SOPClassUID", segment.sop_class_uid),
            ("SOPInstanceUID", segment.instance_uid),
        ):
            one[tag_of(keyword)] = _uid_element(keyword, uid)
        found[segment.instance_uid] = one
    return list(found.values())


def _uid_element(keyword: str, uid: str) -> RawDataElement:
    # Raw, because pydicom warns of a component with a leading zero, which real UIDs have.
    value = uid.encode("ascii")
    return RawDataElement(
        tag_of(keyword), "UI", len(value), value, 0, is_implicit_VR=False, is_little_endian=True
    )


def _signed(
    plain: hd.sr.Comprehensive3DSR, source: FileDataset, producer: Producer, when: datetime
) -> FileDataset:
    """The report with the source's patient, our equipment and no clock's word.

    It is read back first: bytes that are ASCII are never encoded again, so the patient's
    character set, even one that is not known, cannot touch them.
    """
    buffer = BytesIO()
    plain.save_as(buffer, enforce_file_format=True)
    ds = parse(buffer.getvalue())
    ds.set_original_encoding(False, True, source.original_character_set)
    for keyword in _PASSED_ON:
        _pass_on(ds, source, keyword)
    put_texts(ds, "InstanceCreationDate", when.strftime("%Y%m%d"))
    put_texts(ds, "InstanceCreationTime", when.strftime("%H%M%S.%f"))
    put_texts(ds, "InstanceCreatorUID", derive_uid("creator", producer.model))
    del ds[tag_of("ContributingEquipmentSequence")]
    equip(ds, source, producer, "Measurement of outlines")
    name_scheme(ds)
    ds.file_meta = _file_meta(ds)
    return ds


def _pass_on(ds: FileDataset, source: FileDataset, keyword: str) -> None:
    """One attribute of patient or study: as it is, or empty where its form is not valid."""
    tag = tag_of(keyword)
    if tag in ds:
        del ds[tag]
    if tag in source and _has_form(source, keyword):
        raw = raw_bytes(source, keyword)
        if raw is None:
            ds[tag] = deepcopy(source.get_item(tag))
        else:
            put_raw(ds, keyword, raw)
    elif keyword in _ALWAYS:
        put_raw(ds, keyword, b"")


def _has_form(source: Dataset, keyword: str) -> bool:
    value = "\\".join(texts(source, keyword)) if keyword != "PatientName" else ""
    if not value:
        return True
    if keyword in ("PatientBirthDate", "StudyDate"):
        return _is_date(value)
    if keyword in ("PatientSize", "PatientWeight"):
        return is_decimal(value)
    return keyword not in _FORM or _FORM[keyword].fullmatch(value) is not None


def _is_date(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{8}", text)) and bool(datetime.strptime(text, "%Y%m%d"))  # noqa: DTZ007
    except ValueError:
        return False


def _file_meta(ds: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = Comprehensive3DSRStorage
    meta.MediaStorageSOPInstanceUID = UID("".join(texts(ds, "SOPInstanceUID")))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta
