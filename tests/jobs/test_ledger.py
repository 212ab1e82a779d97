from __future__ import annotations

import pytest

from cmr_node.jobs.ledger import LOSS_LIMIT, Job
from cmr_node.jobs.queue import Jobs, Kind, State

LIMIT = 2


def begin(jobs: Jobs, key: str = "a", attempt: int = 1, executor: str = "one") -> Job:
    job = jobs.ledger.begin(key, attempt, executor, LIMIT)
    assert job is not None
    return job


@pytest.fixture
def submitted(jobs: Jobs) -> Jobs:
    jobs.submit(Kind.STUDY, "a", {"n": 1})
    return jobs


def test_a_run_ends_its_job_once(submitted: Jobs) -> None:
    job = begin(submitted)
    assert submitted.state("a") is State.RUNNING
    assert submitted.ledger.end(job, State.DONE)
    assert not submitted.ledger.end(job, State.FAILED, "too late")
    assert submitted.state("a") is State.DONE


def test_a_zombie_cannot_end_what_another_run_has_begun(submitted: Jobs) -> None:
    zombie = begin(submitted, executor="one")
    submitted.ledger.lost("one", "worker one vanished")
    successor = begin(submitted, executor="two")
    assert not submitted.ledger.end(zombie, State.FAILED, "from the grave")
    assert submitted.ledger.end(successor, State.DONE)


def test_an_ended_job_is_not_begun_again(submitted: Jobs) -> None:
    submitted.ledger.end(begin(submitted), State.DONE)
    assert submitted.ledger.begin("a", 1, "one", LIMIT) is None


def test_an_attempt_that_was_superseded_is_not_begun(submitted: Jobs) -> None:
    job = begin(submitted)
    with submitted.ledger.engine.begin() as c:
        assert submitted.ledger.again(c, job, "PeerUnreachable")
    assert submitted.ledger.begin("a", 1, "one", LIMIT) is None
    assert begin(submitted, attempt=2).failures == 1


def test_a_job_whose_worker_crashed_twice_is_isolated_with_the_reason(submitted: Jobs) -> None:
    for _ in range(LIMIT):
        begin(submitted)
        assert submitted.ledger.crashed("one", "worker killed by SIGSEGV", LIMIT) == ["a"]
    assert submitted.ledger.begin("a", 1, "one", LIMIT) is None
    (found,) = submitted.failed()
    assert (found.state, found.crashes) == (State.ISOLATED, 2)
    assert found.reason == "worker killed by SIGSEGV"


def test_a_worker_that_vanished_with_its_host_is_held_against_the_job_only_at_last(
    submitted: Jobs,
) -> None:
    for _ in range(LOSS_LIMIT - 1):
        begin(submitted)
        submitted.ledger.lost("one", "worker one vanished")
        assert submitted.state("a") is State.WAITING
    begin(submitted)
    submitted.ledger.lost("one", "worker one vanished")
    assert submitted.state("a") is State.ISOLATED


def test_a_death_that_nobody_booked_is_counted_at_the_next_begin(submitted: Jobs) -> None:
    for _ in range(LOSS_LIMIT):
        begin(submitted)
    isolated = begin(submitted)
    assert (isolated.state, isolated.run) == (State.ISOLATED, None)


def test_a_worker_stopped_on_purpose_is_not_held_against_its_job(submitted: Jobs) -> None:
    begin(submitted)
    assert submitted.ledger.released("one") == ["a"]
    job = begin(submitted)
    assert (job.crashes, job.lost) == (0, 0)


def test_only_the_dead_workers_jobs_are_booked(submitted: Jobs) -> None:
    submitted.submit(Kind.STUDY, "b", {})
    begin(submitted, "a", executor="one")
    begin(submitted, "b", executor="two")
    assert submitted.ledger.crashed("two", "died", LIMIT) == ["b"]
    assert submitted.state("a") is State.RUNNING
