"""Finding dead workers, on this host or another, and handing on what they had.

The promise kept here: whatever a worker had claimed when it died is claimed by another within
``takeover_after`` plus two heartbeats, and a worker that lives is left alone as long as it beats.

No two clocks are compared.  A worker beats by adding one to its count; whoever watches measures,
on its own monotonic clock, for how long a count has stood still.  A look that comes late adds at
most two heartbeats of silence: if this whole host was paused, or the database away, everybody was
silent and nobody is dead.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Hashable, Iterable, Sequence

from sqlalchemy import Engine, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cmr_node.errors import ConfigurationError
from cmr_node.jobs.engine import Claim, Client
from cmr_node.jobs.ledger import Ledger
from cmr_node.jobs.tables import State, executor, transaction
from cmr_node.settings import Work

logger = logging.getLogger(__name__)


class Presence:
    """The signs of life of the executors that this process answers for."""

    def __init__(self, engine: Engine, executors: Sequence[str]) -> None:
        self._engine, self.executors = engine, tuple(executors)
        self._insert = (sqlite if engine.dialect.name == "sqlite" else postgresql).insert
        self._incarnation = uuid.uuid4().hex

    def register(self) -> None:
        """Be these executors from now on; an older process of the same name is told at its beat."""
        values = {"incarnation": self._incarnation, "beat": executor.c.beat + 1}
        with transaction(self._engine) as c:
            for name in self.executors:
                c.execute(
                    self._insert(executor)
                    .values(id=name, incarnation=self._incarnation, beat=0)
                    .on_conflict_do_update(index_elements=["id"], set_=values)
                )

    def beat(self) -> None:
        """One sign of life; who was taken for dead meanwhile is entered again.

        Its claims have been handed on and its runs fenced off, so it may go on with new ones.

        Raises
        ------
        ConfigurationError
            Another process has registered under one of these names.
        """
        with transaction(self._engine) as c:
            c.execute(
                update(executor)
                .where(executor.c.id.in_(self.executors))
                .where(executor.c.incarnation == self._incarnation)
                .values(beat=executor.c.beat + 1)
            )
            listed = {
                row.id: row.incarnation
                for row in c.execute(select(executor).where(executor.c.id.in_(self.executors)))
            }
        usurped = [name for name, owner in listed.items() if owner != self._incarnation]
        if usurped:
            raise ConfigurationError(
                f"another process works as {', '.join(usurped)}; "
                "host names must differ, and each role runs once per host"
            )
        if len(listed) < len(self.executors):
            logger.warning("%s was taken for dead, goes on", ", ".join(self.executors))
            self.register()

    def enter_unheard(self, name: str) -> None:
        """Enter an executor that has claims but no count, so that its silence can be measured."""
        with transaction(self._engine) as c:
            c.execute(
                self._insert(executor)
                .values(id=name, incarnation=self._incarnation, beat=0)
                .on_conflict_do_nothing()
            )

    def bury(self, name: str, beat: int) -> bool:
        """Strike a silent executor out; False if it beat after all, or another was first.

        Of several who watch, one takes the claims over: a second would hand on what a living
        worker has claimed meanwhile.
        """
        with transaction(self._engine) as c:
            struck = c.execute(
                executor.delete().where(executor.c.id == name, executor.c.beat == beat)
            )
        return struck.rowcount == 1

    def leave(self) -> None:
        """Be no more; said only when nothing is claimed."""
        with transaction(self._engine) as c:
            c.execute(
                executor.delete()
                .where(executor.c.id.in_(self.executors))
                .where(executor.c.incarnation == self._incarnation)
            )

    def beats(self) -> dict[str, int]:
        """The count of every executor there is."""
        with transaction(self._engine) as c:
            return {row.id: row.beat for row in c.execute(select(executor))}


class Silence:
    """For how long each of several counts has stood still, by looks that may come late (s)."""

    def __init__(self, longest_look_s: float) -> None:
        self._longest_look_s = longest_look_s
        self._heard: dict[Hashable, tuple[int | None, float]] = {}
        self._looked_at: float | None = None

    def look(self, counts: dict[Hashable, int | None], now: float) -> dict[Hashable, float]:
        """Take note of the counts; how long each has been silent.  Others are forgotten.

        Parameters
        ----------
        now
            Reading of a monotonic clock (s).
        """
        passed = 0.0 if self._looked_at is None else now - self._looked_at
        passed, self._looked_at = min(passed, self._longest_look_s), now
        heard = {}
        for name, count in counts.items():
            before = self._heard.get(name)
            still = before is not None and before[0] == count
            heard[name] = (count, before[1] + passed if before is not None and still else 0.0)
        self._heard = heard
        return {name: silent for name, (_, silent) in heard.items()}


class Reaper:
    """Hands on the claims of executors that fell silent."""

    def __init__(
        self,
        presence: Presence,
        ledger: Ledger,
        client: Client,
        work: Work,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._presence, self._ledger, self._client = presence, ledger, client
        self._after_s, self._clock = work.takeover_after, clock
        self._silence = Silence(2 * work.heartbeat)

    def look(self) -> None:
        """Look once; called at every heartbeat.

        Two things are looked for: other executors that are silent, known by their count or by
        their claims; and claims of our own that no run began, which an executor leaves behind when
        it loses its database between claim and start.
        """
        beats = self._presence.beats()
        claims = self._client.claims()
        ours = set(self._presence.executors)
        for name in {claim.executor for claim in claims} - ours - set(beats):
            self._presence.enter_unheard(name)
        begun = {(job.key, job.attempt) for job in self._ledger.running()}
        idle = {
            claim
            for claim in claims
            if claim.executor in ours and (claim.key, claim.attempt) not in begun
        }
        counts: dict[Hashable, int | None] = {n: b for n, b in beats.items() if n not in ours}
        counts.update(dict.fromkeys(idle))
        silent = self._silence.look(counts, self._clock())
        for name in set(beats) - ours:
            if silent[name] >= self._after_s and self._presence.bury(name, beats[name]):
                logger.warning("worker %s is silent for %.0f s, taken over", name, silent[name])
                take_over(name, self._ledger, self._client)
        for claim in idle:
            if silent[claim] >= self._after_s:
                logger.warning("job %s was claimed by %s, never begun", claim.key, claim.executor)
                self._client.hand_on(claim)


def take_over(name: str, ledger: Ledger, client: Client) -> None:
    """Book the jobs of a vanished executor as lost and put its claims back in their queues."""
    keys = ledger.lost(name, f"worker {name} vanished")
    hand_on(client.claims(name), client)
    for key in keys:
        tell(ledger, key)


def hand_on(claims: Iterable[Claim], client: Client) -> None:
    """Put claims back in their queues."""
    for claim in claims:
        client.hand_on(claim)


def tell(ledger: Ledger, key: str) -> None:
    """Log what became of a job whose worker died."""
    job = ledger.get(key)
    if job is not None and job.state is State.ISOLATED:
        logger.error("job %s is isolated: %s", key, job.reason)
    else:
        logger.warning("job %s was interrupted and will be run again", key)
