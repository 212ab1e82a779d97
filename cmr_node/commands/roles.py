"""``serve`` and the roles apart: receive, assemble, work, deliver.

The promise kept here: each role is a process that may be killed at any moment and started again;
between two roles lies nothing but the index, the queue and the files.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from cmr_node.assemble.watcher import Watcher
from cmr_node.commands.arguments import Commands, add_command
from cmr_node.commands.gauges import DoorGauges, NodeGauges
from cmr_node.delivery import Deliverer, dispatch
from cmr_node.errors import NodeError
from cmr_node.inference.runtime import installed_build
from cmr_node.jobs.queue import JSON, Jobs, Kind, Priority
from cmr_node.jobs.slots import executor_name, run_slots
from cmr_node.jobs.worker import run_slot
from cmr_node.network.access import Access
from cmr_node.network.scp import StoreScp
from cmr_node.network.scu import Outcome, send
from cmr_node.outputs.uids import Producer
from cmr_node.pipeline import Standardiser, study_key
from cmr_node.settings import Peer, Settings
from cmr_node.store.database import Database
from cmr_node.store.disk import Disk, DiskState
from cmr_node.store.files import Files
from cmr_node.store.index import Index, StudyVersion
from cmr_node.store.intake import Intake
from cmr_node.store.ledger import Ledger
from cmr_node.supervisor import Role, serve
from cmr_node.telemetry import DoorObserver, Health, collecting, page

logger = logging.getLogger(__name__)

PORT_OF = {"receive": 0, "assemble": 1, "deliver": 2, "work": 3}
"""Added to ``observe.port``; worker slot n answers n + 1 ports behind its parent."""

UNUSABLE = 2


def add_to(commands: Commands) -> None:
    """Add the commands to the parser."""
    add_command(
        commands,
        "serve",
        serve_all,
        "Run the whole node: every role in a process of its own, restarted when it dies.",
        "  cmr-node serve\n"
        "  cmr-node --config /etc/cmr-node/cmr-node.toml serve\n"
        "  CMR_NODE_RECEIVE_PORT=104 cmr-node serve\n"
        "  kill -TERM <pid>         stops the roles in order; what is unfinished goes on later",
    )
    add_command(
        commands,
        "receive",
        receive,
        "Run the door in alone: C-STORE SCP, durable store, index.",
        "  cmr-node receive          several hosts may do so behind a TCP load balancer",
    )
    add_command(
        commands,
        "assemble",
        assemble,
        "Run the watch for complete studies alone; one for each node.",
        "  cmr-node assemble",
    )
    worker = add_command(
        commands,
        "work",
        work,
        "Run the workers alone; on as many hosts as there are, with PostgreSQL.",
        "  cmr-node work             as many as work.slots says\n"
        "  cmr-node work --slots 4   four jobs at once on this host",
    )
    worker.add_argument("--slots", type=int, metavar="N", help="jobs at once, one process each")
    worker.add_argument("--slot", type=int, help=argparse.SUPPRESS)  # the child of a worker
    add_command(
        commands,
        "deliver",
        deliver,
        "Run the door out alone: C-STORE of results with durable retry.",
        "  cmr-node deliver",
    )


def serve_all(arguments: argparse.Namespace, settings: Settings) -> int:
    """Supervise all roles until SIGTERM; 0 if all stopped in time."""
    Database.open(settings.storage.index_url).close()
    command = _command(arguments)
    roles = [Role(name, (*command, name)) for name in ("receive", "assemble", "work", "deliver")]
    return serve(roles, fatal=frozenset({UNUSABLE}))


def receive(arguments: argparse.Namespace, settings: Settings) -> int:
    """Take instances until SIGTERM."""
    with _until_told() as stop, _database(settings) as database:
        disk = Disk(settings.storage)
        intake = Intake(settings.storage, Index(database))
        access = Access(settings.receive.ae_title, settings.peer)
        scp = StoreScp(settings.receive, access, intake, DoorObserver())
        gauges = collecting(DoorGauges(disk, lambda: intake.lag.bytes))
        with gauges, _page(settings, "receive", lambda: _disk_fault(disk)):
            scp.start()
            stop.wait()
            scp.stop()
            intake.close()
    return 0


def assemble(arguments: argparse.Namespace, settings: Settings) -> int:
    """Watch for complete studies until SIGTERM."""
    with _until_told() as stop, _database(settings) as database, _jobs(settings) as jobs:
        disk, index = Disk(settings.storage), Index(database)
        epoch = index.epoch()

        def submit(study_uid: str, version: int, priority: Priority) -> None:
            key = study_key(epoch, StudyVersion(study_uid, version))
            payload: dict[str, JSON] = {"study": study_uid, "version": version}
            jobs.submit(Kind.STUDY, key, payload, priority=priority)

        watcher = Watcher(
            index,
            submit,
            settings.assemble,
            may_start_work=lambda: disk.state() is DiskState.OK,
        )
        with _page(settings, "assemble", _well):
            watcher.run(stop)
    return 0


def work(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the workers until SIGTERM; with --slot, be one of them."""
    installed_build()
    if arguments.slot is not None:
        return _work_in_slot(arguments.slot, settings)
    slots = arguments.slots or settings.work.slots
    command = _command(arguments)
    children = {
        executor_name("work", slot): (*command, "work", "--slot", str(slot))
        for slot in range(slots)
    }
    with (
        _until_told() as stop,
        _database(settings) as database,
        _jobs(settings) as jobs,
        collecting(NodeGauges(database, jobs)),
        _page(settings, "work", _well),
    ):
        run_slots(settings.storage.queue_url, children, settings.work, stop)
    return 0


