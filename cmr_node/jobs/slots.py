"""The parent of several workers on one host, each a process of its own.

The promise kept here: a job that takes too long is killed even if native code never lets go of the
interpreter, because the watch is kept from outside; and a job whose worker dies is booked with the
reason and handed on at once, to any worker anywhere.

The parent beats for its workers as long as it lives (they die with it), takes over what silent
workers of other hosts had, and starts dead children again with backoff.  It runs no job itself and
never imports what the workers need.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence

from cmr_node.children import Child, describe
from cmr_node.errors import ConfigurationError, StoreBroken
from cmr_node.jobs import takeover
from cmr_node.jobs.queue import Jobs
from cmr_node.jobs.worker import sign_of_life
from cmr_node.settings import Work

logger = logging.getLogger(__name__)

TICK_S = 0.25
WATCH_EVERY_S = 0.5


def executor_name(role: str, slot: int = 0) -> str:
    """Stable name of a worker: host, role and slot."""
    return f"{socket.gethostname()}:{role}:{slot}"


def run_slots(
    url: str,
    commands: Mapping[str, Sequence[str]],
    work: Work,
    stop: threading.Event,
    *,
    grace_s: float = 20.0,
    fatal: frozenset[int] = frozenset(),
) -> None:
    """Keep one child per executor at work until told to stop; call it from the main thread.

    Parameters
    ----------
    commands
        For each executor name the program that calls ``run_slot(..., attended=True)`` under it.
    grace_s
        How long a running job may still take when the slots are stopped; then it is killed, waits
        for its next worker, and nothing is held against it.
    fatal
        Exit statuses of a worker that another start would not mend.

    Raises
    ------
    ConfigurationError
        Another process works under one of these names, or a worker ended with a fatal status.
    """
    jobs = Jobs.open(url)
    slots = _Slots(jobs, commands, work, fatal)
    try:
        slots.register()
        while not stop.wait(TICK_S):
            slots.tick()
    finally:
        slots.stop(grace_s)
        jobs.close()


class _Slots:
    def __init__(
        self,
        jobs: Jobs,
        commands: Mapping[str, Sequence[str]],
        work: Work,
        fatal: frozenset[int],
    ) -> None:
        self._jobs, self._work, self._fatal = jobs, work, fatal
        self._children = [Child(name, arguments) for name, arguments in commands.items()]
        self._presence = takeover.Presence(jobs.ledger.engine, tuple(commands))
        self._reaper = takeover.Reaper(self._presence, jobs.ledger, jobs.client, work)
        self._since: dict[str, float] = {}  # run -> when it was first seen, monotonic (s)
        self._overdue: dict[str, str] = {}  # executor -> why it was killed
        self._unbooked: dict[str, str] = {}  # executor that is dead -> why it died
        self._beat_due = self._watch_due = time.monotonic()

    def register(self) -> None:
        """Answer for these executors; what an earlier parent's workers had is handed on."""
        self._presence.register()
        for child in self._children:
            takeover.take_over(child.name, self._jobs.ledger, self._jobs.client)

    def tick(self) -> None:
        """Look after the children; beat, watch and reap when due."""
        for child in self._children:
            if child.name in self._unbooked:
                continue  # not before its job is booked, or it would claim it again unbooked
            status = child.tend()
            if status is not None:
                self._unbooked[child.name] = self._overdue.pop(
                    child.name, f"worker {describe(status)}"
                )
                logger.error("worker %s: %s", child.name, describe(status))
                if status in self._fatal:
                    raise ConfigurationError(
                        f"worker {child.name}: {describe(status)}, see its log"
                    )
        now = time.monotonic()
        if now >= self._watch_due:
            self._watch_due = now + WATCH_EVERY_S
            self._watch(now)
        if now >= self._beat_due:
            self._beat_due = now + self._work.heartbeat
            sign_of_life(self._presence, self._reaper)

    def _watch(self, now: float) -> None:
        try:
            self._book()
            running = self._jobs.ledger.running(self._presence.executors)
        except StoreBroken as error:
            logger.warning("the queue's database is waited for: %s", error)
            return
        timeout_s = self._work.job_timeout
        self._since = {str(job.run): self._since.get(str(job.run), now) for job in running}
        late = {job.executor for job in running if now - self._since[str(job.run)] > timeout_s}
        for child in self._children:
            if child.name in late and child.pid is not None:
                logger.error("worker %s: its job is past %g s, killed", child.name, timeout_s)
                self._overdue[child.name] = f"timed out after {timeout_s:g} s"
                child.tell(signal.SIGKILL)

    def _book(self) -> None:
        """Write the deaths down and hand on what the dead had; what fails is tried again."""
        for name, reason in list(self._unbooked.items()):
            ledger, client = self._jobs.ledger, self._jobs.client
            keys = ledger.crashed(name, reason, self._work.crash_limit)
            takeover.hand_on(client.claims(name), client)
            del self._unbooked[name]
            for key in keys:
                takeover.tell(ledger, key)

    def stop(self, grace_s: float) -> None:
        """Let the workers finish what they do, kill those that take too long, hand on the rest."""
        for child in self._children:
            child.tell(signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        for child in self._children:
            if child.wait(deadline - time.monotonic()) is None:
                logger.warning("worker %s did not finish in %g s, killed", child.name, grace_s)
                child.kill()
        try:
            for child in self._children:
                self._jobs.ledger.released(child.name)
                takeover.hand_on(self._jobs.client.claims(child.name), self._jobs.client)
            self._presence.leave()
        except StoreBroken as error:  # the next start, or another host, books it as lost
            logger.warning("workers stopped, but not booked: %s", error)
