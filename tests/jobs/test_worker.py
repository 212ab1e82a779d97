"""How a run ends (no engine), and real workers on SQLite and PostgreSQL that are killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from cmr_node.errors import PeerRefused, PeerUnreachable
from cmr_node.jobs.queue import JSON, Jobs, Kind, Priority, State
from cmr_node.jobs.worker import ATTEMPTS, Handler, JobContext, _Runner, _Stopping
from tests.jobs.workers import Bench
from tests.peers import wait_until

ON_SQLITE = pytest.mark.parametrize("bench", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("bench", ["postgresql"], indirect=True)


def runner(jobs: Jobs, handler: Handler) -> _Runner:
    return _Runner(jobs, {Kind.STUDY: handler}, "one", 2, threading.Event())


def raising(error: BaseException) -> Handler:
    def handler(_context: JobContext, _payload: dict[str, JSON]) -> None:
        raise error

    return handler


def test_a_handler_is_given_its_payload_and_its_job_is_done(jobs: Jobs) -> None:
    given = []
    jobs.submit(Kind.STUDY, "a", {"study": "1.2.3", "version": 2})
    runner(jobs, lambda context, payload: given.append((context, payload))).run("a", 1)
    expected = JobContext(key="a", kind=Kind.STUDY, attempt=1, crashes=0)
    assert given == [(expected, {"study": "1.2.3", "version": 2})]
    assert jobs.state("a") is State.DONE


def test_a_transient_error_is_tried_again_until_the_attempts_are_spent(jobs: Jobs) -> None:
    jobs.submit(Kind.STUDY, "a", {})
    run = runner(jobs, raising(PeerUnreachable("no association"))).run
    for attempt in range(1, ATTEMPTS):
        run("a", attempt)
        assert jobs.state("a") is State.WAITING
    run("a", ATTEMPTS)
    (failed,) = jobs.failed()
    assert (failed.key, failed.reason) == ("a", "PeerUnreachable: no association")


def test_an_error_for_good_is_not_tried_again(jobs: Jobs) -> None:
    jobs.submit(Kind.STUDY, "a", {})
    runner(jobs, raising(PeerRefused("0x0122"))).run("a", 1)
    assert jobs.state("a") is State.FAILED


@pytest.mark.parametrize("error", [ValueError("DOE^JANE"), SystemExit("DOE^JANE")])
def test_a_librarys_error_is_kept_without_the_words_that_may_quote_a_patient(
    jobs: Jobs, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.submit(Kind.STUDY, "a", {})
    runner(jobs, raising(error)).run("a", 1)
    (failed,) = jobs.failed()
    assert failed.reason.startswith(f"{type(error).__name__} in test_worker.py:")
    assert "DOE" not in caplog.text


def test_a_run_that_starts_while_the_worker_stops_is_left_alone(jobs: Jobs) -> None:
    jobs.submit(Kind.STUDY, "a", {})
    stopping = runner(jobs, raising(PeerRefused("never asked")))
    stopping._stop.set()
    with pytest.raises(_Stopping):
        stopping.run("a", 1)
    assert jobs.state("a") is State.WAITING
    assert stopping.active == 0


@pytest.mark.system
def test_a_worker_does_what_comes_and_says_why_it_could_not(bench: Bench) -> None:
    """One worker, several jobs: start within 1 s, delay, order, backoff, failure, retry."""
    jobs = bench.jobs
    with bench.worker():
        jobs.submit(Kind.STUDY, "warm", {})
        bench.wait_for("warm", State.DONE)

        submitted = time.time()
        jobs.submit(Kind.STUDY, "later", {}, not_before=datetime.now(UTC) + timedelta(seconds=2))
        jobs.submit(Kind.STUDY, "blocker", {"act": "sleep", "number": 0.5})
        bench.wait_for_line("first", "blocker")
        assert bench.lines("start", "blocker")[0].at - submitted < 1
        jobs.submit(Kind.STUDY, "low", {}, priority=Priority.LOW)
        jobs.submit(Kind.STUDY, "normal", {})
        jobs.submit(Kind.STUDY, "urgent", {}, priority=Priority.URGENT)
        jobs.submit(Kind.STUDY, "cancelled", {}, priority=Priority.LOW)
        jobs.cancel("cancelled")
        jobs.submit(Kind.STUDY, "flaky", {"act": "unreachable", "number": 1})
        bench.wait_for_line("first", "flaky")
        jobs.submit(Kind.STUDY, "bug", {"act": "bug"})
        bench.wait_for("bug", State.FAILED)
        assert len(bench.lines("start", "flaky")) == 1  # waits, and holds no slot
        bench.wait_for("flaky", State.DONE)
        bench.wait_for("later", State.DONE)

        order = [line.key for line in bench.lines("start")]
        assert order.index("urgent") < order.index("normal") < order.index("low")
        assert "cancelled" not in order
        assert bench.lines("start", "later")[0].at - submitted >= 2
        first, second = bench.lines("start", "flaky")
        assert second.at - first.at >= 2
        assert (first.attempt, second.attempt) == (1, 2)

        jobs.submit(Kind.STUDY, "refused", {"act": "refuse"})
        bench.wait_for("refused", State.FAILED)
        reasons = {job.key: job.reason for job in jobs.failed()}
        assert reasons["refused"] == "PeerRefused: 0x0122 is not to be mended"
        assert reasons["bug"].startswith("ValueError in program.py:")
        assert jobs.retry("refused")
        wait_until(lambda: len(bench.lines("start", "refused")) == 2, "the retry runs")
        bench.wait_for("refused", State.FAILED)
        assert [line.attempt for line in bench.lines("start", "refused")] == [1, 2]
    assert jobs.client.claims() == []
    assert "DOE" not in bench.log


@pytest.mark.system
def test_a_job_goes_on_behind_its_last_step_when_its_worker_was_killed(bench: Bench) -> None:
    door = bench.folder / "door"
    bench.jobs.submit(Kind.STUDY, "a", {"act": "wait for", "path": str(door)})
    with bench.worker() as worker:
        bench.wait_for_line("first", "a")
        time.sleep(0.2)  # the step's result is being written
        worker.kill()
    door.touch()
    with bench.worker():
        bench.wait_for("a", State.DONE)
    assert [line.what for line in bench.lines()] == ["start", "first", "start", "second", "end"]
    job = bench.jobs.ledger.get("a")
    assert job is not None
    assert (job.crashes, job.lost) == (0, 1)


@ON_POSTGRESQL
@pytest.mark.system
def test_a_dead_workers_job_is_taken_over_and_the_zombie_can_do_no_harm(bench: Bench) -> None:
    door = bench.folder / "door"
    with bench.worker("one:work:0") as first:
        bench.jobs.submit(Kind.STUDY, "a", {"act": "wait for", "path": str(door)})
        bench.wait_for_line("first", "a")
        time.sleep(0.2)  # the step's result is being written
        first.send_signal(signal.SIGSTOP)  # silent, as a host without power is
        silent = time.time()
        with bench.worker("two:work:0"):
            bench.wait_for_line("start", "a", 2)
            assert bench.lines("start", "a")[1].executor == "two:work:0"
            assert bench.lines("start", "a")[1].at - silent < 10
            door.touch()
            bench.wait_for("a", State.DONE)
            first.send_signal(signal.SIGCONT)
            wait_until(lambda: "end here is ignored" in bench.log, "the zombie comes to its end")
            assert len(bench.lines("first", "a")) == 1
            assert len(bench.lines("second", "a")) == 1
            bench.jobs.submit(Kind.STUDY, "next", {})
            bench.wait_for("next", State.DONE)
    job = bench.jobs.ledger.get("a")
    assert job is not None
    assert (job.state, job.lost) == (State.DONE, 1)


@ON_POSTGRESQL
@pytest.mark.system
def test_a_dead_destination_does_not_hold_up_another_and_each_gets_one_at_a_time(
    bench: Bench,
) -> None:
    with bench.worker("one:deliver:0", Kind.DELIVERY, concurrency=4):
        for number in range(3):
            bench.jobs.submit(
                Kind.DELIVERY, f"dead-{number}", {"act": "sleep", "number": 1.5}, lane="dead"
            )
        bench.wait_for_line("first", "dead-0")
        submitted = time.time()
        bench.jobs.submit(Kind.DELIVERY, "live", {}, lane="live")
        bench.wait_for("live", State.DONE)
        assert bench.lines("start", "live")[0].at - submitted < 1
        for number in range(3):
            bench.wait_for(f"dead-{number}", State.DONE)
        moments = [(line.at, line.what) for line in bench.lines() if line.key.startswith("dead")]
        busy = [what for _, what in sorted(moments) if what in ("start", "end")]
        assert busy == ["start", "end"] * 3


@ON_SQLITE
@pytest.mark.system
def test_a_worker_listens_on_no_port_and_stops_when_told(bench: Bench) -> None:
    with bench.worker() as worker:
        bench.jobs.submit(Kind.STUDY, "a", {"act": "sleep", "number": 1})
        bench.wait_for_line("first", "a")
        descriptors = [
            os.readlink(f"/proc/{worker.pid}/fd/{name}")
            for name in os.listdir(f"/proc/{worker.pid}/fd")
        ]
        sockets = {name[8:-1] for name in descriptors if name.startswith("socket:[")}
        assert not sockets & listening_inodes()
        worker.terminate()
        assert worker.wait(15) == 0
    assert bench.jobs.state("a") is State.DONE
    assert "dbos.dev" not in bench.log


def listening_inodes() -> set[str]:
    """Inodes of the TCP sockets that listen on this machine (proc_net_tcp(5), state 0A)."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    found.add(fields[9])
    return found
