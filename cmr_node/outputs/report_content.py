"""The content of a report, of measurements or of a question: TID 1500 of PS3.16.

The promise kept here: every number that is given is coded with its unit, every one that is not is
named with the reason, and all text is ASCII, whatever the patient's character set is.  Layout:

    Imaging Measurements      a group for each segment that is referenced (TID 1411), one for each
                              ventricle and for the body (TID 1501), one for the orientation
    Qualitative Evaluations   one TEXT each: conventions, exclusions, flags, numbers withheld,
                              reason of the orientation

Where a person is asked there is the group for the orientation alone, and its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import highdicom as hd
from pydicom.sr.coding import Code

from cmr_node.measures.measure import Measurements
from cmr_node.measures.quantities import INDEXED, LEFT, RIGHT, Quantity
from cmr_node.outputs import report_codes as codes
from cmr_node.outputs.algorithm import Algorithm
from cmr_node.outputs.report_facts import OrientationResult, SegmentReference
from cmr_node.outputs.review import observer
from cmr_node.outputs.uids import Producer, derive_uid

_LONGEST_TEXT = 1024
"""UT has no limit; viewers do."""
_DECIMALS = 2
NOTHING = "nothing was measured or changed: a person is asked about this stack"


def report_content(
    image: tuple[str, str],
    series_uid: str,
    measured: Measurements,
    orientation: OrientationResult | None,
    algorithm: Algorithm,
    segments: Sequence[SegmentReference],
    producer: Producer,
) -> Any:
    """The root container of a report of measurements.

    Parameters
    ----------
    image
        SOP Class and Instance UID of the image that stands for the stack in each group.
    series_uid
        Of the stack; what is tracked is tracked by it.
    """
    groups = _Groups(image, series_uid, measured, algorithm)
    found = [*groups.of_segments(segments), *groups.of_chambers()]
    if orientation is not None:
        found.append(_orientation_group(image, series_uid, orientation, producer))
    return _root(found, [*_said_of_numbers(measured), *_said_of_orientation(orientation)], producer)


def question_content(
    image: tuple[str, str], series_uid: str, orientation: OrientationResult, producer: Producer
) -> Any:
    """The root container of a report on a stack about which a person is asked.

    ``image`` and ``series_uid`` are those of :func:`report_content`.
    """
    group = _orientation_group(image, series_uid, orientation, producer)
    return _root([group], [(codes.FLAG, NOTHING), *_said_of_orientation(orientation)], producer)


def _root(groups: Sequence[Any], said: Sequence[tuple[Code, str]], producer: Producer) -> Any:
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer(producer)),
        procedure_reported=codes.PROCEDURE,
        imaging_measurements=groups,
        title=Code("126000", "DCM", "Imaging Measurement Report"),
    )
    report[0].ContentSequence.append(_statements(said))
    return report


class _Groups:
    """Measurement groups; each number is written once, where it is most specific."""

    def __init__(
        self,
        image: tuple[str, str],
        series_uid: str,
        measured: Measurements,
        algorithm: Algorithm,
    ) -> None:
        self._series_uid, self._left = series_uid, dict(measured.values)
        self._image = image
        self._algorithm = hd.sr.AlgorithmIdentification(
            name=algorithm.name,
            version=algorithm.version,
            parameters=[f"weights_sha256={algorithm.weights_digest}"],
            family=codes.ARTIFICIAL_INTELLIGENCE,
        )

    def of_segments(self, segments: Sequence[SegmentReference]) -> Iterator[Any]:
        """TID 1411: the volume or mass that a segment shows."""
        for segment in segments:
            name = codes.OF_SEGMENT.get((segment.structure, segment.moment))
            if name is None or name not in self._left:
                continue
            structure = codes.STRUCTURES[segment.structure]
            yield hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=hd.sr.TrackingIdentifier(
                    uid=segment.tracking_uid, identifier=segment.tracking_id
                ),
                referenced_segment=hd.sr.ReferencedSegment(
                    sop_class_uid=segment.sop_class_uid,
                    sop_instance_uid=segment.instance_uid,
                    segment_number=segment.number,
                    source_series=hd.sr.SourceSeriesForSegmentation(self._series_uid),
                ),
                finding_type=structure,
                finding_category=codes.ANATOMY,
                algorithm_id=self._algorithm,
                finding_sites=[hd.sr.FindingSite(structure)],
                measurements=list(self._measurements([name])),
                qualitative_evaluations=[
                    hd.sr.QualitativeEvaluation(
                        name=codes.CYCLE_PHASE, value=codes.MOMENTS[segment.moment]
                    )
                ],
            )

    def of_chambers(self) -> Iterator[Any]:
        """TID 1501: what is left of each ventricle, and the body surface."""
        for title, site, names in (
            ("Left ventricle", codes.LEFT_VENTRICLE, LEFT),
            ("Right ventricle", codes.RIGHT_VENTRICLE, RIGHT),
            ("Body", None, (Quantity.BODY_SURFACE,)),
        ):
            wanted = [*names, *(INDEXED[name] for name in names if name in INDEXED)]
            measurements = list(self._measurements(wanted))
            if measurements:
                yield self._group(title, site, measurements)

    def _group(self, title: str, site: Code | None, measurements: list[Any]) -> Any:
        return hd.sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(self._series_uid, title),
            finding_type=site,
            finding_category=codes.ANATOMY if site else None,
            algorithm_id=self._algorithm,
            finding_sites=[hd.sr.FindingSite(site)] if site else None,
            measurements=measurements,
            source_images=[hd.sr.SourceImageForMeasurementGroup(*self._image)],
        )

    def _measurements(self, names: Sequence[Quantity]) -> Iterator[Any]:
        """What is given of ``names`` and not yet written."""
        for name in names:
            value = self._left.pop(name, None)
            if value is not None:
                yield hd.sr.Measurement(
                    name=codes.NAMES[name],
                    value=round(value, _DECIMALS),
                    unit=codes.UNITS[name.unit],
                    method=codes.MOSTELLER if name is Quantity.BODY_SURFACE else None,
                )


def _orientation_group(
    image: tuple[str, str], series_uid: str, found: OrientationResult, producer: Producer
) -> Any:
    """TID 1501: what pixels and header say, and what was done."""
    evaluations = [
        hd.sr.QualitativeEvaluation(name=name, value=codes.own(value.upper(), value))
        for name, value in (
            (codes.ORIENTATION_NETWORK, found.network),
            (codes.ORIENTATION_HEADER, found.header),
            (codes.ORIENTATION_DECISION, found.decision),
        )
        if value
    ]
    margin = [
        hd.sr.Measurement(
            name=codes.ORIENTATION_MARGIN,
            value=round(margin_deg, _DECIMALS),
            unit=codes.UNITS["deg"],
        )
        for margin_deg in [found.margin_deg]
        if margin_deg is not None
    ]
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(series_uid, "Orientation"),
        finding_type=codes.IMAGE_QUALITY,
        algorithm_id=hd.sr.AlgorithmIdentification(
            name=producer.model, version=producer.software_version
        ),
        measurements=margin or None,
        qualitative_evaluations=evaluations or None,
        source_images=[hd.sr.SourceImageForMeasurementGroup(*image)],
    )


def _tracking(series_uid: str, title: str) -> Any:
    uid = derive_uid("tracking", series_uid, title)
    return hd.sr.TrackingIdentifier(uid=uid, identifier=title)


def _said_of_numbers(measured: Measurements) -> Iterator[tuple[Code, str]]:
    if measured.ed_phase is not None:
        phases = f"end-diastole is phase {measured.ed_phase + 1}"
        if measured.es_phase is not None:
            phases += f", end-systole phase {measured.es_phase + 1}"
        yield codes.CONVENTION, f"{phases} of {len(measured.lv_curve_ml)}"
    for text in measured.conventions:
        yield codes.CONVENTION, text
    for text in measured.exclusions:
        yield codes.EXCLUSION, text
    for flag in measured.flags:
        yield codes.FLAG, flag.text
    for withheld in measured.withheld:
        yield codes.WITHHELD, f"{withheld.name.words}: {withheld.reason}"


def _said_of_orientation(found: OrientationResult | None) -> Iterator[tuple[Code, str]]:
    if found is not None and found.reason:
        yield codes.ORIENTATION_REASON, found.reason


def _statements(said: Sequence[tuple[Code, str]]) -> Any:
    """What is no number, one TEXT each (TID 1500, row 14)."""
    container = hd.sr.ContainerContentItem(
        name=codes.QUALITATIVE,
        is_content_continuous=False,
        relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
    )
    container.ContentSequence = hd.sr.ContentSequence(
        [
            hd.sr.TextContentItem(
                name=name,
                value=_ascii(text),
                relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
            )
            for name, text in said
        ],
        is_root=False,
    )
    return container


def _ascii(text: str) -> str:
    return text.encode("ascii", errors="replace").decode()[:_LONGEST_TEXT]
