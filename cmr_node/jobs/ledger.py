"""What is known of each job, apart from the engine: state, attempts, deaths, and why it ended.

The promise kept here: a job has one state, changed only by statements that name the state they
change from, so that two processes (or a worker that was thought dead and woke) cannot both write
its end.  A run holds a token; ``begin`` hands it out, and every end must show it.

Two kinds of death are told apart.  A *crash*: the worker died and its parent lived to see it, so
the job is the likely cause; ``crash_limit`` of them isolate it.  A *loss*: the worker vanished with
its parent (power cut, ``kill -9`` of the whole role, dead host), which says little about the job;
LOSS_LIMIT of them isolate it all the same, since a job may bring a whole host down.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cmr_node.jobs.tables import State, job, transaction

LOSS_LIMIT = 10
REVIVABLE = (State.FAILED, State.ISOLATED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the ledger."""

    key: str
    kind: str
    lane: str | None
    priority: int
    payload: str
    state: State
    attempt: int
    failures: int
    crashes: int
    lost: int
    executor: str | None
    run: str | None
    reason: str
    changed_at: datetime


class Ledger:
    """The jobs' own table.  Methods with a connection take part in the caller's transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._insert = (sqlite if engine.dialect.name == "sqlite" else postgresql).insert

    def add(self, c: Connection, **columns: Any) -> bool:
        """Enter a job as waiting; False, and nothing changed, if its key is known."""
        row = {"state": State.WAITING, "attempt": 1, "changed_s": time.time(), **columns}
        added = c.execute(
            self._insert(job).values(**row).on_conflict_do_nothing().returning(job.c.key)
        )
        return added.first() is not None

    def begin(self, key: str, attempt: int, executor: str, crash_limit: int) -> Job | None:
        """Hand the job to a run, with a fresh token.

        None if this attempt is not to be run (again).  A job found running was dropped by a
        worker whose death nobody saw: that is a loss, and may isolate it (state ISOLATED).
        """
        lost = job.c.lost + case((job.c.state == State.RUNNING, 1), else_=0)
        spent = (lost >= LOSS_LIMIT) | (job.c.crashes >= crash_limit)
        statement = (
            update(job)
            .where(job.c.key == key, job.c.attempt == attempt)
            .where(job.c.state.in_([State.WAITING, State.RUNNING]))
            .values(
                state=case((spent, State.ISOLATED), else_=State.RUNNING),
                lost=lost,
                executor=case((spent, None), else_=executor),
                run=case((spent, None), else_=uuid.uuid4().hex),
                reason=case((spent & (job.c.reason == ""), "its workers died"), else_=job.c.reason),
                changed_s=time.time(),
            )
            .returning(*job.c)
        )
        with transaction(self.engine) as c:
            row = c.execute(statement).mappings().first()
        return None if row is None else _job(row)

    def end(self, begun: Job, state: State, reason: str = "") -> bool:
        """Write the end of a run; False if another run has taken the job over since."""
        with transaction(self.engine) as c:
            return self._leave(c, begun, state=state, reason=reason)

    def again(self, c: Connection, begun: Job, reason: str) -> bool:
        """Make the job wait for its next attempt; False as in ``end``."""
        return self._leave(
            c,
            begun,
            state=State.WAITING,
            attempt=begun.attempt + 1,
            failures=begun.failures + 1,
            reason=reason,
        )

    def _leave(self, c: Connection, begun: Job, **values: Any) -> bool:
        left = c.execute(
            update(job)
            .where(job.c.key == begun.key, job.c.run == begun.run)
            .values(executor=None, run=None, changed_s=time.time(), **values)
        )
        return left.rowcount == 1

    def crashed(self, executor: str, reason: str, crash_limit: int) -> Sequence[str]:
        """Book the death of a worker whose parent saw it; the keys of the jobs it had."""
        spent = job.c.crashes + 1 >= crash_limit
        return self._dropped(
            executor,
            state=case((spent, State.ISOLATED), else_=State.WAITING),
            crashes=job.c.crashes + 1,
            reason=reason,
        )

    def lost(self, executor: str, reason: str) -> Sequence[str]:
        """Book a worker that vanished; the keys of the jobs it had."""
        spent = job.c.lost + 1 >= LOSS_LIMIT
        return self._dropped(
            executor,
            state=case((spent, State.ISOLATED), else_=State.WAITING),
            lost=job.c.lost + 1,
            reason=reason,
        )

    def released(self, executor: str) -> Sequence[str]:
        """Book a worker that was stopped on purpose: its jobs wait, none is blamed."""
        return self._dropped(executor, state=State.WAITING)

    def _dropped(self, executor: str, **values: Any) -> Sequence[str]:
        statement = (
            update(job)
            .where(job.c.executor == executor, job.c.state == State.RUNNING)
            .values(executor=None, run=None, changed_s=time.time(), **values)
            .returning(job.c.key)
        )
        with transaction(self.engine) as c:
            return c.execute(statement).scalars().all()

    def revive(self, c: Connection, key: str) -> Job | None:
        """Make a job that was given up wait again, its record clean; None if it is not given up."""
        row = (
            c.execute(
                update(job)
                .where(job.c.key == key, job.c.state.in_(REVIVABLE))
                .values(
                    state=State.WAITING,
                    attempt=job.c.attempt + 1,
                    failures=0,
                    crashes=0,
                    lost=0,
                    changed_s=time.time(),
                )
                .returning(*job.c)
            )
            .mappings()
            .first()
        )
        return None if row is None else _job(row)

    def cancel(self, key: str) -> int | None:
        """Give up a job that waits or runs; its attempt, or None if it does neither."""
        statement = (
            update(job)
            .where(job.c.key == key, job.c.state.in_([State.WAITING, State.RUNNING]))
            .values(state=State.CANCELLED, executor=None, run=None, changed_s=time.time())
            .returning(job.c.attempt)
        )
        with transaction(self.engine) as c:
            return c.execute(statement).scalar()

    def get(self, key: str) -> Job | None:
        """The job of that key."""
        with transaction(self.engine) as c:
            row = c.execute(select(*job.c).where(job.c.key == key)).mappings().first()
        return None if row is None else _job(row)

    def listed(self, states: Sequence[State], limit: int) -> list[Job]:
        """The jobs in these states, the last changed first."""
        query = select(*job.c).where(job.c.state.in_(states)).order_by(job.c.changed_s.desc())
        with transaction(self.engine) as c:
            return [_job(row) for row in c.execute(query.limit(limit)).mappings()]

    def counts(self) -> dict[tuple[str, State], int]:
        """How many jobs of each kind are in each state; zeros left out."""
        query = select(job.c.kind, job.c.state, func.count()).group_by(job.c.kind, job.c.state)
        with transaction(self.engine) as c:
            return {(kind, State(state)): n for kind, state, n in c.execute(query)}

    def running(self, executors: Sequence[str] | None = None) -> list[Job]:
        """The jobs that run now, on these executors or on any."""
        query = select(*job.c).where(job.c.state == State.RUNNING)
        if executors is not None:
            query = query.where(job.c.executor.in_(executors))
        with transaction(self.engine) as c:
            return [_job(row) for row in c.execute(query).mappings()]


def _job(row: RowMapping) -> Job:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["changed_at"] = datetime.fromtimestamp(values.pop("changed_s"), UTC)
    values["state"] = State(values["state"])
    return Job(**values)
