"""Schedules at random: every order, pause, loss and late-comer a sender can produce.

The oracle counts on its own: it knows what each series was made of, not what the rule computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from cmr_node.assemble.watcher import Watcher
from cmr_node.dicom.header import Header
from cmr_node.jobs.priority import Priority
from cmr_node.settings import Assemble
from cmr_node.store.index import Indexed, OpenStudy, StudyVersion
from tests.assemble.headers import NOON, Clock, header

CLOCKS = Assemble(settle=1, quiet_period=60, stall_period=300, study_period=3600)
#: Just before and at each moment at which something may fall due, after any arrival.
MOMENTS = sorted(
    {d + e for d in (CLOCKS.settle, CLOCKS.quiet_period, CLOCKS.stall_period) for e in (-0.01, 0)}
)


class MemoryIndex:
    """The index of one study, as ``store.index`` describes it, in a few lines."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: list[Indexed] = []
        self.held: list[int] = []  # last number per version
        self.completed: list[float] = []
        self.submitted: set[int] = set()

    def receive(self, one: Header) -> None:
        self.rows.append(Indexed(len(self.rows) + 1, self.clock.now, one, ""))

    def open_studies(self) -> list[OpenStudy]:
        if not self.rows or (self.held and self.held[-1] == self.rows[-1].number):
            return []
        last = self.rows[-1]
        return [OpenStudy("1.2", last.number, last.received_at, len(self.held))]

    def arrivals(self, study_uid: str, after_number: int = 0) -> list[Indexed]:
        return self.rows[after_number:]

    def complete(self, study_uid: str, reason: str, at: datetime, up_to_number: int) -> int:
        if not self.held or self.held[-1] < up_to_number:
            self.held.append(up_to_number)
            self.completed.append((at - NOON).total_seconds())
        return len(self.held)

    def unsubmitted(self) -> list[StudyVersion]:
        newest = len(self.held)
        return [] if not newest or newest in self.submitted else [StudyVersion("1.2", newest)]

    def mark_submitted(self, study_uid: str, version: int) -> None:
        self.submitted.add(version)


@dataclass(frozen=True)
class Plan:
    """One series: what it is made of, what its tags announce, how it is sent."""

    name: str
    slices: int
    phases: int
    tags: frozenset[str]
    phase_major: bool
    lost: int  # images at the end that never come

    def images(self) -> list[tuple[int, int]]:
        grid = [(s, p) for s in range(self.slices) for p in range(self.phases)]
        return sorted(grid, key=lambda cell: cell[::-1]) if self.phase_major else grid

    def headers(self) -> list[Header]:
        return list(_headers(self))[: max(1, self.slices * self.phases - self.lost)]

    def made(self) -> list[Header]:
        numbers = {
            "CardiacNumberOfImages": self.phases,
            "NumberOfTemporalPositions": self.phases,
            "ImagesInAcquisition": self.slices * self.phases,
        }
        announced = {keyword: numbers[keyword] for keyword in self.tags}
        found = [
            header(series=self.name, slice_number=s, phase=p, **announced) for s, p in self.images()
        ]
        return found[: max(1, len(found) - self.lost)]

    def is_short(self, came: list[tuple[int, int]]) -> bool:
        """Whether the tags of the images that came announce more than came."""
        total = self.slices * self.phases
        if "ImagesInAcquisition" in self.tags and total > 1 and len(came) < total:
            return True
        per_slice = {"CardiacNumberOfImages", "NumberOfTemporalPositions"} & self.tags
        counts = {s: sum(1 for at, _ in came if at == s) for s, _ in came}
        return bool(per_slice) and self.phases > 1 and min(counts.values()) < self.phases

    @property
    def announces(self) -> bool:
        """Whether what the tags announce covers every image."""
        total = "ImagesInAcquisition" in self.tags and self.slices * self.phases > 1
        return total or (bool(self.tags - {"ImagesInAcquisition"}) and self.phases > 1)


@cache
def _headers(plan: Plan) -> tuple[Header, ...]:
    return tuple(plan.made())


plans = st.builds(
    Plan,
    name=st.just(""),
    slices=st.integers(1, 4),
    phases=st.integers(1, 5),
    tags=st.frozensets(
        st.sampled_from(
            ["CardiacNumberOfImages", "NumberOfTemporalPositions", "ImagesInAcquisition"]
        )
    ),
    phase_major=st.booleans(),
    lost=st.sampled_from([0, 0, 0, 1, 7]),
)
pauses = st.sampled_from([0.0, 0.0, 0.01, 0.01, 0.01, 0.01, 0.5, 1.5, 30.0, 59.0, 61.0, 310.0])


