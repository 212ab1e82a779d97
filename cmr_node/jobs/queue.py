"""Jobs from outside: submit, ask, retry, cancel.

The promise kept here: a key names one job for ever.  Submitting it again changes nothing, so a
caller that is not sure whether its last submit arrived just submits again.  The entry in the
ledger and the engine's workflow are written in one transaction: both are there or neither.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from cmr_node.jobs.engine import LANED, Client, Kind
from cmr_node.jobs.ledger import Job, Ledger
from cmr_node.jobs.priority import Priority
from cmr_node.jobs.tables import KEY_LENGTH, State, connect, transaction

__all__ = ["JSON", "Job", "Jobs", "Kind", "Priority", "State"]

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]
LISTED_AT_MOST = 1000


class Jobs:
    """The queue as its clients see it; any method may raise ``StoreBroken`` (transient)."""

    def __init__(self, ledger: Ledger, client: Client) -> None:
        self.ledger, self.client = ledger, client

    @classmethod
    def open(cls, url: str) -> Jobs:
        """Connect to the queue's database; missing tables are created.

        Parameters
        ----------
        url
            SQLAlchemy URL, SQLite or PostgreSQL (``settings.Storage.queue_url``).
        """
        own = connect(url)
        return cls(Ledger(own), Client(url, own))

    def submit(
        self,
        kind: Kind,
        key: str,
        payload: Mapping[str, JSON],
        *,
        priority: Priority = Priority.NORMAL,
        not_before: datetime | None = None,
        lane: str | None = None,
    ) -> bool:
        """Enter a job; False, and nothing changed, if the key is known.

        Parameters
        ----------
        key
            1 to 255 characters.
        payload
            What the handler is given; JSON.
        not_before
            Time zone aware; until then the job waits and holds nothing.
        lane
            For deliveries, the destination: one job at a time in each lane, lanes side by side.
        """
        if (lane is None) == (kind in LANED):
            raise ValueError(
                f"{kind} {key}: a lane is for {', '.join(sorted(LANED))} and only them"
            )
        if not 1 <= len(key) <= KEY_LENGTH:
            raise ValueError(f"key of {len(key)} characters; 1 to {KEY_LENGTH} are allowed")
        delay_s = (not_before - datetime.now(UTC)).total_seconds() if not_before else 0.0
        with transaction(self.ledger.engine) as c:
            added = self.ledger.add(
                c,
                kind=kind,
                key=key,
                payload=json.dumps(payload),
                priority=priority,
                lane=lane,
            )
            if added:
                self.client.enqueue(
                    c,
                    kind=kind,
                    key=key,
                    attempt=1,
                    priority=priority,
                    lane=lane,
                    delay_s=delay_s,
                )
        return added

    def state(self, key: str) -> State | None:
        """Where the job is; None if the key was never submitted."""
        found = self.ledger.get(key)
        return found.state if found else None

    def counts(self) -> dict[tuple[Kind, State], int]:
        """How many jobs of each kind are in each state; zeros left out."""
        return {(Kind(kind), state): n for (kind, state), n in self.ledger.counts().items()}

    def failed(self, limit: int = LISTED_AT_MOST) -> list[Job]:
        """The failed and isolated jobs with their reasons, the latest first."""
        return self.ledger.listed([State.FAILED, State.ISOLATED], limit)

    def retry(self, key: str) -> bool:
        """Run a failed, isolated or cancelled job again, its record clean; else False."""
        with transaction(self.ledger.engine) as c:
            job = self.ledger.revive(c, key)
            if job is not None:
                self.enqueue_again(c, job, job.attempt, timedelta(0))
        return job is not None

    def cancel(self, key: str) -> bool:
        """Give up a job that waits or runs (that one stops at its next step); else False."""
        attempt = self.ledger.cancel(key)
        if attempt is None:
            return False
        self.client.cancel(key, attempt)
        return True

    def enqueue_again(self, c: Connection, job: Job, attempt: int, delay: timedelta) -> None:
        """Enqueue a further attempt at a job, in the caller's transaction."""
        self.client.enqueue(
            c,
            kind=Kind(job.kind),
            key=job.key,
            attempt=attempt,
            priority=job.priority,
            lane=job.lane,
            delay_s=delay.total_seconds(),
        )

    def close(self) -> None:
        """Let the connections go."""
        self.client.close()
        self.ledger.engine.dispose()
