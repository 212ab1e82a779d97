"""What was decided for each study.

The promise kept here: the results of a version are written in one transaction, so a job that
ran half has left nothing, and one that runs twice writes the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, select, update

from cmr_node.store.database import Database
from cmr_node.store.deliveries import want
from cmr_node.store.index import StudyVersion, insert
from cmr_node.store.tables import Stack, Study, Version, VersionState


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


class Ledger:
    """Versions and their stacks."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def last_number(self, study: StudyVersion) -> int | None:
        """The newest instance number of a version; None once a newer one superseded it."""
        with self.database.reading() as connection:
            row = connection.execute(_this(select(Version.last_number, Version.state), study)).one()
            return None if row.state == VersionState.SUPERSEDED else int(row.last_number)

    def completed_at(self, study: StudyVersion) -> datetime:
        """When a version counted as complete: the same however often it is worked on."""
        with self.database.reading() as connection:
            found: datetime = connection.execute(
                _this(select(Version.completed_at), study)
            ).scalar_one()
            return found

    def finish(
        self,
        study: StudyVersion,
        stacks: Sequence[StackRecord],
        wanted: Mapping[str, Sequence[str]],
        at: datetime,
        next_best: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Write the decisions of a version and hand its results to delivery.

        Parameters
        ----------
        wanted
            Destination name -> SOP Instance UIDs it is to have of this study.  What it has
            already is not sent again; what it was to have and is not wanted any more is
            superseded.
        next_best
            Destination name -> SOP Instance UID -> that of what is sent in its place where the
            destination does not take its SOP class.
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
                want(
                    connection,
                    study.study_instance_uid,
                    destination,
                    wanted[destination],
                    at,
                    (next_best or {}).get(destination, {}),
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
