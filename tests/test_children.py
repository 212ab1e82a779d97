from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmr_node import lifeline
from cmr_node.children import Backoff, Child, describe
from tests.peers import wait_until


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sleeper() -> Iterator[tuple[Child, Clock]]:
    clock = Clock()
    child = Child("sleeper", ["sleep", "1000"], clock)
    yield child, clock
    child.kill()


def test_the_wait_doubles_to_its_limit_and_starts_over_after_a_healthy_life() -> None:
    backoff = Backoff()
    assert [backoff.died(0.1) for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]
    assert backoff.died(10) == 0.5
    assert backoff.died(9) == 1


def test_a_dead_child_is_told_once_and_started_when_it_is_due(
    sleeper: tuple[Child, Clock],
) -> None:
    child, clock = sleeper
    assert child.tend() is None
    first = child.pid
    child.tell(signal.SIGKILL)
    told: list[int | None] = []

    def seen() -> bool:
        told.append(child.tend())
        return told[-1] is not None

    wait_until(seen, "the death is seen")
    assert told[-1] == -signal.SIGKILL
    assert child.tend() is None
    assert child.pid is None
    clock.now += 1
    child.tend()
    assert child.pid not in (None, first)


def test_a_program_that_does_not_exist_is_a_child_that_dies() -> None:
    child = Child("missing", ["/nonexistent/program"])
    child.tend()
    assert child.wait(10) not in (None, 0)


def test_a_status_is_put_in_words() -> None:
    assert describe(-9) == "killed by SIGKILL"
    assert describe(78) == "exit status 78"


def test_a_child_dies_with_a_parent_that_is_killed() -> None:
    code = (
        "import sys, time; from cmr_node.children import Child; "
        "child = Child('sleeper', ['sleep', '1000']); child.tend(); "
        "print(child.pid, flush=True); time.sleep(1000)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    wait_until(lambda: command(pid) == ["sleep", "1000"], "the program runs")
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    wait_until(lambda: not alive(pid), "the child dies too", 5)


def test_a_child_whose_parent_is_gone_already_does_not_start() -> None:
    tied = [sys.executable, "-I", "-S", str(Path(lifeline.__file__)), "1"]
    done = subprocess.run([*tied, "echo", "started"], capture_output=True, text=True, check=False)
    assert os.getppid() != 1 or done.returncode
    assert "started" not in done.stdout
    assert "parent 1 is gone" in done.stderr


def command(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


def alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be collected is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_for_which_there_is_no_process_is_tried_again_later() -> None:
    child = Child("large", ["true", "x" * (1 << 20)])  # the kernel answers E2BIG
    assert child.tend() is None
    assert child.pid is None
    assert child.waits_s > 0
