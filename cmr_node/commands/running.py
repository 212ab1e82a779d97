"""What every role needs to run: a stop it can be told, the database, the queue, its page."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from cmr_node.errors import ConfigurationError
from cmr_node.settings import Settings
from cmr_node.store.database import Database
from cmr_node.telemetry import Health, page

PORT_OF = {"receive": 0, "assemble": 1, "deliver": 2, "work": 3}
"""Added to ``observe.port``; worker slot n answers n + 1 ports behind its parent."""

UNUSABLE = frozenset({2})
"""Exit codes that another start would not mend: bad settings, no or two runtimes."""


def command_line(arguments: argparse.Namespace) -> tuple[str, ...]:
    """How this program is started again with the same settings."""
    config = ("--config", str(arguments.config)) if arguments.config else ()
    return (sys.executable, "-m", "cmr_node", *config)


@contextlib.contextmanager
def until_told() -> Iterator[threading.Event]:
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
def open_database(settings: Settings) -> Iterator[Database]:
    """The index's database, closed at the end."""
    database = Database.open(settings.storage.index_url)
    try:
        yield database
    finally:
        database.close()


@contextlib.contextmanager
def only_one(settings: Settings, role: str) -> Iterator[None]:
    """Be the only process of a role on this host; a second one must not take over its name.

    Raises
    ------
    ConfigurationError
        Another process has this role here.
    """
    settings.storage.root.mkdir(parents=True, exist_ok=True)
    path = settings.storage.root / f"{role}-{socket.gethostname()}.lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"cmr-node {role} runs on this host already ({path} is locked); one is allowed, "
                "by itself or under cmr-node serve"
            ) from error
        yield


def well() -> str:
    """The health of a role that has nothing to say."""
    return ""


def health_page(
    settings: Settings, role: str, ready: Health = well, beside: int = 0
) -> contextlib.AbstractContextManager[int]:
    """Metrics and health of a role, on its port."""
    port = settings.observe.port
    return page(settings.observe.host, port and port + PORT_OF[role] + beside, ready)
