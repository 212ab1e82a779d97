"""What was decided for each study, and what of it reached whom.

The promise kept here: the results of a version are written in one transaction, so a job that
ran half has left nothing, and one that runs twice writes the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, select, update

from cmr_node.store.database import Database
from cmr_node.store.index import StudyVersion, insert
from cmr_node.store.tables import (
    Delivery,
    DeliveryItem,
    DeliveryState,
    Instance,
    ItemState,
    Stack,
    Study,
    Version,
    VersionState,
)


@dataclass(frozen=True, slots=True)
class StackRecord:
    """What was found and decided for one stack; names as in the glossary."""

    sequence: str
    view: str
    series: Sequence[str]
    slices: int
    phases: int
    decision: str
    operation: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    derived: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """One attempt to be made; its job has a key of its own by ``attempt``."""

    study_instance_uid: str
    destination: str
    attempt: int
    since: datetime
    failures: int
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What one C-STORE came to; ``state`` PENDING if it is worth another attempt."""

    sop_instance_uid: str
    state: ItemState
    refused: bool
    status: int | None
    comment: str


class Ledger:
    """Versions, stacks and deliveries."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def last_number(self, study: StudyVersion) -> int | None:
        """The newest instance number of a version; None once a newer one superseded it."""
        with self.database.reading() as connection:
            row = connection.execute(_this(select(Version.last_number, Version.state), study)).one()
            return None if row.state == VersionState.SUPERSEDED else int(row.last_number)

    def finish(
        self,
        study: StudyVersion,
        stacks: Sequence[StackRecord],
        wanted: Mapping[str, Sequence[str]],
        at: datetime,
    ) -> None:
        """Write the decisions of a version and hand its results to delivery.

        Parameters
        ----------
        wanted
            Destination name -> SOP Instance UIDs it is to have of this study.  What it has
            already is not sent again; what it was to have and is not wanted any more is
            superseded.
        """
        with self.database.writing() as connection:
            state = connection.execute(
                _this(select(Version.state), study).with_for_update()
            ).scalar_one()
            if state == VersionState.SUPERSEDED:
                return
            connection.execute(
                delete(Stack)
                .where(Stack.study_instance_uid == study.study_instance_uid)
                .where(Stack.version == study.version)
            )
            if stacks:
                connection.execute(insert(connection, Stack), _stack_rows(study, stacks))
            for destination in sorted(wanted):
                self._want(
                    connection, study.study_instance_uid, destination, wanted[destination], at
                )
            connection.execute(
                _this(update(Version), study).values(
                    state=VersionState.DONE, error="", finished_at=at
                )
            )

    def fail(self, study: StudyVersion, error: str, at: datetime) -> None:
        """Note that the job of a version gave up, and why."""
        with self.database.writing() as connection:
            connection.execute(
                _this(update(Version), study)
                .where(Version.state != VersionState.SUPERSEDED)
                .values(state=VersionState.FAILED, error=error, finished_at=at)
            )

    def fail_if_queued(self, study: StudyVersion, error: str, at: datetime) -> None:
        """The same, for a version whose job cannot say so itself any more."""
        with self.database.writing() as connection:
            connection.execute(
                _this(update(Version), study)
                .where(Version.state == VersionState.QUEUED)
                .values(state=VersionState.FAILED, error=error, finished_at=at)
            )

    def _want(
        self,
        connection: Connection,
        study_uid: str,
        destination: str,
        uids: Sequence[str],
        at: datetime,
    ) -> None:
        of_study = and_(
            DeliveryItem.study_instance_uid == study_uid, DeliveryItem.destination == destination
        )
        known = {
            row.sop_instance_uid: row.state
            for row in connection.execute(
                select(DeliveryItem.sop_instance_uid, DeliveryItem.state).where(of_study)
            )
        }
        _set_items(connection, of_study, set(known) - set(uids), ItemState.SUPERSEDED)
        revived = {uid for uid in uids if known.get(uid) == ItemState.SUPERSEDED}
        _set_items(connection, of_study, revived, ItemState.PENDING)
        fresh = [uid for uid in uids if uid not in known]
        if fresh:
            connection.execute(
                insert(connection, DeliveryItem).on_conflict_do_nothing(),
                [
                    {
                        "destination": destination,
                        "sop_instance_uid": uid,
                        "study_instance_uid": study_uid,
                        "state": ItemState.PENDING,
                        "refusals": 0,
                        "comment": "",
                    }
                    for uid in fresh
                ],
            )
        if fresh or revived:
            self._begin_attempts(connection, study_uid, destination, at)

    def _begin_attempts(
        self, connection: Connection, study_uid: str, destination: str, at: datetime
    ) -> None:
        begun = {
            "state": DeliveryState.PENDING,
            "since": at,
            "failures": 0,
            "next_attempt_at": at,
            "submitted": False,
            "error": "",
        }
        row = insert(connection, Delivery).values(
            study_instance_uid=study_uid, destination=destination, attempt=1, **begun
        )
        connection.execute(
            row.on_conflict_do_update(
                index_elements=[Delivery.study_instance_uid, Delivery.destination],
                set_={"attempt": Delivery.attempt + 1, **begun},
            )
        )

    def due_deliveries(self) -> list[DueDelivery]:
        """The attempts for which no job is known to exist."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(
                    Delivery.study_instance_uid,
                    Delivery.destination,
                    Delivery.attempt,
                    Delivery.since,
                    Delivery.failures,
                    Delivery.next_attempt_at,
                )
                .where(Delivery.state == DeliveryState.PENDING)
                .where(~Delivery.submitted)
                .order_by(Delivery.next_attempt_at)
            )
            return [DueDelivery(*row) for row in rows]

    def mark_delivery_submitted(self, due: DueDelivery) -> None:
        """Note that the queue holds the job of this attempt."""
        with self.database.writing() as connection:
            connection.execute(
                _attempt(
                    update(Delivery), due.study_instance_uid, due.destination, due.attempt
                ).values(submitted=True)
            )

    def attempt(self, study_uid: str, destination: str, attempt: int) -> DueDelivery | None:
        """The attempt, if it is still the one to make."""
        with self.database.reading() as connection:
            row = connection.execute(
                _attempt(
                    select(Delivery.since, Delivery.failures, Delivery.next_attempt_at).where(
                        Delivery.state == DeliveryState.PENDING
                    ),
                    study_uid,
                    destination,
                    attempt,
                )
            ).one_or_none()
            return DueDelivery(study_uid, destination, attempt, *row) if row else None

    def pending_items(self, study_uid: str, destination: str) -> list[str]:
        """The SOP Instance UIDs still to be sent, in order of arrival."""
        with self.database.reading() as connection:
            return list(
                connection.execute(
                    select(DeliveryItem.sop_instance_uid)
                    .outerjoin(Instance, Instance.sop_instance_uid == DeliveryItem.sop_instance_uid)
                    .where(DeliveryItem.study_instance_uid == study_uid)
                    .where(DeliveryItem.destination == destination)
                    .where(DeliveryItem.state == ItemState.PENDING)
                    .order_by(Instance.number)
                ).scalars()
            )

    def record_outcomes(
        self, destination: str, outcomes: Sequence[ItemOutcome], permanent_attempts: int
    ) -> None:
        """Write what the peer answered; a permanent refusal is final after some attempts."""
        with self.database.writing() as connection:
            for outcome in outcomes:
                item = and_(
                    DeliveryItem.destination == destination,
                    DeliveryItem.sop_instance_uid == outcome.sop_instance_uid,
                )
                refusals = connection.execute(
                    select(DeliveryItem.refusals).where(item)
                ).scalar_one()
                refusals += outcome.refused
                given_up = outcome.refused and refusals >= permanent_attempts
                connection.execute(
                    update(DeliveryItem)
                    .where(item)
                    .where(DeliveryItem.state != ItemState.SUPERSEDED)
                    .values(
                        state=ItemState.REFUSED if given_up else outcome.state,
                        refusals=refusals,
                        status=outcome.status,
                        comment=outcome.comment,
                    )
                )

    def close_attempt(
        self,
        due: DueDelivery,
        state: DeliveryState,
        *,
        failures: int,
        next_attempt_at: datetime,
        error: str,
    ) -> None:
        """End an attempt: delivered, dead, or pending with the next attempt to be submitted."""
        with self.database.writing() as connection:
            connection.execute(
                _attempt(
                    update(Delivery), due.study_instance_uid, due.destination, due.attempt
                ).values(
                    state=state,
                    attempt=Delivery.attempt + 1,
                    failures=failures,
                    next_attempt_at=next_attempt_at,
                    submitted=False,
                    error=error,
                )
            )

    def refused_items(self, study_uid: str, destination: str) -> list[tuple[int | None, str]]:
        """Status and comment of each instance that was refused for good."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(DeliveryItem.status, DeliveryItem.comment)
                .where(DeliveryItem.study_instance_uid == study_uid)
                .where(DeliveryItem.destination == destination)
                .where(DeliveryItem.state == ItemState.REFUSED)
            )
            return [(status, comment) for status, comment in rows]

    def retry_dead(self, at: datetime, study_uid: str | None = None) -> int:
        """Bring dead deliveries back to pending; returns how many."""
        with self.database.writing() as connection:
            wanted = select(Delivery.study_instance_uid, Delivery.destination).where(
                Delivery.state == DeliveryState.DEAD
            )
            if study_uid:
                wanted = wanted.where(Delivery.study_instance_uid == study_uid)
            dead = connection.execute(wanted).all()
            for uid, destination in dead:
                connection.execute(
                    update(DeliveryItem)
                    .where(DeliveryItem.study_instance_uid == uid)
                    .where(DeliveryItem.destination == destination)
                    .where(DeliveryItem.state == ItemState.REFUSED)
                    .values(state=ItemState.PENDING, refusals=0)
                )
                self._begin_attempts(connection, uid, destination, at)
            return len(dead)

    def retry_failed(self, study_uid: str | None = None) -> list[StudyVersion]:
        """Bring the newest failed versions back to queued; returns them."""
        with self.database.writing() as connection:
            wanted = (
                select(Version.study_instance_uid, Version.version)
                .join(
                    Study,
                    and_(
                        Study.study_instance_uid == Version.study_instance_uid,
                        Study.version == Version.version,
                    ),
                )
                .where(Version.state == VersionState.FAILED)
            )
            if study_uid:
                wanted = wanted.where(Version.study_instance_uid == study_uid)
            failed = [StudyVersion(*row) for row in connection.execute(wanted)]
            for study in failed:
                connection.execute(
                    _this(update(Version), study).values(state=VersionState.QUEUED, error="")
                )
            return failed


def _this(statement: Any, study: StudyVersion) -> Any:
    return statement.where(Version.study_instance_uid == study.study_instance_uid).where(
        Version.version == study.version
    )


def _attempt(statement: Any, study_uid: str, destination: str, attempt: int) -> Any:
    return (
        statement.where(Delivery.study_instance_uid == study_uid)
        .where(Delivery.destination == destination)
        .where(Delivery.attempt == attempt)
    )


def _set_items(connection: Connection, of_study: Any, uids: set[str], state: ItemState) -> None:
    for uid in sorted(uids):
        connection.execute(
            update(DeliveryItem)
            .where(of_study)
            .where(DeliveryItem.sop_instance_uid == uid)
            .values(state=state)
        )


def _stack_rows(study: StudyVersion, stacks: Sequence[StackRecord]) -> list[dict[str, Any]]:
    return [
        {
            "study_instance_uid": study.study_instance_uid,
            "version": study.version,
            "number": number,
            "sequence": stack.sequence,
            "view": stack.view,
            "series": list(stack.series),
            "slices": stack.slices,
            "phases": stack.phases,
            "decision": stack.decision,
            "operation": stack.operation,
            "reason": stack.reason,
            "evidence": dict(stack.evidence),
            "derived": len(stack.derived),
        }
        for number, stack in enumerate(stacks, start=1)
    ]
