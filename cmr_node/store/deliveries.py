"""What of the results reached whom, attempt by attempt.

The promise kept here: an instance is pending at a destination until the peer confirmed it or
refused it for good; an attempt has a number of its own, and only the newest can be closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, select, update

from cmr_node.store.database import Database
from cmr_node.store.index import insert
from cmr_node.store.next_best import (
    chains,
    choose_taken,
    go_over_to_next_best,
    without_next_best,
    write_next_best,
)
from cmr_node.store.tables import Delivery, DeliveryItem, DeliveryState, Instance, ItemState


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
    """What one C-STORE came to; ``state`` PENDING if it is worth another attempt.

    ``class_refused``: the peer takes its SOP class in no transfer syntax.
    """

    sop_instance_uid: str
    state: ItemState
    refused: bool
    status: int | None
    comment: str
    class_refused: bool = False


class Deliveries:
    """Attempts and their outcomes."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def due(self) -> list[DueDelivery]:
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

    def mark_submitted(self, due: DueDelivery) -> None:
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
        """Write what the peer answered; a permanent refusal is final after some attempts.

        A refusal of the SOP class is so at once where something else can go in its place, which
        is then pending.
        """
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
                given_up = outcome.refused and (
                    refusals >= permanent_attempts
                    or (
                        outcome.class_refused
                        and go_over_to_next_best(connection, destination, outcome.sop_instance_uid)
                    )
                )
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
        """Status and comment of each instance refused for good in whose place nothing goes."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(DeliveryItem.status, DeliveryItem.comment)
                .where(DeliveryItem.study_instance_uid == study_uid)
                .where(DeliveryItem.destination == destination)
                .where(DeliveryItem.state == ItemState.REFUSED)
                .where(without_next_best())
            )
            return [(status, comment) for status, comment in rows]

    def revive(self, at: datetime, study_uid: str | None = None) -> int:
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
                _begin_attempts(connection, uid, destination, at)
            return len(dead)


def want(
    connection: Connection,
    study_uid: str,
    destination: str,
    uids: Sequence[str],
    at: datetime,
    next_best: Mapping[str, str],
) -> None:
    """Hand results of a study to delivery, in the caller's transaction.

    What the destination has already is not sent again; what it was to have and is not among
    ``uids`` any more is superseded.  ``next_best``: what goes in place of what, as in ``Ledger``.
    """
    offers = chains(uids, next_best)
    write_next_best(connection, study_uid, destination, next_best)
    uids = choose_taken(connection, destination, offers, at)
    of_study = and_(
        DeliveryItem.study_instance_uid == study_uid, DeliveryItem.destination == destination
    )
    known = {
        row.sop_instance_uid: row.state
        for row in connection.execute(
            select(DeliveryItem.sop_instance_uid, DeliveryItem.state).where(of_study)
        )
    }
    _set_items(
        connection,
        of_study,
        set(known) - {uid for chain in offers for uid in chain},
        ItemState.SUPERSEDED,
    )
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
        _begin_attempts(connection, study_uid, destination, at)


def _begin_attempts(connection: Connection, study_uid: str, destination: str, at: datetime) -> None:
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