@dataclass
class Schedule:
    """Who is sent when: (seconds, plan, (slice, phase), header) in order."""

    plans: list[Plan]
    events: list[tuple[float, Plan, tuple[int, int], Header]] = field(default_factory=list)


Entry = tuple[Plan, tuple[int, int], Header]


def sent(queue: list[Entry], plan: Plan) -> list[Entry]:
    return [entry for entry in queue if entry[0] is plan]


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    made = [
        Plan(f"series {i}", p.slices, p.phases, p.tags, p.phase_major, p.lost)
        for i, p in enumerate(draw(st.lists(plans, min_size=1, max_size=3)))
    ]
    queue = [
        (plan, cell, one)
        for plan in made
        for cell, one in zip(plan.images(), plan.headers(), strict=False)
    ]
    order = draw(st.sampled_from(["one after the other", "interleaved", "shuffled"]))
    if order == "interleaved":
        turn = {id(one): i for plan in made for i, (_, _, one) in enumerate(sent(queue, plan))}
        queue = sorted(queue, key=lambda entry: turn[id(entry[2])])
    elif order == "shuffled":
        queue = draw(st.permutations(queue))
    event(order)
    schedule, seconds = Schedule(made), 0.0
    for plan, cell, one in queue:
        schedule.events.append((seconds, plan, cell, one))
        seconds += draw(pauses)
    return schedule


def play(schedule: Schedule, restart_after: int | None = None) -> MemoryIndex:
    """Run the watcher through a schedule, checking each version against the oracle."""
    clock = Clock()
    index = MemoryIndex(clock)
    jobs: list[int] = []
    came: dict[str, list[tuple[int, int]]] = {}
    last: dict[str, float] = {}
    by_name = {plan.name: plan for plan in schedule.plans}

    def submit(study_uid: str, version: int, priority: Priority) -> None:
        jobs.append(version)

    def start() -> Watcher:
        return Watcher(index, submit, CLOCKS, may_start_work=lambda: True, now=clock)

    def poll(seconds: float) -> None:
        clock.at(seconds)
        before = len(index.held)
        watcher.poll()
        if len(index.held) > before:
            for name, cells in came.items():
                if by_name[name].is_short(cells):
                    assert seconds - last[name] > CLOCKS.stall_period - 1e-6, name

    watcher = start()
    ends = [seconds for seconds, *_ in schedule.events[1:]] + [float("inf")]
    for number, ((seconds, plan, cell, one), end) in enumerate(
        zip(schedule.events, ends, strict=True)
    ):
        if number == restart_after:
            watcher = start()
        clock.at(seconds)
        index.receive(one)
        came.setdefault(plan.name, []).append(cell)
        last[plan.name] = seconds
        for moment in (0.0, *MOMENTS):
            if seconds + moment < end:
                poll(seconds + moment)
    assert index.open_studies() == [], "a study was left waiting for ever"
    assert index.held[-1] == len(schedule.events)
    assert jobs == list(range(1, len(index.held) + 1)), "one job for each version"
    return index


FUZZ = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


@FUZZ
@given(schedules())
def test_nothing_announced_is_given_up_early_and_every_study_is_done_in_the_end(
    schedule: Schedule,
) -> None:
    index = play(schedule)
    event(f"{min(len(index.held), 4)} versions")
    pauses = [b[0] - a[0] for a, b in zip(schedule.events, schedule.events[1:], strict=False)]
    whole = all(plan.announces and not plan.lost for plan in schedule.plans)
    if whole and max(pauses, default=0) < CLOCKS.settle:
        event("proven in one go")
        assert index.completed == pytest.approx([schedule.events[-1][0] + CLOCKS.settle])


@FUZZ
@given(schedules(), st.integers(0, 40))
def test_a_watcher_killed_at_any_instance_keeps_the_same_promises(
    schedule: Schedule, restart_after: int
) -> None:
    play(schedule, restart_after)


@FUZZ
@given(schedules())
def test_an_instance_after_the_end_makes_one_more_version_that_holds_it(
    schedule: Schedule,
) -> None:
    versions = len(play(schedule).held)
    late = Plan("late", 1, 1, frozenset(), False, 0)
    seconds = schedule.events[-1][0] + 10_000
    schedule.plans.append(late)
    schedule.events.append((seconds, late, (0, 0), late.headers()[0]))
    index = play(schedule)
    assert len(index.held) == versions + 1
    assert index.completed[-1] == pytest.approx(seconds + CLOCKS.quiet_period)
