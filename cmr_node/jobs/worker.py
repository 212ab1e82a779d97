"""One worker: a process that claims jobs and runs them.

The promise kept here: a job's end is written once, whatever dies.  A handler may be run again from
its last finished step, so what it does outside the steps must be harmless to repeat.

How a run ends:

- it returns: done
- a ``NodeError`` that is transient: the next attempt is enqueued with a delay (2, 4, 8, 16 s) in
  the same transaction that books this one, and nothing is held meanwhile; after ATTEMPTS: failed
- any other error: failed, with the error's words if they are the node's own; those of a library
  may quote a patient's data, so only its type and place are kept
- the process dies: ``takeover`` or ``slots`` book it and hand the job on
- another worker has taken the job over: the end is not written here (``Ledger.end``)
"""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from cmr_node import telemetry
from cmr_node.errors import NodeError, StoreBroken
from cmr_node.jobs import engine, takeover
from cmr_node.jobs.engine import Kind
from cmr_node.jobs.ledger import Job
from cmr_node.jobs.queue import JSON, Jobs
from cmr_node.jobs.tables import State, transaction
from cmr_node.settings import Work

logger = logging.getLogger(__name__)

ATTEMPTS = 5
FIRST_DELAY = timedelta(seconds=2)
DRAIN_S = 24 * 3600  #: whoever stops the process decides how long it may take, with SIGKILL
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a handler knows of its job."""

    key: str
    kind: Kind
    attempt: int  #: 1, 2, ...: counts transient failures and retries by hand
    crashes: int  #: how often a worker died at it; a handler may then choose a smaller footprint

    def step(self, name: str, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function once: a resumed job gets the kept result instead (made of JSON).

        Steps must come in the same order in every run of an attempt.
        """
        return engine.step(name, function, arguments)


Handler = Callable[[JobContext, dict[str, JSON]], None]


class _Stopping(BaseException):
    """Ends a run that began while the worker stops; its claim is handed on."""


def run_slot(
    url: str,
    handlers: Mapping[Kind, Handler],
    executor: str,
    work: Work,
    stop: threading.Event,
    *,
    concurrency: int = 1,
    attended: bool = False,
) -> None:
    """Work until told to stop; then finish what runs and return.

    Parameters
    ----------
    handlers
        What to do for each kind; only these kinds are claimed.
    executor
        Stable name of this worker (``executor_name``); no two live processes share one.
    concurrency
        Jobs of each kind at once, in threads; kept with the queue, so alike in all processes.
    attended
        A parent (``slots``) beats for this worker, books its death and watches the time its jobs
        take; without one the worker beats for itself and looks for dead ones.

    Raises
    ------
    ConfigurationError
        Another process works under this name.
    """
    jobs = Jobs.open(url)
    runner = _Runner(jobs, handlers, executor, work.crash_limit, stop)
    presence = takeover.Presence(jobs.ledger.engine, [executor])
    reaper = takeover.Reaper(presence, jobs.ledger, jobs.client, work)
    if not attended:
        presence.register()
        takeover.take_over(executor, jobs.ledger, jobs.client)
    engine.launch(url, executor, runner.run, dict.fromkeys(handlers, concurrency))
    logger.info("worker %s takes jobs: %s", executor, ", ".join(sorted(handlers)))
    try:
        while not stop.wait(work.heartbeat):
            if not attended:
                sign_of_life(presence, reaper)
    finally:
        stop.set()
        engine.shut_down(DRAIN_S if runner.active else 0)
        try:
            takeover.hand_on(jobs.client.claims(executor), jobs.client)
            if not attended:
                presence.leave()
        except StoreBroken as error:  # the next start, or another host, finds it
            logger.warning("worker %s could not sign off: %s", executor, error)
        jobs.close()
        logger.info("worker %s stopped", executor)


def sign_of_life(presence: takeover.Presence, reaper: takeover.Reaper) -> None:
    """Beat and look; a database that is away is waited for."""
    try:
        presence.beat()
        reaper.look()
    except StoreBroken as error:
        logger.warning("no sign of life: %s", error)


class _Runner:
    """Runs one attempt at a job and books how it ended; called by the engine in its threads."""

    def __init__(
        self,
        jobs: Jobs,
        handlers: Mapping[Kind, Handler],
        executor: str,
        crash_limit: int,
        stop: threading.Event,
    ) -> None:
        self._jobs, self._handlers, self._executor = jobs, handlers, executor
        self._crash_limit, self._stop = crash_limit, stop
        self._lock = threading.Lock()
        self.active = 0

    def run(self, key: str, attempt: int) -> None:
        """One attempt, from claim to end."""
        with self._lock:
            self.active += 1
        try:
            if self._stop.is_set():
                raise _Stopping
            ledger = self._jobs.ledger
            job = self._patiently(
                lambda: ledger.begin(key, attempt, self._executor, self._crash_limit)
            )
            if job is None:
                logger.info("job %s, attempt %d: nothing to do any more", key, attempt)
            elif job.state is State.ISOLATED:
                logger.error("job %s is isolated: %s", key, job.reason)
            else:
                self._handle(job)
        finally:
            with self._lock:
                self.active -= 1

    def _handle(self, job: Job) -> None:
        kind, started = Kind(job.kind), time.monotonic()
        context = JobContext(job.key, kind, job.attempt, job.crashes)
        try:
            self._handlers[kind](context, json.loads(job.payload))
        except NodeError as error:
            reason = f"{type(error).__name__}: {error}"
            again = error.transient and job.failures + 1 < ATTEMPTS
            outcome = self._again(job, reason) if again else self._failed(job, reason)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the loop's boundary: booked as failed
            logger.error("job %s, innermost last: %s", job.key, " > ".join(_frames(error)))
            outcome = self._failed(job, f"{type(error).__name__} in {_frames(error)[-1]}")
        else:
            outcome = "succeeded"
            self._end(job, lambda: self._jobs.ledger.end(job, State.DONE))
            logger.info("job %s done", job.key)
        telemetry.JOB_SECONDS.labels(kind, outcome).observe(time.monotonic() - started)

    def _failed(self, job: Job, reason: str) -> str:
        self._end(job, lambda: self._jobs.ledger.end(job, State.FAILED, reason))
        logger.error("job %s failed: %s", job.key, reason)
        return "failed"

    def _again(self, job: Job, reason: str) -> str:
        delay = FIRST_DELAY * 2**job.failures

        def book() -> bool:
            with transaction(self._jobs.ledger.engine) as c:
                mine = self._jobs.ledger.again(c, job, reason)
                if mine:
                    self._jobs.enqueue_again(c, job, job.attempt + 1, delay)
            return mine

        self._end(job, book)
        logger.warning("job %s again in %.0f s: %s", job.key, delay.total_seconds(), reason)
        return "retried"

    def _end(self, job: Job, book: Callable[[], bool]) -> None:
        if not self._patiently(book):
            logger.warning("job %s was taken over or cancelled; its end here is ignored", job.key)

    def _patiently(self, act: Callable[[], T]) -> T:
        """Try until the database answers: a run that cannot be booked must not end."""
        wait_s = 0.5
        while True:
            try:
                return act()
            except StoreBroken as error:
                logger.warning("the queue's database is waited for: %s", error)
                if self._stop.wait(wait_s):
                    raise _Stopping from error
                wait_s = min(2 * wait_s, 10.0)


def _frames(error: BaseException) -> list[str]:
    """Where an error came from, without the values and source lines a traceback shows."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
