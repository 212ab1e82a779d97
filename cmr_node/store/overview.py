"""The state of the node, for people: what ``status`` prints and ``/metrics`` counts.

The promise kept here: reading only, bounded in size, and never a patient's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select

from cmr_node.store.database import Database
from cmr_node.store.tables import (
    Aside,
    Delivery,
    DeliveryItem,
    DeliveryState,
    Instance,
    ItemState,
    Stack,
    Study,
    Version,
)


@dataclass(frozen=True, slots=True)
class StudyOverview:
    """One study with its newest version, stacks and deliveries, ready for JSON.

    ``instances`` counts what was received, products of a node left out.
    """

    study_instance_uid: str
    state: str
    version: int
    instances: int
    first_received_at: datetime
    last_received_at: datetime
    reason: str
    error: str
    stacks: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    aside: int


class Overview:
    """Questions about everything at once."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def studies(self, limit: int = 50, study_uid: str | None = None) -> list[StudyOverview]:
        """The newest studies first."""
        with self.database.reading() as connection:
            wanted = select(Study).order_by(Study.last_received_at.desc()).limit(limit)
            if study_uid:
                wanted = wanted.where(Study.study_instance_uid == study_uid)
            return [self._study(connection, row) for row in connection.execute(wanted).all()]

    def _study(self, connection: Any, study: Any) -> StudyOverview:
        uid = study.study_instance_uid
        version = connection.execute(
            select(Version.state, Version.reason, Version.error)
            .where(Version.study_instance_uid == uid)
            .where(Version.version == study.version)
        ).one_or_none()
        stacks = connection.execute(
            select(Stack)
            .where(Stack.study_instance_uid == uid)
            .where(Stack.version == study.version)
            .order_by(Stack.number)
        ).mappings()
        state = "receiving" if study.open or version is None else str(version.state)
        return StudyOverview(
            study_instance_uid=uid,
            state=state,
            version=study.version,
            instances=self._count(
                connection,
                Instance,
                and_(Instance.study_instance_uid == uid, ~Instance.own_product),
            ),
            first_received_at=study.first_received_at,
            last_received_at=study.last_received_at,
            reason=version.reason if version else "",
            error=version.error if version else "",
            stacks=[
                {key: value for key, value in row.items() if key != "study_instance_uid"}
                for row in stacks
            ],
            deliveries=self._deliveries(connection, uid),
            aside=self._count(connection, Aside, Aside.study_instance_uid == uid),
        )

    @staticmethod
    def _count(connection: Any, table: Any, condition: Any) -> int:
        return int(
            connection.execute(
                select(func.count()).select_from(table).where(condition)
            ).scalar_one()
        )

    @staticmethod
    def _deliveries(connection: Any, study_uid: str) -> list[dict[str, Any]]:
        counts: dict[str, dict[str, int]] = {}
        for destination, state, count in connection.execute(
            select(DeliveryItem.destination, DeliveryItem.state, func.count())
            .where(DeliveryItem.study_instance_uid == study_uid)
            .group_by(DeliveryItem.destination, DeliveryItem.state)
        ):
            counts.setdefault(destination, {})[str(state)] = count
        rows = connection.execute(
            select(Delivery)
            .where(Delivery.study_instance_uid == study_uid)
            .order_by(Delivery.destination)
        )
        return [
            {
                "destination": row.destination,
                "state": str(row.state),
                "failures": row.failures,
                "next_attempt_at": row.next_attempt_at,
                "error": row.error,
                "instances": counts.get(row.destination, {}),
            }
            for row in rows
        ]

    def totals(self) -> dict[str, int]:
        """Studies, instances, bytes and what was kept aside."""
        with self.database.reading() as connection:
            instances, size = connection.execute(
                select(func.count(), func.coalesce(func.sum(Instance.size_bytes), 0)).select_from(
                    Instance
                )
            ).one()
            return {
                "studies": self._count(connection, Study, Study.study_instance_uid != ""),
                "instances": int(instances),
                "bytes": int(size),
                "aside": self._count(connection, Aside, Aside.number > 0),
            }

    def stack_counts(self) -> list[tuple[str, str, int]]:
        """(sequence, decision, count) over the newest versions."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(Stack.sequence, Stack.decision, func.count())
                .join(Study, Study.study_instance_uid == Stack.study_instance_uid)
                .where(Stack.version == Study.version)
                .group_by(Stack.sequence, Stack.decision)
            )
            return [(sequence, decision, count) for sequence, decision, count in rows]

    def backlog(self) -> list[tuple[str, int, datetime | None]]:
        """(destination, instances not confirmed, since when) of what is pending."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(
                    Delivery.destination,
                    select(func.count())
                    .select_from(DeliveryItem)
                    .where(DeliveryItem.destination == Delivery.destination)
                    .where(DeliveryItem.state == ItemState.PENDING)
                    .scalar_subquery(),
                    func.min(Delivery.since),
                )
                .where(Delivery.state == DeliveryState.PENDING)
                .group_by(Delivery.destination)
            )
            return [(destination, count, since) for destination, count, since in rows]

    def dead_letters(self) -> int:
        """Deliveries that were given up."""
        with self.database.reading() as connection:
            return self._count(connection, Delivery, Delivery.state == DeliveryState.DEAD)