def _work_in_slot(slot: int, settings: Settings) -> int:
    with _until_told() as stop, _database(settings) as database:
        files = Files(settings.storage.root)
        files.prepare()
        producer = Producer(settings.standardise.device_serial, settings.standardise.station_name)
        standardiser = Standardiser(settings, Index(database), Ledger(database), files, producer)
        with _page(settings, "work", _well, beside=slot + 1):
            run_slot(
                settings.storage.queue_url,
                {Kind.STUDY: standardiser},
                executor_name("work", slot),
                settings.work,
                stop,
                attended=True,
            )
    return 0


def deliver(arguments: argparse.Namespace, settings: Settings) -> int:
    """Deliver results until SIGTERM."""
    with _until_told() as stop, _database(settings) as database, _jobs(settings) as jobs:
        ledger = Ledger(database)
        files = Files(settings.storage.root)
        calling_ae, clocks = settings.receive.ae_title, settings.deliver

        def send_to(peer: Peer, paths: Sequence[Path]) -> Iterator[Outcome]:
            return send(peer, paths, calling_ae, clocks)

        deliverer = Deliverer(settings, ledger, files, send_to)
        dispatcher = threading.Thread(
            target=dispatch,
            args=(Index(database).epoch(), ledger, jobs, clocks, stop),
            name="dispatch",
        )
        with _page(settings, "deliver", _well):
            dispatcher.start()
            try:
                run_slot(
                    settings.storage.queue_url,
                    {Kind.DELIVERY: deliverer},
                    executor_name("deliver"),
                    settings.work,
                    stop,
                    concurrency=max(2, 2 * len(settings.destinations)),
                )
            finally:
                stop.set()
                dispatcher.join()
    return 0


def _command(arguments: argparse.Namespace) -> tuple[str, ...]:
    config = ("--config", str(arguments.config)) if arguments.config else ()
    return (sys.executable, "-m", "cmr_node", *config)


@contextlib.contextmanager
def _until_told() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def told(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = Database.open(settings.storage.index_url)
    try:
        yield database
    finally:
        database.close()


@contextlib.contextmanager
def _jobs(settings: Settings) -> Iterator[Jobs]:
    jobs = Jobs.open(settings.storage.queue_url)
    try:
        yield jobs
    finally:
        jobs.close()


def _page(
    settings: Settings, role: str, ready: Health, beside: int = 0
) -> contextlib.AbstractContextManager[int]:
    port = settings.observe.port
    return page(settings.observe.host, port and port + PORT_OF[role] + beside, ready)


def _well() -> str:
    return ""


def _disk_fault(disk: Disk) -> str:
    try:
        state = disk.state()
    except NodeError as error:
        return str(error)
    return "the disk is past the hard mark" if state is DiskState.HARD else ""
