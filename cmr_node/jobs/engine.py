"""The queue engine, DBOS: the only module that knows it.

The promise kept here: a workflow that was enqueued is claimed by one executor at a time, and one
that was interrupted goes on behind its last finished step.  The conditions for that, each found by
trying (dependencies of the design notes) or by reading DBOS 3.4:

- the queue is always named (a limit holds per queue), and so is the application version: recovery
  looks for executor id *and* version;
- values are JSON, never pickles: nobody who can write a row may run code here;
- nothing reports to anyone: no console handler, no OpenTelemetry, no Conductor, no admin server;
- ``resume_workflow`` of a dead executor's workflow fences the old run: DBOS 3.4 gives each claim a
  token, and a run without it can no longer write a step or an end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from dbos import (
    DBOS,
    DBOSClient,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    EnqueueOptions,
    WorkflowSerializationFormat,
    WorkflowStatusString,
)
from sqlalchemy import Connection, Engine

from cmr_node.jobs.tables import reached

APPLICATION: Final = "cmr-node"
VERSION: Final = "1"  #: one for all: what one worker left, any other is to resume
WORKFLOW: Final = "job"
SEPARATOR: Final = "#"
T = TypeVar("T")


class Kind(StrEnum):
    """What a job does; each kind has a queue of its own, of the same name."""

    STUDY = "study"  #: standardise one version of a study
    DELIVERY = "delivery"  #: send one version's results to one destination


LANED = frozenset({Kind.DELIVERY})
"""Kinds whose jobs go in lanes, one at a time in each."""

POLL_S = {Kind.STUDY: 0.05, Kind.DELIVERY: 0.1}  #: 3 to 7 % of a core each, idle
POOL_SIZE = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """A workflow that an executor has claimed and not ended."""

    workflow: str
    queue: str
    executor: str

    @property
    def key(self) -> str:
        """Key of the job."""
        return self.workflow.rpartition(SEPARATOR)[0]

    @property
    def attempt(self) -> int:
        """Which attempt at it."""
        return int(self.workflow.rpartition(SEPARATOR)[2])


class Client:
    """The engine from outside: enqueue, list, hand on.  Creates the engine's tables if missing."""

    def __init__(self, url: str, own: Engine) -> None:
        _hush()
        self._own = own
        with reached(own):
            DBOS.migrate(url)
            self._client = DBOSClient(
                system_database_url=url,
                system_database_pool_size=POOL_SIZE,
                serializer=DBOSPortableJSONSerializer(),
                application_name=APPLICATION,
                retry_connection_errors=False,
            )

    def enqueue(
        self,
        c: Connection,
        *,
        kind: Kind,
        key: str,
        attempt: int,
        priority: int,
        lane: str | None,
        delay_s: float,
    ) -> None:
        """Enqueue one attempt at a job, in the caller's transaction."""
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": kind,
            "workflow_id": f"{key}{SEPARATOR}{attempt}",
            "app_version": VERSION,
            "priority": priority,
            "serialization_type": WorkflowSerializationFormat.PORTABLE,
        }
        if lane is not None:
            options["queue_partition_key"] = lane
        if delay_s > 0:
            options["delay_seconds"] = delay_s
        self._client.enqueue_in_transaction(c, options, key, attempt)

    def claims(self, executor: str | None = None) -> list[Claim]:
        """The claimed workflows, of one executor or of all."""
        with reached(self._own):
            found = self._client.list_workflows(
                status=WorkflowStatusString.PENDING.value,
                name=WORKFLOW,
                executor_id=executor,
                load_input=False,
                load_output=False,
            )
        return [
            Claim(status.workflow_id, status.queue_name or "", status.executor_id or "")
            for status in found
        ]

    def hand_on(self, claim: Claim) -> None:
        """Put a claimed workflow back in its queue; the run that had it is fenced off."""
        with reached(self._own):
            self._client.resume_workflow(claim.workflow, queue_name=claim.queue)

    def cancel(self, key: str, attempt: int) -> None:
        """Take an attempt out of its queue; a run of it stops at its next step."""
        with reached(self._own):
            self._client.cancel_workflow(f"{key}{SEPARATOR}{attempt}")

    def close(self) -> None:
        """Let the connections go."""
        self._client.destroy()


def launch(
    url: str,
    executor: str,
    run: Callable[[str, int], None],
    limits: dict[Kind, int],
) -> None:
    """Make this process an executor: it claims jobs and runs them until ``shut_down``.

    Parameters
    ----------
    executor
        Stable id: what this executor had claimed when it died, it claims again at its next start.
    run
        Called in a thread with the key and the attempt of a job.
    limits
        The queues to listen to, and how many of their jobs this process runs at once.
    """
    _hush()
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": url,
        "executor_id": executor,
        "application_version": VERSION,
        "serializer": DBOSPortableJSONSerializer(),
        "sys_db_pool_size": POOL_SIZE + sum(limits.values()),
        "log_level": "WARNING",
        "enable_otlp": False,
        "scheduler_polling_interval_sec": 3600.0,  # nothing is scheduled
    }
    DBOS(config=config)

    # No limit of the engine's own: it would count a restart of the whole node like a crash.
    @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
    def attempt(key: str, number: int) -> None:
        run(key, number)

    DBOS.listen_queues([kind.value for kind in limits])
    DBOS.launch()
    for kind, limit in limits.items():
        DBOS.register_queue(
            kind.value,
            worker_concurrency=limit,
            partition_concurrency=1 if kind in LANED else None,
            polling_interval_sec=POLL_S[kind],
            on_conflict="always_update",
        )


def shut_down(wait_s: int) -> None:
    """Claim no more; wait for what runs; let go."""
    DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=wait_s)


def step(name: str, function: Callable[..., T], arguments: Sequence[Any]) -> T:
    """Run a function once for its workflow: a resumed one gets the result that was kept.

    A step that failed is not kept as failed: its error ends the run, and another run tries again.
    """
    return DBOS.run_step({"name": name}, function, *arguments)


def _hush() -> None:
    """Route the engine's log through the node's: with a handler set, DBOS adds no console."""
    log = logging.getLogger("dbos")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    log.setLevel(logging.WARNING)
