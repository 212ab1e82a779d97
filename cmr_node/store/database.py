"""The database of the index: SQLite by default, PostgreSQL by its URL.

The promise kept here: a committed transaction survives a power cut, and any number of
processes may open the database at once, also while its tables are being brought up to date.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cmr_node.errors import ConfigurationError, StoreBroken

BUSY_TIMEOUT_MS = 30_000
MIGRATION_LOCK = 0x434D52  # "CMR", the key of PostgreSQL's advisory lock


class Database:
    """One engine, with reading and writing transactions."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect, and bring the tables up to date.

        Raises
        ------
        ConfigurationError
            The URL is not understood, or its driver is not installed.
        StoreBroken
            The database is away.
        """
        try:
            target = make_url(url)
        except ArgumentError as error:
            raise ConfigurationError(
                "storage.database is no SQLAlchemy URL; allowed are sqlite:///PATH and "
                "postgresql+psycopg://USER@HOST/NAME"
            ) from error
        try:
            database = cls(_sqlite(target) if target.drivername == "sqlite" else _server(target))
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise ConfigurationError(
                f"storage.database {target.render_as_string()}: {error}; "
                "for PostgreSQL install the extra cmr-node[postgres]"
            ) from error
        with _reached(database.engine):
            database.migrate()
        return database

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises
        ------
        StoreBroken
            The database is away, or its disk answered with an error.
        """
        with _reached(self.engine), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that takes the write lock at once; committed at the end, or undone.

        Raises
        ------
        StoreBroken
            The database is away, or its disk answered with an error.
        """
        writer = self.engine.execution_options(cmr_writes=True)
        with _reached(self.engine), writer.begin() as connection:
            yield connection

    def migrate(self) -> None:
        """Bring the tables to the newest revision; one process at a time."""
        config = Config()
        config.set_main_option("script_location", "cmr_node.store:migrations")
        with self._migration_lock(), self.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()

    @contextmanager
    def _migration_lock(self) -> Iterator[None]:
        if self.engine.dialect.name == "sqlite":
            path = self.engine.url.database or ""
            with Path(f"{path}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            return
        with self.engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


@contextmanager
def _reached(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, PoolTimeout) as error:
        # InternalError: the server's own state, such as read-only while another takes over.
        where = engine.url.render_as_string(hide_password=True)
        said = error.orig if isinstance(error, DBAPIError) else "no connection is free"
        raise StoreBroken(f"database {where}: {said}") from error


def _server(url: URL) -> Engine:
    return create_engine(url, pool_pre_ping=True, pool_size=4, max_overflow=4, hide_parameters=True)


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("storage.database: SQLite needs a file, not memory")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, hide_parameters=True)  # they are what a patient's header says

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, see below
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that turns from reading to writing fails at once if another
        # process writes, whatever the busy time-out; IMMEDIATE waits its turn.
        writes = connection.get_execution_options().get("cmr_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
