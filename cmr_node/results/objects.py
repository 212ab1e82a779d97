"""Outlines, numbers and questions of one stack as instances.

The promise kept here: each object points at the images a reader looks at, and at nothing else;
the moment of a report is handed in, and no clock is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from cmr_node.assemble.records import Stack
from cmr_node.dicom.raw import texts
from cmr_node.judgement import Judged
from cmr_node.measures.measure import Measurements
from cmr_node.outputs.algorithm import Algorithm
from cmr_node.outputs.derivation import series_number
from cmr_node.outputs.overlay import capture
from cmr_node.outputs.report import measurement_report
from cmr_node.outputs.report_facts import Moment, OrientationResult, SegmentReference
from cmr_node.outputs.review import quality_issue
from cmr_node.outputs.segmentation import Encoding, Phase, Segmented, segment
from cmr_node.outputs.structures import SEGMENTS, tracking_uid
from cmr_node.outputs.uids import Producer
from cmr_node.results.outlining import Outlines
from cmr_node.results.page import result_page
from cmr_node.results.shown import Shown

SEGMENTATION, PAGE, REVIEW = 2, 6, 8
"""Kinds of ``derivation.series_number``."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """Makes the objects of one stack.

    labels
        uint8 (slices, phases, rows, columns), on the images that are shown.
    """

    shown: Shown
    outlines: Outlines
    labels: NDArray[np.uint8]
    algorithm: Algorithm
    producer: Producer

    def moments(self) -> dict[int, Moment]:
        """The phases that are reported."""
        measured = self.outlines.measured
        pairs = (
            (measured.ed_phase, Moment.END_DIASTOLE),
            (measured.es_phase, Moment.END_SYSTOLE),
        )
        return {phase: moment for phase, moment in pairs if phase is not None}

    def segmentation(self, phase: int, encoding: Encoding) -> Segmented:
        """The outlines of one phase."""
        sources = self.shown.sources(phase)
        moment = self.moments().get(phase)
        return segment(
            sources,
            self.labels[self.shown.places(phase), phase],
            stack=self.shown.key,
            phase=Phase(phase + 1, moment.replace("-", " ") if moment else ""),
            algorithm=self.algorithm,
            series_number=series_number(sources[0].ds, SEGMENTATION),
            producer=self.producer,
            encoding=encoding,
        )

    def references(self, made: Mapping[int, Segmented]) -> Iterator[SegmentReference]:
        """What a report says it was measured on.

        Parameters
        ----------
        made
            Phase -> its outlines, stored.
        """
        for phase, moment in self.moments().items():
            held = made.get(phase)
            if held is None or held.instance is None:
                continue
            study, series, instance, sop_class = (
                "".join(texts(held.instance, keyword))
                for keyword in (
                    "StudyInstanceUID",
                    "SeriesInstanceUID",
                    "SOPInstanceUID",
                    "SOPClassUID",
                )
            )
            for structure, number in held.numbers.items():
                yield SegmentReference(
                    series_uid=series,
                    instance_uid=instance,
                    moment=moment,
                    structure=structure,
                    number=number,
                    tracking_uid=tracking_uid(study, self.shown.key, structure),
                    tracking_id=SEGMENTS[structure].label,
                    sop_class_uid=sop_class,
                )

    def report(
        self, orientation: OrientationResult, made: Mapping[int, Segmented], when: datetime
    ) -> FileDataset:
        """The numbers, and why others are not given."""
        return measurement_report(
            self.shown.instances(),
            self.outlines.measured,
            orientation,
            self.algorithm,
            self.producer,
            when,
            tuple(self.references(made)),
        )

    def page(self, *, warn: bool) -> FileDataset:
        """The page of pictures; ``warn``: that it is not for diagnosis.

        Raises
        ------
        ValueError
            End-diastole and end-systole are not both known, or nobody says when phases are.
        """
        page, sources = result_page(
            self.shown, self.outlines, self.labels, self.algorithm, self.producer, warn=warn
        )
        return capture(
            page,
            sources,
            stack=self.shown.key,
            step=self.algorithm.step,
            series_number=series_number(sources[0].ds, PAGE),
            producer=self.producer,
        )


def orientation_result(judged: Judged[Stack]) -> OrientationResult:
    """What was found and done, for the report."""
    network, header = judged.network, judged.header
    return OrientationResult(
        network=str(network.orientation) if network else "",
        header=str(header.orientation) if header else "",
        margin_deg=header.margin_deg if header else None,
        decision=str(judged.verdict.decision),
        reason=judged.verdict.reason,
    )


def numbers_of(measured: Measurements) -> dict[str, float]:
    """The numbers that are given, for the record of the stack."""
    return {str(name): round(value, 2) for name, value in measured.values.items()}


def key_objects(instances: Sequence[FileDataset], reason: str, producer: Producer) -> FileDataset:
    """What asks a person to look at ``instances``."""
    number = series_number(instances[0], REVIEW)
    return quality_issue(instances, reason, series_number=number, producer=producer)
