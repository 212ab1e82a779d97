"""Reports of measurements, and of questions: Comprehensive 3D SR of TID 1500, verified by nobody.

The promise kept here: the same numbers of the same images by the same producer in the same job
give the same bytes: dates come from the job's record, UIDs from what went in.  Patient and study
are the source's, byte for byte, in the source's character set; a date that is none, which
Sunnybrook's are, is left empty.  The report is PRELIMINARY and UNVERIFIED: a person has to look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import highdicom as hd
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset

from cmr_node.dicom.raw import put_texts, tag_of
from cmr_node.measures.measure import Measurements
from cmr_node.outputs.algorithm import Algorithm
from cmr_node.outputs.codes import name_scheme
from cmr_node.outputs.derivation import series_number
from cmr_node.outputs.readable_header import finished, readable_header, syntax_of
from cmr_node.outputs.report_content import question_content, report_content
from cmr_node.outputs.report_facts import OrientationResult, SegmentReference
from cmr_node.outputs.turned import damage_named
from cmr_node.outputs.uids import Producer, derive_uid, derived_uid

SERIES_KIND = 3
"""Of reports; see ``derivation.Derivation.series_kind``."""
DESCRIPTION = "CMR measurements, unverified"
QUESTION = "CMR question, unverified"
_STEP = "measurement report"
_QUESTION_STEP = "question report"


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
    evidence = _evidence(sources)
    content = report_content(
        _image(evidence),
        evidence[0].SeriesInstanceUID,
        measured,
        orientation,
        algorithm,
        segments,
        producer,
    )
    uids = _uids(evidence, measured, orientation, algorithm, producer, when, segments)
    named = [*evidence, *_instances(segments, evidence[0].StudyInstanceUID)]
    how = _How(DESCRIPTION, "Measurement of outlines", producer, when)
    return _instance(sources[0], named, content, uids, how)


def question_report(
    sources: Sequence[FileDataset],
    orientation: OrientationResult,
    producer: Producer,
    when: datetime,
) -> FileDataset:
    """What was found of a stack about which a person is asked: no number, and why it is asked.

    It goes beside the key objects (``review.quality_issue``) as a new instance in a new series.

    Parameters
    ----------
    sources
        The images in question, of one study, in the order of the stack; not changed.
    when
        As in :func:`measurement_report`.

    Raises
    ------
    ValueError
        No source, or sources of several studies.
    UnreadableHeader
        A value that is needed is damaged.
    """
    evidence = _evidence(sources)
    content = question_content(
        _image(evidence), evidence[0].SeriesInstanceUID, orientation, producer
    )
    series_uid = derived_uid(
        "SeriesInstanceUID", _digest(_stack(evidence)), _QUESTION_STEP, producer
    )
    said = _digest(repr((orientation, when.isoformat())))
    uids = series_uid, derive_uid("SOPInstanceUID", series_uid, said)
    how = _How(QUESTION, "Asked a person to look", producer, when)
    return _instance(sources[0], evidence, content, uids, how)


def _evidence(sources: Sequence[FileDataset]) -> list[Dataset]:
    with damage_named():
        evidence = [readable_header(source) for source in sources]
    if len({one.StudyInstanceUID for one in evidence}) != 1:
        raise ValueError("sources of no study or of several; allowed: one")
    return evidence


def _image(evidence: Sequence[Dataset]) -> tuple[str, str]:
    """The image that stands for the stack."""
    middle = evidence[len(evidence) // 2]
    return middle.SOPClassUID, middle.SOPInstanceUID


@dataclass(frozen=True, slots=True)
class _How:
    description: str
    contribution: str
    producer: Producer
    when: datetime


def _instance(
    first: FileDataset,
    evidence: Sequence[Dataset],
    content: Any,
    uids: tuple[str, str],
    how: _How,
) -> FileDataset:
    plain = hd.sr.Comprehensive3DSR(
        evidence=evidence,
        content=content[0],
        series_instance_uid=uids[0],
        series_number=series_number(first, SERIES_KIND),
        sop_instance_uid=uids[1],
        instance_number=1,
        manufacturer=how.producer.manufacturer,
        is_complete=True,
        is_final=False,
        is_verified=False,
        transfer_syntax_uid=syntax_of(first),
    )
    ds = finished(
        plain,
        first,
        how.producer,
        description=how.description,
        contribution=how.contribution,
    )
    _dated(ds, how.when)
    name_scheme(ds)
    return ds


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
    by = f"{_STEP} {algorithm!r}"
    series_uid = derived_uid("SeriesInstanceUID", _digest(_stack(evidence)), by, producer)
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


def _stack(evidence: Sequence[Dataset]) -> str:
    return "\n".join(f"{one.SeriesInstanceUID} {one.SOPInstanceUID}" for one in evidence)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


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


def _dated(ds: FileDataset, when: datetime) -> None:
    """Write the moment of the job, where ``finished`` has put the source's dates."""
    for kind in ("Content", "Series", "InstanceCreation"):
        put_texts(ds, f"{kind}Date", when.strftime("%Y%m%d"))
        put_texts(ds, f"{kind}Time", when.strftime("%H%M%S.%f"))
