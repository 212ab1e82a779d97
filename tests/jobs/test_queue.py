from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cmr_node.errors import ConfigurationError, StoreBroken
from cmr_node.jobs.engine import Client
from cmr_node.jobs.queue import Jobs, Kind, Priority, State
from tests.jobs.workers import ENVIRONMENT


def test_the_same_key_twice_is_one_job(jobs: Jobs) -> None:
    assert jobs.submit(Kind.STUDY, "1.2.3/1", {"study": "1.2.3"})
    assert not jobs.submit(Kind.STUDY, "1.2.3/1", {"study": "another"})
    assert jobs.counts() == {(Kind.STUDY, State.WAITING): 1}
    job = jobs.ledger.get("1.2.3/1")
    assert job is not None
    assert job.payload == '{"study": "1.2.3"}'


def test_a_submit_that_the_engine_refuses_leaves_nothing(jobs: Jobs) -> None:
    class Refusing(Client):
        def __init__(self) -> None:
            pass

        def enqueue(self, *_: object, **__: object) -> None:
            raise StoreBroken("disk full")

    with pytest.raises(StoreBroken):
        Jobs(jobs.ledger, Refusing()).submit(Kind.STUDY, "a", {})
    assert jobs.state("a") is None
    assert jobs.submit(Kind.STUDY, "a", {})


def test_an_unknown_key_has_no_state(jobs: Jobs) -> None:
    assert jobs.state("never") is None
    assert not jobs.retry("never")
    assert not jobs.cancel("never")


@pytest.mark.parametrize(("kind", "lane"), [(Kind.STUDY, "pacs"), (Kind.DELIVERY, None)])
def test_deliveries_and_only_they_have_a_lane(jobs: Jobs, kind: Kind, lane: str | None) -> None:
    with pytest.raises(ValueError, match="lane"):
        jobs.submit(kind, "a", {}, lane=lane)


@pytest.mark.parametrize("key", ["", "1" * 256])
def test_a_key_the_table_cannot_hold_is_refused(jobs: Jobs, key: str) -> None:
    with pytest.raises(ValueError, match="1 to 255"):
        jobs.submit(Kind.STUDY, key, {})


def test_a_cancelled_job_is_not_done_and_can_be_retried(jobs: Jobs) -> None:
    jobs.submit(Kind.STUDY, "a", {}, not_before=datetime.now(UTC) + timedelta(hours=1))
    assert jobs.cancel("a")
    assert jobs.state("a") is State.CANCELLED
    assert not jobs.cancel("a")
    assert jobs.retry("a")
    assert not jobs.retry("a")
    assert jobs.state("a") is State.WAITING


def test_a_retried_job_has_a_clean_record(jobs: Jobs) -> None:
    jobs.submit(Kind.STUDY, "a", {}, priority=Priority.URGENT)
    for _ in range(2):
        assert jobs.ledger.begin("a", 1, "one", 2)
        jobs.ledger.crashed("one", "died", 2)
    assert jobs.retry("a")
    job = jobs.ledger.get("a")
    assert job is not None
    assert (job.state, job.attempt, job.crashes, job.lost) == (State.WAITING, 2, 0, 0)
    assert jobs.failed() == []


def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="mysql"):
        Jobs.open("mysql://user@host/queue")
    with pytest.raises(ConfigurationError):
        Jobs.open("no url at all")


def test_a_database_that_cannot_be_reached_is_a_transient_error(tmp_path: Path) -> None:
    with pytest.raises(StoreBroken, match="queue database") as caught:
        Jobs.open(f"sqlite:///{tmp_path / 'missing' / 'queue.sqlite'}")
    assert caught.value.transient


def test_no_password_is_told_when_the_database_is_away() -> None:
    with pytest.raises(StoreBroken) as caught:
        Jobs.open("postgresql+psycopg://user:secret@127.0.0.1:9/queue")
    assert "secret" not in str(caught.value)


@pytest.mark.system
def test_processes_that_start_together_on_an_empty_folder_all_get_a_queue(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'queue.sqlite'}"
    code = "import sys; from cmr_node.jobs.queue import *; " + (
        "print(Jobs.open(sys.argv[1]).submit(Kind.STUDY, 'a', {}))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, url], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    answers = [process.communicate(timeout=30)[0].strip() for process in started]
    assert sorted(answers) == ["False", "False", "False", "True"]
