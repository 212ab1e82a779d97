"""What happens to a complete study, step by step.  Read this page first.

    1. what arrived is put in order: stacks of slices of phases          assemble.stack
    2. for each stack: which orientation does its header imply, do the   judgement
       slices that cross it agree, what does the network see in a        inference.runtime
       short axis: act, leave, or ask a person                           inference.decide
    3. act: each instance is derived anew, pixels and geometry turned,   outputs.reoriented
       read back, and proved to hold every pixel where it was            outputs.proof
    4. what is asked is written down for a person; what the network      results
       sees in a short-axis cine is drawn and measured
    5. decisions and results are written, and handed to delivery         store.ledger
                                                                         outputs.offers

The promise kept here: the whole may be run again at any moment and its effect is once.  What is
derived depends on the source bytes, the operation and this version of the node alone, so a
second run writes the same bytes under the same UIDs; the network has a say in whether, not in
what, and in what it draws, under UIDs that name its weights.  A stack of which one instance cannot
be derived, or of whose series one has no place in any stack, is refused whole: a turned stack that
lacks an image without a word would be worse than none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydicom.dataset import FileDataset

from cmr_node.assemble.frames import frames_from
from cmr_node.assemble.records import Assembly, Refused, Stack
from cmr_node.assemble.stack import assemble
from cmr_node.dicom.header import Header
from cmr_node.dicom.reading import read
from cmr_node.errors import (
    BadInstance,
    GeometryNotKept,
    NodeError,
    RefusedStack,
)
from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.decide import Decision
from cmr_node.jobs.worker import JobContext
from cmr_node.judgement import (
    BY_THE_HEADER,
    Judged,
    Trusting,
    cell_values,
    evidence_of,
    judge,
    must_be_turnable,
)
from cmr_node.outputs.offers import Results, offer
from cmr_node.outputs.proof import prove
from cmr_node.outputs.reoriented import reorient_instance
from cmr_node.outputs.turned import encode
from cmr_node.outputs.uids import Producer
from cmr_node.results.artist import Artist
from cmr_node.results.maker import Made, ResultMaker
from cmr_node.settings import Peer, Settings
from cmr_node.store.files import Files
from cmr_node.store.index import Index, StudyVersion
from cmr_node.store.keeping import Keeping
from cmr_node.store.ledger import Ledger, StackRecord
from cmr_node.telemetry import STACKS

logger = logging.getLogger(__name__)

REFUSED = "refused"
"""In place of a decision: the stack was to be turned and cannot be."""


class Standardiser:
    """Standardises complete studies; one per worker."""

    def __init__(
        self,
        settings: Settings,
        index: Index,
        ledger: Ledger,
        files: Files,
        producer: Producer,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        trusting: Trusting = BY_THE_HEADER,
        artist: Artist | None = None,
    ) -> None:
        self.settings = settings
        self.index = index
        self.ledger = ledger
        self.files = files
        self.producer = producer
        self.now = now
        self.trusting = trusting
        self.keeping = Keeping(files, index, settings.receive.ae_title, now)
        self.maker = ResultMaker(settings, self.keeping, producer, artist)

    def __call__(self, context: JobContext, payload: dict[str, Any]) -> None:
        """Handle a study job: ``{"study": UID, "version": number}``."""
        study = StudyVersion(payload["study"], payload["version"])
        try:
            self.standardise(study, context.step)
        except NodeError as error:
            if not error.transient:
                self.ledger.fail(study, str(error), self.now())
            raise

    def standardise(self, study: StudyVersion, step: Callable[..., Any]) -> None:
        """Bring one version of a study to the standard view.

        Parameters
        ----------
        step
            ``step(name, function, *arguments)`` runs a function once, also over a crash, and
            gives its result, which is made of JSON.
        """
        newest = self.ledger.last_number(study)
        if newest is None:
            logger.info("study %s version %d is superseded", *_named(study))
            return
        uid = study.study_instance_uid
        instances = [row.header for row in self.index.arrivals(uid, up_to_number=newest)]
        assembly = assemble(instances, frames_from(self._read))
        pixels = cell_values(self._read)
        stacks = judge(assembly, pixels, self.settings.standardise, self.trusting)
        completed_at = self.ledger.completed_at(study)
        records: list[StackRecord] = []
        results: list[Results] = []
        for number, judged in enumerate(stacks, start=1):
            record = self._carry_out(judged, assembly.refused, step, f"stack {number}")
            made = Made()
            if record.decision != REFUSED and self.maker.concerns(judged):
                outcome = step(
                    f"results {number}",
                    self.maker.make,
                    judged,
                    assembly.refused,
                    record.derived,
                    completed_at,
                )
                made = Made(**outcome)
                record = replace(record, evidence={**record.evidence, "results": made.said()})
            records.append(record)
            results.append(made.results(record.derived))
        records += _refused_instances(assembly)
        derived = [uid for record in records for uid in record.derived]
        sources = [header.sop_instance_uid for header in instances]
        offers = {peer.name: offer(results, peer) for peer in self.settings.destinations}
        wanted = {
            peer.name: _wanted(peer, sources, offers[peer.name].wanted)
            for peer in self.settings.destinations
        }
        next_best = {
            peer.name: offers[peer.name].next_best
            for peer in self.settings.destinations
            if "derived" in peer.receives
        }
        self.ledger.finish(study, records, wanted, self.now(), next_best)
        logger.info(
            "study %s version %d: %d instances, %d stacks, %d derived",
            *_named(study),
            len(instances),
            len(assembly.stacks),
            len(derived),
        )

    def _carry_out(
        self, judged: Judged[Stack], refused: Sequence[Refused], step: Callable[..., Any], name: str
    ) -> StackRecord:
        stack, verdict = judged.stack, judged.verdict
        decision, reason, derived = str(verdict.decision), verdict.reason, ()
        if verdict.decision is Decision.ACT:
            outcome = step(name, self._derive_stack, stack, refused, verdict.operation)
            derived = tuple(outcome["derived"])
            if outcome["refused"]:
                decision, reason = REFUSED, outcome["refused"]
        STACKS.labels(str(stack.sequence), decision, str(verdict.kind)).inc()
        return StackRecord(
            sequence=str(stack.sequence),
            view=str(stack.view),
            series=stack.series_instance_uids,
            slices=len(stack.slices),
            phases=stack.phases,
            decision=decision,
            operation=str(verdict.operation if derived else Orientation.IDENTITY),
            reason=reason,
            evidence=evidence_of(judged),
            derived=derived,
        )

    def _derive_stack(
        self, stack: Stack, refused: Sequence[Refused], operation: Orientation
    ) -> dict[str, Any]:
        """Derive every instance of a stack, or none; a step, so its result is JSON."""
        derived: list[str] = []
        at = ""
        try:
            must_be_turnable(stack, refused)
            for header in stack.instances:
                at = f"instance {header.sop_instance_uid}: "
                derived.append(self._derive(header, operation))
        except (BadInstance, RefusedStack, GeometryNotKept) as error:
            series = stack.series_instance_uids[0]
            logger.warning("stack of series %s refused: %s%s", series, at, error)
            return {"derived": [], "refused": f"{at}{error}"}
        return {"derived": derived, "refused": ""}

    def _derive(self, header: Header, operation: Orientation) -> str:
        source = self._read(header)
        derived = reorient_instance(source, operation, self.producer)
        part10 = encode(derived)
        prove(part10, source)
        return self.keeping.keep(part10)

    def _read(self, header: Header) -> FileDataset:
        return read(self.files.path_of(header.sop_instance_uid))


def _wanted(peer: Peer, sources: Sequence[str], made: Sequence[str]) -> list[str]:
    """What a destination is to have, in the order in which it is told to get it."""
    offered = {"original": sources, "derived": made}
    return [uid for kind in peer.receives for uid in offered[kind]]


def _refused_instances(assembly: Assembly) -> list[StackRecord]:
    """Instances that lie in no stack, one record a reason, so that none is out of sight."""
    by_reason: dict[str, list[Any]] = {}
    for refused in assembly.refused:
        by_reason.setdefault(str(refused.reason), []).append(refused)
    return [
        StackRecord(
            sequence="other",
            view="other",
            series=sorted({one.instance.series_instance_uid for one in group}),
            slices=len(group),
            phases=1,
            decision=REFUSED if reason == "geometry" else str(Decision.LEAVE),
            operation=str(Orientation.IDENTITY),
            reason=f"{len(group)} instances lie in no stack: {group[0].text}",
            evidence={"kind": reason},
        )
        for reason, group in sorted(by_reason.items())
    ]


def _named(study: StudyVersion) -> tuple[str, int]:
    return study.study_instance_uid, study.version
