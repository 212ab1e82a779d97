"""The parent of several workers, with real workers that die, hang and are stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cmr_node.jobs.queue import Kind, State
from tests.jobs.workers import ENVIRONMENT, STOP_S, Bench
from tests.peers import wait_until

pytestmark = pytest.mark.system
ON_SQLITE = pytest.mark.parametrize("bench", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("bench", ["postgresql"], indirect=True)

PARENT = """
import json, logging, signal, sys, threading
from cmr_node.jobs.slots import run_slots
from cmr_node.settings import Work
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
url, commands, work, grace_s = sys.argv[1:]
work = Work(**json.loads(work))
fatal = frozenset({78})
run_slots(url, json.loads(commands), work, stop, grace_s=float(grace_s), fatal=fatal)
"""


@contextmanager
def parent(
    bench: Bench, host: str = "one", *, slots: int = 1, job_timeout: float = 60, grace_s: float = 10
) -> Iterator[subprocess.Popen[bytes]]:
    names = [f"{host}:work:{slot}" for slot in range(slots)]
    commands = {name: bench.arguments(name, attended=True) for name in names}
    work = {"heartbeat": 0.3, "takeover_after": 1.5, "job_timeout": job_timeout}
    arguments = [bench.url, json.dumps(commands), json.dumps(work), str(grace_s)]
    with (bench.folder / "workers.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT, *arguments], stderr=log, env=ENVIRONMENT
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as listed:
        return [int(child) for child in listed.read().split()]


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_jobs_that_kill_their_worker_or_hang_are_isolated_and_later_jobs_run(bench: Bench) -> None:
    """The hang is in native code that holds the interpreter: nothing inside can stop it."""
    bench.jobs.submit(Kind.STUDY, "poison", {"act": "die"})
    bench.jobs.submit(Kind.STUDY, "hang", {"act": "hang"})
    with parent(bench, slots=2, job_timeout=1):
        bench.wait_for("poison", State.ISOLATED)
        bench.wait_for("hang", State.ISOLATED)
        bench.jobs.submit(Kind.STUDY, "good", {})
        bench.wait_for("good", State.DONE)
    assert len(bench.lines("start", "poison")) == 2
    assert len(bench.lines("start", "hang")) == 2
    assert {job.key: job.reason for job in bench.jobs.failed()} == {
        "poison": "worker killed by SIGKILL",
        "hang": "timed out after 1 s",
    }
    assert bench.jobs.client.claims() == []


@ON_SQLITE
def test_a_killed_workers_job_goes_to_its_neighbour_at_once(bench: Bench) -> None:
    door = bench.folder / "door"
    with parent(bench, slots=2) as process:
        wait_until(lambda: bench.log.count(" takes jobs") == 2, "both workers are up")
        bench.jobs.submit(Kind.STUDY, "a", {"act": "wait for", "path": str(door)})
        bench.wait_for_line("first", "a")
        time.sleep(0.2)  # the step's result is being written
        victim = bench.jobs.ledger.running()[0].executor
        for pid in children(process.pid):
            with open(f"/proc/{pid}/cmdline") as command:
                if str(victim) in command.read():
                    os.kill(pid, signal.SIGKILL)
        killed = time.time()
        bench.wait_for_line("start", "a", 2)
        second = bench.lines("start", "a")[1]
        assert second.executor != victim
        assert second.at - killed < 2
        door.touch()
        bench.wait_for("a", State.DONE)
    assert len(bench.lines("first", "a")) == 1


@ON_POSTGRESQL
def test_the_workers_die_with_their_parent_and_another_host_takes_over(bench: Bench) -> None:
    door = bench.folder / "door"
    with parent(bench, "one") as first:
        bench.jobs.submit(Kind.STUDY, "a", {"act": "wait for", "path": str(door)})
        bench.wait_for_line("first", "a")
        (worker,) = children(first.pid)
        with parent(bench, "two"):
            first.kill()
            wait_until(lambda: not alive(worker), "the worker dies with its parent", 5)
            bench.wait_for_line("start", "a", 2)
            assert bench.lines("start", "a")[1].executor == "two:work:0"
            door.touch()
            bench.wait_for("a", State.DONE)
    job = bench.jobs.ledger.get("a")
    assert job is not None
    assert (job.crashes, job.lost) == (0, 1)


@ON_SQLITE
def test_a_job_that_outlives_the_grace_waits_for_the_next_start_unblamed(bench: Bench) -> None:
    bench.jobs.submit(Kind.STUDY, "long", {"act": "sleep", "number": 60})
    with parent(bench, grace_s=0.5) as process:
        bench.wait_for_line("first", "long")
        process.terminate()
        assert process.wait(15) == 0
    job = bench.jobs.ledger.get("long")
    assert job is not None
    assert (job.state, job.crashes, job.lost) == (State.WAITING, 0, 0)
    assert bench.jobs.client.claims() == []


@ON_SQLITE
def test_a_worker_that_cannot_be_mended_by_another_start_ends_the_parent(bench: Bench) -> None:
    commands = json.dumps({"one:work:0": [sys.executable, "-c", "import sys; sys.exit(78)"]})
    done = subprocess.run(
        [sys.executable, "-c", PARENT, bench.url, commands, "{}", "1"],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode != 0
    assert "ConfigurationError: worker one:work:0: exit status 78" in done.stderr
