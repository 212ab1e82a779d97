"""The loop that sees studies become complete and has them worked on.

The promise kept here: every study that came becomes a version, and every version becomes a job,
exactly once by its key, however often this process is killed.

    1. the index says which studies are open; what arrived since the last look is counted in
    2. ``completeness.judge`` says whether one is ready; if so the index notes a new version
    3. the index says which versions no job is known for; each is submitted, then marked

Steps 2 and 3 meet only in the index: killed between noting and submitting, the next process
finds the version unsubmitted; killed between submitting and marking, it submits again, which the
queue does not notice twice.  An instance that comes while step 2 runs leaves the study open; a
later one opens it again, and the next version supersedes this one.  Below the soft mark of the
disk (``may_start_work``) versions are still noted, and submitted when there is room again.

The index leaves products of a node out, so they neither open a study nor hold one up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Protocol

from cmr_node.assemble.completeness import StudyFacts, Verdict, judge
from cmr_node.errors import NodeError
from cmr_node.jobs.priority import Priority
from cmr_node.settings import Assemble
from cmr_node.store.index import Indexed, OpenStudy, StudyVersion
from cmr_node.telemetry import LATE_INSTANCES, STUDIES_COMPLETED

logger = logging.getLogger(__name__)

KEPT_STUDIES = 200  # facts of studies kept in memory beyond the open ones, for late instances
PATIENCE = timedelta(seconds=30)  # before a study that raised an error is looked at again


class Index(Protocol):
    """What the watcher asks of ``store.index.Index``."""

    def open_studies(self) -> Sequence[OpenStudy]:
        """The studies with something no version holds."""

    def arrivals(self, study_uid: str, after_number: int = 0) -> Sequence[Indexed]:
        """The instances of a study after a number, in order, none left out."""

    def complete(self, study_uid: str, reason: str, at: datetime, up_to_number: int) -> int:
        """Note a version, or find the one that holds the same instances."""

    def unsubmitted(self) -> Sequence[StudyVersion]:
        """The versions no job is known for."""

    def mark_submitted(self, study_uid: str, version: int) -> None:
        """Note that the queue has the job."""


Submit = Callable[[str, int, Priority], None]
"""Enter the job of (study, version) in the queue; a second time changes nothing."""


def utc_now() -> datetime:
    """The time of day, UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class _Known:
    """What the watcher remembers of a study; all of it can be read from the index again."""

    facts: StudyFacts
    last_number: int = 0
    look_again_at: datetime | None = None
    failed_at: datetime | None = None


class Watcher:
    """Looks at the index again and again; one per node."""

    def __init__(
        self,
        index: Index,
        submit: Submit,
        clocks: Assemble,
        *,
        may_start_work: Callable[[], bool],
        now: Callable[[], datetime] = utc_now,
        kept_studies: int = KEPT_STUDIES,
    ) -> None:
        self._index, self._submit, self._clocks = index, submit, clocks
        self._may_start_work, self._now = may_start_work, now
        self._kept_studies = kept_studies
        self._known: dict[str, _Known] = {}

    def run(self, stop: Event) -> None:
        """Poll until ``stop`` is set; a transient error is logged and waited out.

        Raises
        ------
        NodeError
            One that is not transient.
        """
        while True:
            try:
                self.poll()
            except NodeError as error:
                if not error.transient:
                    raise
                logger.warning("assembling is held up: %s", error)
            if stop.wait(self._clocks.poll):
                return

    def poll(self) -> None:
        """One look: note what is complete, submit what is not submitted."""
        studies = self._index.open_studies()
        for study in studies:
            try:
                self._look(study)
            except NodeError:
                raise
            except Exception:
                # A study the rules fail on must not hold up the others; it is not lost, and
                # every look that fails says so.
                logger.exception("study %s cannot be judged", study.study_instance_uid)
                uid = study.study_instance_uid
                self._known[uid] = _Known(StudyFacts(uid), failed_at=self._now())
        self._forget({study.study_instance_uid for study in studies})
        if self._may_start_work():
            for one in self._index.unsubmitted():
                # What was delivered once and is done again waits behind what nobody has yet.
                priority = Priority.NORMAL if one.version == 1 else Priority.LOW
                self._submit(one.study_instance_uid, one.version, priority)
                self._index.mark_submitted(one.study_instance_uid, one.version)

    def _look(self, study: OpenStudy) -> None:
        uid, now = study.study_instance_uid, self._now()
        known = self._known.setdefault(uid, _Known(StudyFacts(uid)))
        if known.failed_at and now < known.failed_at + PATIENCE:
            return
        if study.last_number > known.last_number:
            self._count_in(study, known)
        elif known.look_again_at and now < known.look_again_at:
            return
        verdict = judge(known.facts, now, self._clocks)
        known.look_again_at = verdict.look_again_at
        if verdict.ready:
            self._complete(known, verdict, now)

    def _count_in(self, study: OpenStudy, known: _Known) -> None:
        facts = known.facts
        late = study.version > 0 and facts.open_since is None
        for arrival in self._index.arrivals(facts.study_instance_uid, known.last_number):
            facts.add(arrival.header, arrival.received_at)
            known.last_number = arrival.number
        if study.version > 0 and not facts.reopened:
            # Read anew: which instances the last version held is not asked; the study clock
            # starts again.
            facts.completed()
            facts.open_since = study.last_received_at
        if late:
            LATE_INSTANCES.inc()
            logger.info(
                "study %s re-opened after version %d by a late instance",
                facts.study_instance_uid,
                study.version,
            )

    def _complete(self, known: _Known, verdict: Verdict, now: datetime) -> None:
        facts = known.facts
        version = self._index.complete(
            facts.study_instance_uid,
            f"{verdict.reason}: {verdict.text}",
            now,
            known.last_number,
        )
        facts.completed()
        known.look_again_at = None
        STUDIES_COMPLETED.labels(verdict.reason).inc()
        logger.info(
            "study %s version %d is complete (%s): %d instances, %s",
            facts.study_instance_uid,
            version,
            verdict.reason,
            facts.instances,
            verdict.text,
        )

    def _forget(self, still_open: set[str]) -> None:
        """Keep the facts of the newest studies only; the index has them all."""
        closed = [uid for uid in self._known if uid not in still_open]
        for uid in closed[: max(0, len(closed) - self._kept_studies)]:
            del self._known[uid]
