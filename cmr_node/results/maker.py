"""Which results a stack gets, each made and stored apart from the others.

The promise kept here: one object that cannot be made stops no other; what was not made is said
with its reason in the record of the stack.  A failure that may pass (no memory, no disk) is
raised, and the study tried again.  What is asked changes nothing but that it is asked.

    ask                                       key objects with the reason, and a report of what
                                              was found, without numbers
    act or leave, short-axis cine, seen       segmentations, report, page: as settings and
    by the network without doubt              destinations want them
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import Any, TypeVar

from pydicom.dataset import FileDataset

from cmr_node.assemble.records import Refused, Stack
from cmr_node.assemble.sequence import CardiacSequence
from cmr_node.dicom.reading import read
from cmr_node.errors import NodeError, RefusedStack
from cmr_node.geometry.standard_view import View
from cmr_node.inference.decide import Decision
from cmr_node.judgement import Judged, cell_values, must_be_turnable
from cmr_node.measures.quality import RIGHT_UNPROVEN
from cmr_node.measures.volumes import BasalRule
from cmr_node.outputs.offers import Question, Results, Segmentations
from cmr_node.outputs.report import question_report
from cmr_node.outputs.segmentation import Encoding, Segmented
from cmr_node.outputs.turned import encode
from cmr_node.outputs.uids import Producer
from cmr_node.results.artist import Artist
from cmr_node.results.objects import Drafts, key_objects, numbers_of, orientation_result
from cmr_node.results.outlining import Outlines, body_of, outline
from cmr_node.results.shown import Shown, reading_once, without_pixels
from cmr_node.settings import Settings
from cmr_node.store.keeping import Keeping

logger = logging.getLogger(__name__)

Found = TypeVar("Found")


@dataclass(slots=True)
class Made:
    """What became of the results of one stack; ``asdict`` of it is JSON.

    made, not_made
        Name of an object -> its SOP Instance UID, or why there is none.
    numbers
        What the report gives.
    """

    segmentations: list[tuple[str, str]] = field(default_factory=list)  #: binary, label map
    reports: list[str] = field(default_factory=list)
    page: str = ""
    question: list[str] = field(default_factory=list)  #: key objects, report; "" not made
    made: dict[str, str] = field(default_factory=dict)
    not_made: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)

    def said(self) -> dict[str, Any]:
        """For the record of the stack."""
        return {"made": self.made, "not_made": self.not_made, "numbers": self.numbers}

    def results(self, derived: Sequence[str]) -> Results:
        """For the destinations, beside the derived images."""
        return Results(
            segmentations=[Segmentations(*pair) for pair in self.segmentations],
            reports=self.reports,
            page=self.page,
            question=Question(*self.question) if self.question else None,
            others=derived,
        )


class ResultMaker:
    """Makes the results of judged stacks; one per worker."""

    def __init__(
        self, settings: Settings, keeping: Keeping, producer: Producer, artist: Artist | None = None
    ) -> None:
        self.wanted = settings.results
        self.keeping, self.producer, self.artist = keeping, producer, artist
        takers = [peer for peer in settings.destinations if "derived" in peer.receives]
        self.label_maps = any(peer.segmentation == "label_map" for peer in takers)
        self.pages = any(peer.secondary_capture != "never" for peer in takers)

    def concerns(self, judged: Judged[Stack]) -> bool:
        """Whether a stack may get any result."""
        if judged.verdict.decision is Decision.ASK:
            return self.wanted.review
        cine = judged.stack.sequence is CardiacSequence.CINE and judged.stack.view is View.SAX
        drawn = self.wanted.segmentation or self.wanted.measurements
        return cine and drawn and self.artist is not None

    def make(
        self,
        judged: Judged[Stack],
        refused: Sequence[Refused],
        derived: Sequence[str],
        completed_at: datetime,
    ) -> dict[str, Any]:
        """Make and store the results of a stack; a step, so its result is JSON, of a ``Made``.

        Parameters
        ----------
        refused
            What of the same study lies in no stack.
        derived
            The SOP Instance UIDs of its derived images, in the order of its instances.
        completed_at
            When the study counted as complete, from its record: the date of the report.
        """
        made = Made()
        if judged.verdict.decision is Decision.ASK:
            self._ask(made, judged, completed_at)
        elif self.artist is not None:
            draw = partial(self._outline, judged, refused, self.artist)
            outlines = self._attempt(made, judged, "outlines", draw)
            if outlines is not None:
                self._draft(made, judged, derived, outlines, self.artist, completed_at)
        return asdict(made)

    def _ask(self, made: Made, judged: Judged[Stack], when: datetime) -> None:
        @cache
        def instances() -> list[FileDataset]:
            uids = (one.sop_instance_uid for one in judged.stack.instances)
            return without_pixels(uids, self._open)

        def review() -> str:
            return self._kept(key_objects(instances(), judged.verdict.reason, self.producer))

        def report() -> str:
            found = orientation_result(judged)
            return self._kept(question_report(instances(), found, self.producer, when))

        for name, draw in (("review", review), ("report", report)):
            uid = self._attempt(made, judged, name, draw)
            made.question.append(uid or "")
            if uid is not None:
                made.made[name] = uid

    def _outline(
        self, judged: Judged[Stack], refused: Sequence[Refused], artist: Artist
    ) -> Outlines:
        stack, network = judged.stack, judged.network
        if network is None or network.doubt:
            doubt = network.doubt if network else "it was not asked"
            raise RefusedStack(f"the network is not sure how the stack lies: {doubt}")
        if not stack.recognised.certain:
            raise RefusedStack("it is not certain that the stack is a short-axis cine")
        must_be_turnable(stack, refused)
        pixels = cell_values(reading_once(self._open))
        body = body_of(stack, self._open(stack.instances[0].sop_instance_uid))
        rule = BasalRule(self.wanted.basal_rule)
        doubts = [] if self.wanted.right_ventricle else [RIGHT_UNPROVEN]
        return outline(stack, pixels, artist.drawer, network.orientation, body, rule, doubts)

    def _draft(
        self,
        made: Made,
        judged: Judged[Stack],
        derived: Sequence[str],
        outlines: Outlines,
        artist: Artist,
        completed_at: datetime,
    ) -> None:
        shown = Shown(judged.stack, derived, judged.verdict.operation, self._open)
        drafts = Drafts(
            shown, outlines, shown.labels(outlines.labels), artist.algorithm, self.producer
        )
        moments = drafts.moments()
        binary: dict[int, Segmented] = {}
        if self.wanted.segmentation:
            every = self.wanted.phases == "all"
            for phase in range(judged.stack.phases) if every else sorted(moments):
                name = moments.get(phase, f"phase {phase + 1}")
                self._segment(made, judged, drafts, phase, f"segmentation, {name}", binary)
            if not every and not moments:
                made.not_made["segmentation"] = "end-diastole was not found"
        if self.wanted.measurements:
            made.numbers = numbers_of(outlines.measured)
            report = partial(drafts.report, orientation_result(judged), binary, completed_at)
            uid = self._attempt(made, judged, "report", lambda: self._kept(report()))
            if uid is not None:
                made.made["report"] = uid
                made.reports.append(uid)
        if self.pages:
            draw = partial(drafts.page, warn=self.wanted.not_for_diagnosis)
            page = self._attempt(made, judged, "page", lambda: self._kept(draw()))
            if page is not None:
                made.made["page"] = made.page = page

    def _segment(
        self,
        made: Made,
        judged: Judged[Stack],
        drafts: Drafts,
        phase: int,
        name: str,
        binary: dict[int, Segmented],
    ) -> None:
        """The outlines of one phase, in each encoding that somebody takes."""
        uids = dict.fromkeys(Encoding, "")
        for encoding in Encoding if self.label_maps else (Encoding.BINARY,):
            label = name if encoding is Encoding.BINARY else f"{name}, label map"

            def drafted(encoding: Encoding = encoding) -> str:
                found = drafts.segmentation(phase, encoding)
                if found.instance is None:
                    raise RefusedStack(found.reason)
                uid = self._kept(found.instance)
                if encoding is Encoding.BINARY:
                    binary[phase] = found
                return uid

            uid = self._attempt(made, judged, label, drafted)
            if uid is not None:
                made.made[label] = uids[encoding] = uid
        if any(uids.values()):
            made.segmentations.append((uids[Encoding.BINARY], uids[Encoding.LABEL_MAP]))

    def _attempt(
        self, made: Made, judged: Judged[Stack], name: str, make: Callable[[], Found]
    ) -> Found | None:
        """What ``make`` gives; None, noted with the reason, where it cannot."""
        try:
            return make()
        except (NodeError, ValueError) as error:
            if isinstance(error, NodeError) and error.transient:
                raise
            series = judged.stack.series_instance_uids[0]
            logger.warning("series %s gets no %s: %s", series, name, error)
            made.not_made[name] = str(error)
            return None

    def _kept(self, ds: Any) -> str:
        return self.keeping.keep(encode(ds))

    def _open(self, uid: str) -> Any:
        return read(self.keeping.files.path_of(uid))
