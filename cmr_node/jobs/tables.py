"""The node's own tables beside those of the queue engine, in the same database.

The promise kept here: what the engine does not keep (how often a job failed or killed its worker,
why it was given up, who is alive) survives every process, and changes together with the engine's
rows where both must change (``Jobs.submit`` writes both in one transaction).

On SQLite the file is switched to a write-ahead log once, before the engine opens it: readers then
never wait for the writer, and a commit costs one fsync instead of three.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
)

from cmr_node.errors import ConfigurationError, StoreBroken

BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
WAL_PATIENCE_S = 10
KEY_LENGTH = 255
SCHEMA_LOCK = 0x434D526A6F6273  #: advisory lock of PostgreSQL, "CMRjobs"


class State(StrEnum):
    """Waiting -> running -> done | failed | isolated; retry goes back to waiting."""

    WAITING = "waiting"  #: for its time, for its turn or for a worker
    RUNNING = "running"  #: a worker has it
    DONE = "done"
    FAILED = "failed"  #: it ended with an error that another attempt would not mend
    ISOLATED = "isolated"  #: its workers died; it is not run again until someone says so
    CANCELLED = "cancelled"


metadata = MetaData()

job = Table(
    "queue_job",
    metadata,
    Column("key", String(KEY_LENGTH), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("lane", String(64)),
    Column("priority", Integer, nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),  # 1, 2, ...: the engine's workflow is key#attempt
    Column("failures", Integer, nullable=False, default=0),  # transient ones since submit or retry
    Column("crashes", Integer, nullable=False, default=0),  # workers that died of it, perhaps
    Column("lost", Integer, nullable=False, default=0),  # workers that vanished with their parent
    Column("executor", String(255)),
    Column("run", String(32)),  # token of the run that may write the end; another run is fenced off
    Column("reason", Text, nullable=False, default=""),
    Column("changed_s", Float, nullable=False),  # Unix time
    CheckConstraint(f"state IN ({', '.join(repr(state.value) for state in State)})", name="state"),
    Index("queue_job_kind_state", "kind", "state"),
    Index("queue_job_executor", "executor"),
)

executor = Table(
    "queue_executor",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("incarnation", String(32), nullable=False),  # of the process that beats for it
    Column("beat", BigInteger, nullable=False),  # a count, not a time: hosts' clocks may differ
)


def connect(url: str) -> Engine:
    """Open the database of the queue; create the node's tables if they are missing.

    Raises
    ------
    ConfigurationError
        The URL is none, or of a database that is neither SQLite nor PostgreSQL.
    StoreBroken
        The database cannot be reached.
    """
    try:
        backend = make_url(url).get_backend_name()
    except ArgumentError as error:
        raise ConfigurationError("the queue's database is no SQLAlchemy URL") from error
    if backend == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, hide_parameters=True)
        event.listen(engine, "connect", _sqlite_connection)
    elif backend == "postgresql":
        engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
            pool_size=2,
            max_overflow=8,
            pool_pre_ping=True,
            hide_parameters=True,
        )
    else:
        raise ConfigurationError(f"queue database {backend}: allowed are sqlite and postgresql")
    with transaction(engine) as c:
        if backend == "sqlite":
            c.execute(text("BEGIN IMMEDIATE"))
        else:
            c.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SCHEMA_LOCK})
        metadata.create_all(c)
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction; a database that does not answer is ``StoreBroken``, which is transient."""
    with reached(engine), engine.begin() as c:
        yield c


@contextmanager
def reached(engine: Engine) -> Iterator[None]:
    """Turn the driver's errors about connections, locks and disks into ``StoreBroken``."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        name = engine.url.render_as_string(hide_password=True)
        raise StoreBroken(f"queue database {name}: {error.orig}") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        name = engine.url.render_as_string(hide_password=True)
        raise StoreBroken(f"queue database {name}: {error.orig}") from error


def _sqlite_connection(connection: sqlite3.Connection, _record: Any) -> None:
    # IMMEDIATE, as the engine does: a transaction that starts as a reader and then writes would
    # fail at once, without waiting, when another process wrote in between.
    connection.isolation_level = "IMMEDIATE"
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    _write_ahead(connection)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file over; SQLite does not wait for other connections here, so this does."""
    deadline = time.monotonic() + WAL_PATIENCE_S
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError:
            mode = "locked"
        if mode in ("wal", "memory"):
            return
        if time.monotonic() > deadline:
            raise sqlite3.OperationalError(f"journal mode is {mode}, write-ahead log is needed")
        time.sleep(0.05)
