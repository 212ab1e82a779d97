"""Headers that highdicom can work with, and the true ones given back to what it made.

The promise kept here: whatever a scanner wrote as name, date or character set, an object can be
made for its study, and the patient and study in it are the source's bytes, not a translation.

    readable_header   a header for highdicom: identity as it is, patient and study left empty
    finished          what highdicom made, as an instance of this node: patient, study, dates and
                      equipment of the source, and nothing that a clock or a random number gave

A date, time or number of patient or study that is none (``00000000``) is not passed on: empty
where the Standard wants the attribute, left out where it does not.  SeriesDate, SeriesTime,
ContentDate and ContentTime are those of the source, as in ``derivation``.
"""

from __future__ import annotations

import re
from copy import deepcopy
from datetime import date
from io import BytesIO

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cmr_node.dicom.raw import DECIMAL, put_raw, put_texts, tag_of, texts
from cmr_node.outputs.derivation import describe_series
from cmr_node.outputs.equipment import equip
from cmr_node.outputs.stripping import strip
from cmr_node.outputs.turned import file_meta
from cmr_node.outputs.uids import Producer, derive_uid

_IDENTITY = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "SOPClassUID",
    "FrameOfReferenceUID",
    "Modality",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
_COUNTS = ("Rows", "Columns", "NumberOfFrames")
_WANTED = (  # type 2 of the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1)
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
_PATIENT_GROUPS = (0x0010, 0x0012)
_STUDY = frozenset(
    tag_of(keyword)
    for keyword in (
        *_WANTED,
        "AdmissionID",
        "AdmittingDiagnosesCodeSequence",
        "AdmittingDiagnosesDescription",
        "ConsultingPhysicianIdentificationSequence",
        "ConsultingPhysicianName",
        "IssuerOfAccessionNumberSequence",
        "IssuerOfAdmissionIDSequence",
        "IssuerOfServiceEpisodeIDSequence",
        "NameOfPhysiciansReadingStudy",
        "PatientState",
        "PhysiciansOfRecord",
        "PhysiciansOfRecordIdentificationSequence",
        "PhysiciansReadingStudyIdentificationSequence",
        "ProcedureCodeSequence",
        "ReasonForPerformedProcedureCodeSequence",
        "ReasonForVisit",
        "ReasonForVisitCodeSequence",
        "ReferencedPatientSequence",
        "ReferencedStudySequence",
        "ReferringPhysicianIdentificationSequence",
        "RequestingService",
        "RequestingServiceCodeSequence",
        "ServiceEpisodeDescription",
        "ServiceEpisodeID",
        "StudyDescription",
        "StudyInstanceUID",
        # beside patient and study: how their bytes are read, and whose machines they come from
        "ContributingEquipmentSequence",
        "InstitutionName",
        "SpecificCharacterSet",
    )
)
_OF_THE_SERIES = frozenset(  # in a group of the patient, true of the scanner's series alone
    tag_of(keyword)
    for keyword in (
        "ClinicalTrialCoordinatingCenterName",
        "ClinicalTrialSeriesDescription",
        "ClinicalTrialSeriesID",
    )
)
_OF_A_CLOCK = (
    "InstanceCreationDate",
    "InstanceCreationTime",
    "DateOfSecondaryCapture",
    "TimeOfSecondaryCapture",
    "SeriesDate",
    "SeriesTime",
)
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_AGE = re.compile(r"\d{3}[DWMY]")
_INTEGER = re.compile(r"[+-]?\d{1,10}")
_FORMS = {"TM": _TIME, "AS": _AGE, "DS": DECIMAL, "IS": _INTEGER}
_SEXES = ("", "M", "F", "O")
NO_DATE, NO_TIME = "19000101", "000000"
"""ContentDate and ContentTime where no date of the source is one, and a value is required."""


def readable_header(source: Dataset) -> Dataset:
    """The header of one instance that highdicom takes as source image or evidence.

    Parameters
    ----------
    source
        Any instance; not changed, and none of its text is decoded.

    Returns
    -------
    UIDs, Modality, Rows, Columns and NumberOfFrames as in the source, what of patient and study
    must be there empty, no pixels and no geometry.  Pass ``specific_character_set=None`` where
    highdicom takes it; ``finished`` gives the true patient and study back.
    """
    header = Dataset()
    for keyword in _IDENTITY:
        values = texts(source, keyword)
        if values:
            setattr(header, keyword, values[0] if len(values) == 1 else list(values))
    for keyword in _COUNTS:
        number = source.get(keyword)
        if isinstance(number, int):
            setattr(header, keyword, int(number))
    for keyword in _WANTED:
        setattr(header, keyword, "")
    if "FrameOfReferenceUID" in header:
        header.PositionReferenceIndicator = ""
    return header


def syntax_of(source: Dataset) -> UID:
    """The transfer syntax that an object made for ``source`` is written in.

    That of the source where it is plain: then its bytes can be passed on as they are.
    """
    implicit, _ = source.original_encoding
    return UID(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)


def finished(
    made: Dataset, source: Dataset, producer: Producer, *, description: str, contribution: str
) -> FileDataset:
    """What highdicom made of ``readable_header(source)``, as an instance of this node.

    Parameters
    ----------
    made
        The object; its transfer syntax is ``syntax_of(source)``.
    source
        The instance whose patient, study, dates and equipment count.
    description
        ASCII, at most 60 characters; stands before the source's SeriesDescription.
    contribution
        What this node did, for its item of ContributingEquipmentSequence; ASCII.

    Returns
    -------
    Its bytes (``turned.encode``) depend on the arguments alone.
    """
    ds = FileDataset(BytesIO(), Dataset(), preamble=b"\0" * 128)
    correct_ambiguous_vr(made, True)  # of PixelData; writing does it for a changed encoding alone
    for tag in list(made.keys()):
        ds[tag] = made.get_item(tag)
    syntax = syntax_of(source)
    ds.set_original_encoding(syntax.is_implicit_VR, True, source.original_character_set)
    for keyword in (*_OF_A_CLOCK, "ContributingEquipmentSequence", "SpecificCharacterSet"):
        if keyword in ds:
            del ds[keyword]
    kept = _patient_and_study(source)
    for tag in list(kept.keys()):
        ds[tag] = kept.get_item(tag)
    for keyword in _WANTED:
        if keyword not in ds:
            put_raw(ds, keyword, b"")
    _date(ds, source)
    if "Rows" in ds:  # an image that names no body part has to name a side (PS3.3 C.7.3.1)
        put_texts(ds, "BodyPartExamined", *(texts(source, "BodyPartExamined") or ("HEART",)))
    put_raw(ds, "InstanceCreatorUID", derive_uid("creator", producer.model).encode())
    describe_series(ds, source, description)
    equip(ds, source, producer, contribution)
    ds.file_meta = file_meta(ds, syntax)
    return ds


def _patient_and_study(source: Dataset) -> Dataset:
    """The elements that are passed on, with their bytes."""
    kept = Dataset()
    implicit, little = source.original_encoding
    kept.set_original_encoding(implicit, little, source.original_character_set)
    for tag in list(source.keys()):  # to iterate over the data set itself would decode it
        of_patient = tag.group in _PATIENT_GROUPS and tag not in _OF_THE_SERIES
        if (of_patient or tag in _STUDY) and _valid(source, tag):
            element = source.get_item(tag)
            kept[tag] = element if isinstance(element, RawDataElement) else deepcopy(element)
    strip(kept)
    return kept


def _valid(source: Dataset, tag: BaseTag) -> bool:
    """Whether the value is of its form, for the VRs that have one; empty is."""
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return False
    if tag == tag_of("PatientSex"):
        return "".join(texts(source, "PatientSex")) in _SEXES
    if vr != "DA" and vr not in _FORMS:
        return True
    value = source.get_item(tag).value
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    parts = [part.strip(" \0") for part in text.split("\\")]
    return all(not part or _is_of_form(part, vr) for part in parts)


def _is_of_form(text: str, vr: str) -> bool:
    if vr != "DA":
        return _FORMS[vr].fullmatch(text) is not None
    if not re.fullmatch(r"\d{8}", text):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


def _date(ds: Dataset, source: Dataset) -> None:
    """SeriesDate and -Time, ContentDate and -Time: the source's, as far as they are any."""

    def said(keyword: str, vr: str) -> str:
        text = "".join(texts(source, keyword))
        return text if _is_of_form(text, vr) else ""

    for kind in ("Content", "Series", "Acquisition", "Study"):
        day, time = said(f"{kind}Date", "DA"), said(f"{kind}Time", "TM")
        if day:
            break
    if "ContentDate" in ds:
        put_texts(ds, "ContentDate", day or NO_DATE)
    if "ContentTime" in ds:
        put_texts(ds, "ContentTime", (day and time) or NO_TIME)
    for keyword, vr in (("SeriesDate", "DA"), ("SeriesTime", "TM")):
        if said(keyword, vr):
            put_texts(ds, keyword, said(keyword, vr))
