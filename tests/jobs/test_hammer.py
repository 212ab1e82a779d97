"""Several processes on one queue while workers are killed: nothing lost, nothing doubled."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from cmr_node.jobs.queue import Kind, State
from tests.jobs.workers import ENVIRONMENT, Bench
from tests.peers import wait_until

SUBMITTERS, PER_SUBMITTER, WORKERS, SECONDS = 2, 40, 2, 6.0

SUBMIT = """
import sys, time
from cmr_node.jobs.queue import *
jobs = Jobs.open(sys.argv[1])
for number in range(int(sys.argv[3])):
    key = f"{sys.argv[2]}-{number}"
    assert jobs.submit(Kind.STUDY, key, {"act": "sleep", "number": 0.05 * (number % 3)})
    assert not jobs.submit(Kind.STUDY, key, {})
    time.sleep(0.05)
"""


@pytest.mark.system
@pytest.mark.parametrize("bench", ["sqlite"], indirect=True)
def test_nothing_is_lost_or_doubled_while_workers_are_killed(bench: Bench) -> None:
    chance = random.Random(2)
    submitters = [
        subprocess.Popen(
            [sys.executable, "-c", SUBMIT, bench.url, f"s{number}", str(PER_SUBMITTER)],
            env=ENVIRONMENT,
        )
        for number in range(SUBMITTERS)
    ]
    kills, deadline = 0, time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with ExitStack() as stack:
            workers = [stack.enter_context(bench.worker(f"one:work:{n}")) for n in range(WORKERS)]
            time.sleep(chance.uniform(1.0, 2.5))
            for worker in workers:
                worker.kill()
                kills += 1
    assert [submitter.wait(30) for submitter in submitters] == [0] * SUBMITTERS
    total = SUBMITTERS * PER_SUBMITTER
    with bench.worker("one:work:0"), bench.worker("one:work:1"):
        wait_until(
            lambda: bench.jobs.counts() == {(Kind.STUDY, State.DONE): total},
            f"all {total} jobs are done after {kills} kills: {bench.jobs.counts()}",
            40,
        )
        wait_until(lambda: bench.jobs.client.claims() == [], "no claim is left")
    assert len(Counter(line.key for line in bench.lines("end"))) == total
    assert "database is locked" not in bench.log
    assert "Traceback" not in bench.log
