"""The index over the instances: what arrived, and which studies are complete.

The promise kept here: ``register`` may be called again with the same arrivals and changes
nothing; when it returns, they are in the database for good.  Everything in these tables can be
rebuilt from the files alone (``store.filing.arrivals``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cmr_node.dicom.header import Header
from cmr_node.dicom.products import is_own_product
from cmr_node.store.arrival import Arrival
from cmr_node.store.database import Database
from cmr_node.store.tables import Aside, Base, Identity, Instance, Study, Version, VersionState


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """A study to which something came that no complete version holds yet."""

    study_instance_uid: str
    last_number: int
    last_received_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Indexed:
    """One instance as the index knows it; ``number`` grows with the order of arrival."""

    number: int
    received_at: datetime
    header: Header
    digest: str


@dataclass(frozen=True, slots=True)
class StudyVersion:
    """One complete state of one study."""

    study_instance_uid: str
    version: int


class Index:
    """Questions and answers about instances and study versions."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def epoch(self) -> str:
        """Which index this is: part of every job key, so that a rebuilt one meets no old job."""
        with self.database.reading() as connection:
            return str(connection.execute(select(Identity.epoch)).scalar_one())

    def register(self, arrivals: Sequence[Arrival]) -> None:
        """Make known what became durable; what is known already is passed over.

        The rows of the studies are taken first and held to the end of the transaction: within
        one study, numbers therefore become visible in their order, and a reader that has seen
        number n has missed none below it, also with several receivers on PostgreSQL.
        """
        if not arrivals:
            return
        by_study: dict[str, list[Arrival]] = defaultdict(list)
        for arrival in arrivals:
            by_study[arrival.header.study_instance_uid].append(arrival)
        with self.database.writing() as connection:
            for study_uid in sorted(by_study):  # one order for all: no deadlock
                self._register_study(connection, study_uid, by_study[study_uid])

    def _register_study(
        self, connection: Connection, study_uid: str, arrivals: Sequence[Arrival]
    ) -> None:
        times = [arrival.received_at for arrival in arrivals]
        hold = insert(connection, Study).values(
            study_instance_uid=study_uid,
            first_received_at=min(times),
            last_received_at=max(times),
            last_number=0,
            version=0,
            open=False,
        )
        connection.execute(
            hold.on_conflict_do_update(
                index_elements=[Study.study_instance_uid],
                set_={"first_received_at": Study.first_received_at},
            )
        )
        aside = [arrival for arrival in arrivals if arrival.aside]
        if aside:
            connection.execute(
                insert(connection, Aside).on_conflict_do_nothing(), [_aside(a) for a in aside]
            )
        kept = [arrival for arrival in arrivals if not arrival.aside]
        if not kept:
            return
        fresh = connection.execute(
            insert(connection, Instance)
            .on_conflict_do_nothing(index_elements=[Instance.sop_instance_uid])
            .returning(Instance.number, Instance.received_at, Instance.own_product),
            [_instance(arrival) for arrival in kept],
        ).all()
        foreign = [row for row in fresh if not row.own_product]
        if foreign:
            connection.execute(
                update(Study)
                .where(Study.study_instance_uid == study_uid)
                .values(
                    last_number=max(row.number for row in foreign),
                    last_received_at=max(row.received_at for row in foreign),
                    open=True,
                )
            )

    def open_studies(self) -> list[OpenStudy]:
        """The studies with something no complete version holds, oldest first."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(
                    Study.study_instance_uid,
                    Study.last_number,
                    Study.last_received_at,
                    Study.version,
                )
                .where(Study.open)
                .order_by(Study.first_received_at)
            )
            return [OpenStudy(*row) for row in rows]

    def arrivals(
        self, study_uid: str, after_number: int = 0, up_to_number: int | None = None
    ) -> list[Indexed]:
        """The instances of a study in order of arrival, products of a node left out."""
        wanted = (
            select(Instance)
            .where(Instance.study_instance_uid == study_uid)
            .where(Instance.number > after_number)
            .where(~Instance.own_product)
            .order_by(Instance.number)
        )
        if up_to_number is not None:
            wanted = wanted.where(Instance.number <= up_to_number)
        with self.database.reading() as connection:
            return [_indexed(row) for row in connection.execute(wanted)]

    def complete(self, study_uid: str, reason: str, at: datetime, up_to_number: int) -> int:
        """Note that the study is complete up to an instance; older versions are superseded.

        Returns
        -------
        The number of the version: the newest there is, if it holds the same instances.
        """
        with self.database.writing() as connection:
            version = connection.execute(
                select(Study.version).where(Study.study_instance_uid == study_uid).with_for_update()
            ).scalar_one()
            newest = connection.execute(
                select(Version.last_number)
                .where(Version.study_instance_uid == study_uid)
                .where(Version.version == version)
            ).scalar()
            if newest is None or newest < up_to_number:
                version += 1
                self._add_version(connection, study_uid, version, reason, at, up_to_number)
            connection.execute(
                update(Study)
                .where(Study.study_instance_uid == study_uid)
                .values(version=version, open=Study.last_number > up_to_number)
            )
            return version

    def _add_version(
        self,
        connection: Connection,
        study_uid: str,
        version: int,
        reason: str,
        at: datetime,
        up_to_number: int,
    ) -> None:
        count = connection.execute(
            select(func.count())
            .select_from(Instance)
            .where(Instance.study_instance_uid == study_uid)
            .where(Instance.number <= up_to_number)
            .where(~Instance.own_product)
        ).scalar_one()
        connection.execute(
            update(Version)
            .where(Version.study_instance_uid == study_uid)
            .values(state=VersionState.SUPERSEDED)
        )
        connection.execute(
            insert(connection, Version).values(
                study_instance_uid=study_uid,
                version=version,
                reason=reason,
                completed_at=at,
                last_number=up_to_number,
                instances=count,
                submitted=False,
                state=VersionState.QUEUED,
                error="",
            )
        )

    def unsubmitted(self) -> list[StudyVersion]:
        """The complete versions for which no job is known to exist."""
        with self.database.reading() as connection:
            rows = connection.execute(
                select(Version.study_instance_uid, Version.version)
                .where(~Version.submitted)
                .where(Version.state == VersionState.QUEUED)
                .order_by(Version.completed_at)
            )
            return [StudyVersion(*row) for row in rows]

    def mark_submitted(self, study_uid: str, version: int) -> None:
        """Note that the queue holds the job of this version."""
        with self.database.writing() as connection:
            connection.execute(
                update(Version)
                .where(Version.study_instance_uid == study_uid)
                .where(Version.version == version)
                .values(submitted=True)
            )


def insert(connection: Connection, table: type[Base]) -> postgresql.dml.Insert | sqlite.dml.Insert:
    """An INSERT that can say ON CONFLICT, in the dialect of the connection."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def _instance(arrival: Arrival) -> dict[str, Any]:
    header = arrival.header
    return {
        "sop_instance_uid": header.sop_instance_uid,
        "sop_class_uid": header.sop_class_uid,
        "transfer_syntax_uid": header.transfer_syntax_uid,
        "study_instance_uid": header.study_instance_uid,
        "series_instance_uid": header.series_instance_uid,
        "digest": arrival.digest,
        "size_bytes": arrival.size_bytes,
        "received_at": arrival.received_at,
        "calling_ae": arrival.calling_ae,
        "own_product": is_own_product(header),
        "attributes": dict(header.attributes),
    }


def _aside(arrival: Arrival) -> dict[str, Any]:
    return {
        "sop_instance_uid": arrival.header.sop_instance_uid,
        "study_instance_uid": arrival.header.study_instance_uid,
        "digest": arrival.digest,
        "size_bytes": arrival.size_bytes,
        "received_at": arrival.received_at,
        "calling_ae": arrival.calling_ae,
    }


def _indexed(row: Any) -> Indexed:
    header = Header(
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        study_instance_uid=row.study_instance_uid,
        series_instance_uid=row.series_instance_uid,
        attributes=row.attributes,
    )
    return Indexed(row.number, row.received_at, header, row.digest)
