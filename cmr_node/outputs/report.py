"""The measurement report: a Comprehensive 3D SR of TID 1500, not verified by anyone.

The promise kept here: the same numbers of the same images by the same producer in the same job
give the same bytes: dates come from the job's record, UIDs from what went in.  Patient and study
are the source's, byte for byte, in the source's character set; a date that is none, which
Sunnybrook's are, is left empty.  The report is PRELIMINARY and UNVERIFIED: a person has to look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import highdicom as hd
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset

from cmr_node.dicom.raw import put_texts, tag_of
from cmr_node.measures.measure import Measurements
from cmr_node.outputs.algorithm import Algorithm
from cmr_node.outputs.codes import name_scheme
from cmr_node.outputs.derivation import series_number
from cmr_node.outputs.readable_header import finished, readable_header, syntax_of
from cmr_node.outputs.report_content import report_content
from cmr_node.outputs.report_facts import OrientationResult, SegmentReference
from cmr_node.outputs.turned import damage_named
from cmr_node.outputs.uids import Producer, derive_uid, derived_uid

SERIES_KIND = 3
"""Of reports; see ``derivation.Derivation.series_kind``."""
DESCRIPTION = "CMR measurements, unverified"
_STEP = "measurement report"


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
        evidence = [readable_header(source) for source in sources]
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
    plain = hd.sr.Comprehensive3DSR(
        evidence=[*evidence, *_instances(segments, evidence[0].StudyInstanceUID)],
        content=content[0],
        series_instance_uid=series_uid,
        series_number=series_number(first, SERIES_KIND),
        sop_instance_uid=instance_uid,
        instance_number=1,
        manufacturer=producer.manufacturer,
        is_complete=True,
        is_final=False,
        is_verified=False,
        transfer_syntax_uid=syntax_of(first),
    )
    ds = finished(
        plain, first, producer, description=DESCRIPTION, contribution="Measurement of outlines"
    )
    _dated(ds, when)
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
