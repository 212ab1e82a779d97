"""How results reach a destination: attempt, wait, attempt again, give up.

The promise kept here: what was handed to delivery is sent until the peer has it, the peer has
refused it for good, or ``deliver.give_up_after`` is over; then it is a dead letter that
``retry`` revives.  What a destination does not take goes to it as the next best, within the same
attempt, and is remembered (``store.next_best``).  An attempt that dies in the middle is made
again; the peer then meets the same UIDs with the same bytes, so it holds each object once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from cmr_node.errors import NodeError
from cmr_node.jobs.keys import delivery_key
from cmr_node.jobs.queue import Jobs, Kind
from cmr_node.jobs.worker import JobContext
from cmr_node.network.scu import Outcome
from cmr_node.network.status import Meaning, describe
from cmr_node.settings import Deliver, Peer, Settings
from cmr_node.store.deliveries import Deliveries, DueDelivery, ItemOutcome
from cmr_node.store.files import Files
from cmr_node.store.index import StudyVersion
from cmr_node.store.ledger import Ledger
from cmr_node.store.next_best import Capabilities
from cmr_node.store.tables import DeliveryState, ItemState
from cmr_node.telemetry import SENT

logger = logging.getLogger(__name__)

RECORDED_AT_ONCE = 50
"""Outcomes written in one transaction; a crash repeats at most so many transfers."""

DISPATCH_EVERY_S = 0.25
GIVEN_UP_EVERY_S = 5.0

Send = Callable[[Peer, Sequence[Path]], Iterator[Outcome]]
"""Sends files to a peer and tells of each what came of it, as ``network.scu.send`` does."""


@dataclass(frozen=True, slots=True)
class Next:
    """What follows an attempt."""

    state: DeliveryState
    failures: int
    at: datetime


def wait_after(failures: int, clocks: Deliver, key: str) -> timedelta:
    """How long to wait after the ``failures``-th failure in a row (1 for the first).

    ``retry_first``, doubled each time up to ``retry_cap``, give or take ``retry_jitter``.  The
    jitter follows from ``key``, so deliveries that failed together do not return together,
    and a repeated decision is the same decision.
    """
    wait = min(clocks.retry_first * 2.0 ** min(failures - 1, 63), clocks.retry_cap)
    digest = hashlib.sha256(f"{key}/{failures}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**63 - 1  # -1 to 1
    return timedelta(seconds=wait * (1 + clocks.retry_jitter * share))


def what_next(
    due: DueDelivery, pending: int, refused: int, progress: bool, clocks: Deliver, now: datetime
) -> Next:
    """Decide after an attempt.

    Parameters
    ----------
    pending, refused
        Instances not confirmed yet, and instances refused for good.
    progress
        Whether the attempt got anything through; it then starts the waits anew.
    """
    if not pending:
        state = DeliveryState.DEAD if refused else DeliveryState.DELIVERED
        return Next(state, due.failures, now)
    failures = 1 if progress else due.failures + 1
    if now - due.since >= timedelta(seconds=clocks.give_up_after):
        return Next(DeliveryState.DEAD, failures, now)
    key = f"{due.study_instance_uid}/{due.destination}"
    return Next(DeliveryState.PENDING, failures, now + wait_after(failures, clocks, key))


class Deliverer:
    """Makes attempts; one per deliver process."""

    def __init__(
        self,
        settings: Settings,
        deliveries: Deliveries,
        files: Files,
        send: Send,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self.deliveries = deliveries
        self.capabilities = Capabilities(deliveries.database)
        self.files = files
        self.send = send
        self.now = now

    def __call__(self, context: JobContext, payload: dict[str, Any]) -> None:
        """Handle a delivery job: ``{"study": UID, "destination": name, "attempt": number}``."""
        due = self.deliveries.attempt(payload["study"], payload["destination"], payload["attempt"])
        if due is None:
            logger.info("job %s: another attempt took its place", context.key)
            return
        peer = next(
            (peer for peer in self.settings.destinations if peer.name == due.destination), None
        )
        if peer is None:
            self._close(due, f"no peer named {due.destination} receives, by the settings")
        else:
            self._attempt(due, peer)

    def _attempt(self, due: DueDelivery, peer: Peer) -> None:
        uid = due.study_instance_uid
        delivered, error, said = 0, "", ""
        try:
            for outcome in self._outcomes(uid, peer):
                SENT.labels(peer.name, outcome.meaning.value).inc()
                if outcome.meaning is Meaning.DELIVERED:
                    delivered += 1
                else:
                    error = outcome.comment
                    # The peer's own words may name the patient: they are for ``status`` only.
                    said = error if outcome.status is None else describe(outcome.status)
        except NodeError as broken:
            error = said = str(broken)
        pending = len(self.deliveries.pending_items(uid, peer.name))
        refused = self.deliveries.refused_items(uid, peer.name)
        follows = what_next(
            due, pending, len(refused), bool(delivered), self.settings.deliver, self.now()
        )
        logger.log(
            logging.INFO if follows.state is DeliveryState.DELIVERED else logging.WARNING,
            "study %s to %s, attempt %d: %d delivered, %d pending, %d refused: %s %s",
            *(uid, peer.name, due.attempt, delivered, pending, len(refused), follows.state, said),
        )
        self.deliveries.close_attempt(
            due,
            follows.state,
            failures=follows.failures,
            next_attempt_at=follows.at,
            error="" if follows.state is DeliveryState.DELIVERED else error,
        )

    def _outcomes(self, uid: str, peer: Peer) -> Iterator[Outcome]:
        """Send what is pending, then what became so as next best; every outcome is recorded."""
        tried: set[str] = set()
        while items := [
            item for item in self.deliveries.pending_items(uid, peer.name) if item not in tried
        ]:
            tried.update(items)
            paths = {self.files.path_of(item): item for item in items}
            batch: list[tuple[str, Outcome]] = []
            try:
                for outcome in self.send(peer, list(paths)):
                    batch.append((paths[outcome.path], outcome))
                    yield outcome
                    if len(batch) >= RECORDED_AT_ONCE:
                        self._record(peer, batch)
            finally:
                self._record(peer, batch)

    def _record(self, peer: Peer, batch: list[tuple[str, Outcome]]) -> None:
        if not batch:
            return
        classes = {
            outcome.sop_class_uid: outcome.class_taken
            for _, outcome in batch
            if outcome.class_taken is not None
        }
        if classes:
            self.capabilities.learn(peer.name, classes, self.now())
        attempts = self.settings.deliver.permanent_attempts
        self.deliveries.record_outcomes(peer.name, [_item(*one) for one in batch], attempts)
        batch.clear()

    def _close(self, due: DueDelivery, error: str) -> None:
        logger.error("study %s to %s: %s", due.study_instance_uid, due.destination, error)
        self.deliveries.close_attempt(
            due,
            DeliveryState.DEAD,
            failures=due.failures,
            next_attempt_at=self.now(),
            error=error,
        )


def _item(sop_instance_uid: str, outcome: Outcome) -> ItemOutcome:
    return ItemOutcome(
        sop_instance_uid=sop_instance_uid,
        state=ItemState.DELIVERED if outcome.meaning is Meaning.DELIVERED else ItemState.PENDING,
        refused=outcome.meaning is Meaning.REFUSED,
        status=outcome.status,
        comment=outcome.comment,
        class_refused=outcome.class_taken is False,
    )


def dispatch(
    epoch: str, deliveries: Deliveries, ledger: Ledger, jobs: Jobs, clocks: Deliver, stop: Event
) -> None:
    """Submit a job for each attempt that is due and note what the queue gave up, until told."""
    looked = 0.0
    while not stop.wait(DISPATCH_EVERY_S):
        try:
            submit_due(epoch, deliveries, jobs)
            looked += DISPATCH_EVERY_S
            if looked >= GIVEN_UP_EVERY_S:
                note_given_up(deliveries, ledger, jobs, clocks, datetime.now(UTC))
                looked = 0.0
        except NodeError as error:
            if not error.transient:
                raise
            logger.warning("delivery is held up: %s", error)


@contextmanager
def dispatching(
    epoch: str, deliveries: Deliveries, ledger: Ledger, jobs: Jobs, clocks: Deliver, stop: Event
) -> Iterator[None]:
    """``dispatch`` in a thread while the block runs.

    An error that ends it sets ``stop`` and is raised at the end of the block: a role that went on
    without it would deliver nothing more, and say nothing.
    """
    failed: list[Exception] = []

    def run() -> None:
        try:
            dispatch(epoch, deliveries, ledger, jobs, clocks, stop)
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits for this one
            failed.append(error)
        finally:
            stop.set()

    thread = threading.Thread(target=run, name="dispatch")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


def submit_due(epoch: str, deliveries: Deliveries, jobs: Jobs) -> None:
    """Enter a job for each attempt that has none; entering one twice changes nothing."""
    for due in deliveries.due():
        jobs.submit(
            Kind.DELIVERY,
            delivery_key(epoch, due.study_instance_uid, due.destination, due.attempt),
            {
                "study": due.study_instance_uid,
                "destination": due.destination,
                "attempt": due.attempt,
            },
            not_before=due.next_attempt_at,
            lane=due.destination,
        )
        deliveries.mark_submitted(due)


def note_given_up(
    deliveries: Deliveries, ledger: Ledger, jobs: Jobs, clocks: Deliver, now: datetime
) -> None:
    """Carry over what the queue failed or isolated without the handler being able to say so."""
    for job in jobs.failed():
        payload = json.loads(job.payload)
        if job.kind == Kind.STUDY:
            study = StudyVersion(payload["study"], payload["version"])
            ledger.fail_if_queued(study, job.reason, now)
            continue
        due = deliveries.attempt(payload["study"], payload["destination"], payload["attempt"])
        if due is not None:
            follows = what_next(due, 1, 0, False, clocks, now)
            deliveries.close_attempt(
                due,
                follows.state,
                failures=follows.failures,
                next_attempt_at=follows.at,
                error=job.reason,
            )
