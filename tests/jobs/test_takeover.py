from __future__ import annotations

import pytest

from cmr_node.errors import ConfigurationError
from cmr_node.jobs.engine import Claim, Client
from cmr_node.jobs.queue import Jobs, Kind, State
from cmr_node.jobs.takeover import Presence, Reaper, Silence
from cmr_node.settings import Work

WORK = Work(heartbeat=5, takeover_after=30)


class Claims(Client):
    """An engine whose claims the test makes up."""

    def __init__(self, *claims: Claim) -> None:
        self.left = list(claims)
        self.handed_on: list[str] = []

    def claims(self, executor: str | None = None) -> list[Claim]:
        return [claim for claim in self.left if executor in (None, claim.executor)]

    def hand_on(self, claim: Claim) -> None:
        self.left.remove(claim)
        self.handed_on.append(claim.workflow)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watch(jobs: Jobs, claims: Claims, clock: Clock) -> Reaper:
    mine = Presence(jobs.ledger.engine, ["mine"])
    mine.register()
    return Reaper(mine, jobs.ledger, claims, WORK, clock)


def look_for(reaper: Reaper, clock: Clock, seconds: float, *beating: Presence) -> None:
    for _ in range(int(seconds / 5)):
        for presence in beating:
            presence.beat()
        reaper.look()
        clock.now += 5


def running(jobs: Jobs, key: str, executor: str) -> Claim:
    jobs.submit(Kind.STUDY, key, {})
    assert jobs.ledger.begin(key, 1, executor, 2)
    return Claim(f"{key}#1", "study", executor)


def test_silence_grows_while_a_count_stands_still() -> None:
    silence = Silence(longest_look_s=10)
    assert silence.look({"a": 1}, 0) == {"a": 0}
    assert silence.look({"a": 1}, 5) == {"a": 5}
    assert silence.look({"a": 1}, 12) == {"a": 12}
    assert silence.look({"a": 2}, 15) == {"a": 0}


def test_a_look_that_comes_late_does_not_make_the_others_dead() -> None:
    silence = Silence(longest_look_s=10)
    silence.look({"a": 1}, 0)
    assert silence.look({"a": 1}, 3600) == {"a": 10}


def test_what_is_no_longer_looked_at_starts_anew() -> None:
    silence = Silence(longest_look_s=10)
    silence.look({"a": None}, 0)
    silence.look({}, 5)
    assert silence.look({"a": None}, 10) == {"a": 0}


def test_a_silent_executor_loses_its_claims_and_a_beating_one_keeps_them(
    jobs: Jobs, clock: Clock
) -> None:
    claims = Claims(running(jobs, "dead", "dead"), running(jobs, "live", "live"))
    reaper = watch(jobs, claims, clock)
    dead, live = (Presence(jobs.ledger.engine, [name]) for name in ("dead", "live"))
    dead.register()
    live.register()
    look_for(reaper, clock, 30, live)
    assert claims.handed_on == []
    look_for(reaper, clock, 10, live)
    assert claims.handed_on == ["dead#1"]
    assert jobs.state("dead") is State.WAITING
    assert jobs.state("live") is State.RUNNING
    assert set(reaper._presence.beats()) == {"mine", "live"}


def test_a_claim_of_an_executor_that_was_never_heard_of_is_handed_on(
    jobs: Jobs, clock: Clock
) -> None:
    claims = Claims(running(jobs, "a", "unheard"))
    reaper = watch(jobs, claims, clock)
    look_for(reaper, clock, 45)
    assert claims.handed_on == ["a#1"]


def test_of_several_who_watch_one_takes_over(jobs: Jobs) -> None:
    watchers = [Presence(jobs.ledger.engine, [name]) for name in ("one", "two")]
    dead = Presence(jobs.ledger.engine, ["dead"])
    dead.register()
    beat = watchers[0].beats()["dead"]
    assert [watcher.bury("dead", beat) for watcher in watchers] == [True, False]


def test_an_executor_that_beats_in_the_last_moment_is_not_buried(jobs: Jobs) -> None:
    watcher, late = (Presence(jobs.ledger.engine, [name]) for name in ("watcher", "late"))
    late.register()
    beat = watcher.beats()["late"]
    late.beat()
    assert not watcher.bury("late", beat)


def test_a_claim_that_no_run_began_is_handed_on_though_its_executor_lives(
    jobs: Jobs, clock: Clock
) -> None:
    claims = Claims(Claim("a#1", "study", "mine"))
    jobs.submit(Kind.STUDY, "a", {})
    reaper = watch(jobs, claims, clock)
    look_for(reaper, clock, 40, reaper._presence)
    assert claims.handed_on == ["a#1"]


def test_an_executor_that_was_taken_for_dead_goes_on(jobs: Jobs, clock: Clock) -> None:
    zombie = Presence(jobs.ledger.engine, ["zombie"])
    zombie.register()
    reaper = watch(jobs, Claims(running(jobs, "a", "zombie")), clock)
    look_for(reaper, clock, 40)
    assert "zombie" not in zombie.beats()
    zombie.beat()
    assert "zombie" in zombie.beats()


def test_the_older_of_two_processes_of_one_name_is_told(jobs: Jobs) -> None:
    older, newer = (Presence(jobs.ledger.engine, ["host:work:0"]) for _ in range(2))
    older.register()
    older.beat()
    newer.register()
    with pytest.raises(ConfigurationError, match="host:work:0"):
        older.beat()
    older.leave()
    newer.beat()
