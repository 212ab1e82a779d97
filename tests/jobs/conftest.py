"""Queues for the tests: on SQLite, and on a real PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cmr_node.jobs.queue import Jobs
from tests.jobs.workers import Bench
from tests.peers import postgres


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URL of an empty PostgreSQL."""
    with postgres() as url:
        yield url


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    """A queue on SQLite that nobody works on."""
    queue = Jobs.open(f"sqlite:///{tmp_path / 'queue.sqlite'}")
    yield queue
    queue.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """An empty queue for real workers, on either database."""
    url = f"sqlite:///{tmp_path / 'queue.sqlite'}"
    if request.param == "postgresql":
        url = new_database(request.getfixturevalue("server"))
    queue = Jobs.open(url)
    yield Bench(url, tmp_path, queue)
    queue.close()


def new_database(server: str) -> str:
    """URL of a database of its own on the server."""
    name = f"queue_{uuid.uuid4().hex}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{server.rpartition('/')[0]}/{name}"
