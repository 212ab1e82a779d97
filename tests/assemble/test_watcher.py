from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from cmr_node.assemble.watcher import PATIENCE, Watcher
from cmr_node.dicom.header import Header
from cmr_node.errors import ConfigurationError, StoreBroken
from cmr_node.jobs.priority import Priority
from cmr_node.settings import Assemble
from cmr_node.store.arrival import Arrival
from cmr_node.store.database import Database
from cmr_node.store.index import Index, Indexed, OpenStudy
from tests.assemble.headers import Clock, cine, header

CLOCKS = Assemble(settle=1, quiet_period=60, stall_period=300, study_period=3600, poll=0.001)

KEPT = 5


class Node:
    """A real index on SQLite, a queue that only writes down, and a clock moved by hand."""

    def __init__(self, url: str) -> None:
        self.database = Database.open(url)
        self.index = Index(self.database)
        self.clock = Clock()
        self.jobs: list[tuple[str, int, Priority]] = []
        self.room = True
        self.start()

    def start(self, index: Index | None = None) -> None:
        """A new process: nothing remembered but what the index holds."""
        self.watcher = Watcher(
            index or self.index,
            self.submit,
            CLOCKS,
            may_start_work=lambda: self.room,
            now=self.clock,
            kept_studies=KEPT,
        )

    def submit(self, study_uid: str, version: int, priority: Priority) -> None:
        self.jobs.append((study_uid, version, priority))

    def comes(self, seconds: float, headers: Sequence[Header]) -> None:
        now = self.clock.at(seconds)
        self.index.register([Arrival(one, "0" * 64, 1, now, "SCANNER") for one in headers])

    def poll(self, seconds: float) -> None:
        self.clock.at(seconds)
        self.watcher.poll()

    @property
    def versions(self) -> list[int]:
        return [version for _, version, _ in self.jobs]


@pytest.fixture
def node(tmp_path: Path):
    node = Node(f"sqlite:///{tmp_path / 'index.sqlite'}")
    yield node
    node.database.close()


PROVEN = cine(slices=2, phases=4, CardiacNumberOfImages=4)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_proven_study_becomes_one_job_within_two_seconds(node: Node) -> None:
    node.comes(0, PROVEN)
    node.poll(0.9)
    assert node.jobs == []
    node.poll(1.0)
    assert node.jobs == [(PROVEN[0].study_instance_uid, 1, Priority.NORMAL)]
    node.poll(100)
    assert len(node.jobs) == 1
    assert node.index.open_studies() == []


def test_a_late_instance_opens_the_study_again_as_a_version_that_waits_its_turn(
    node: Node,
) -> None:
    late = counted("cmr_node_late_studies_total")
    node.comes(0, PROVEN)
    node.poll(1)
    node.comes(500, [header(series="late")])
    node.poll(501)
    assert node.versions == [1]
    node.poll(560)
    assert [job[1:] for job in node.jobs] == [(1, Priority.NORMAL), (2, Priority.LOW)]
    assert counted("cmr_node_late_studies_total") == late + 1


def test_a_late_instance_is_late_for_a_process_that_did_not_see_the_rest_either(
    node: Node,
) -> None:
    node.comes(0, PROVEN)
    node.poll(1)
    node.start()
    node.comes(500, cine(series="late", slices=1, phases=4, CardiacNumberOfImages=4))
    node.poll(501)  # proven, but so it was before
    assert node.versions == [1]
    node.poll(560)
    assert node.versions == [1, 2]


def test_the_same_instances_sent_again_are_no_news(node: Node) -> None:
    node.comes(0, PROVEN)
    node.poll(1)
    node.comes(300, PROVEN)
    node.poll(1000)
    assert node.versions == [1]


def test_products_of_a_node_neither_open_a_study_nor_hold_one_up(node: Node) -> None:
    product = header(series="own", Manufacturer="CMR Node", ManufacturerModelName="cmr-node")
    node.comes(0, PROVEN)
    node.comes(0.5, [product])
    node.poll(1)
    assert node.versions == [1]
    node.comes(2, [header(series="own 2", **product.attributes)])
    node.poll(1000)
    assert node.versions == [1]


def test_killed_between_noting_and_submitting_the_next_process_submits(node: Node) -> None:
    class Killed(BaseException):
        pass

    def die(study_uid: str, version: int, priority: Priority) -> None:
        raise Killed

    node.comes(0, PROVEN)
    node.clock.at(1)
    with pytest.raises(Killed):
        Watcher(node.index, die, CLOCKS, may_start_work=lambda: True, now=node.clock).poll()
    assert node.index.open_studies() == []
    node.start()
    node.poll(2)
    assert node.versions == [1]


def test_killed_between_submitting_and_marking_the_next_process_submits_again(
    node: Node,
) -> None:
    class Killed(BaseException):
        pass

    class DiesMarking(Index):
        def mark_submitted(self, study_uid: str, version: int) -> None:
            raise Killed

    node.comes(0, PROVEN)
    node.start(DiesMarking(node.database))
    with pytest.raises(Killed):
        node.poll(1)
    node.start()
    node.poll(2)
    assert node.versions == [1, 1]  # one key: the queue takes it once


def test_without_room_on_the_disk_versions_are_noted_and_submitted_later(node: Node) -> None:
    node.comes(0, PROVEN)
    node.room = False
    node.poll(1)
    assert node.jobs == []
    assert node.index.open_studies() == []
    node.room = True
    node.poll(2)
    assert node.versions == [1]


def test_a_version_that_never_got_room_is_superseded_without_a_job(node: Node) -> None:
    node.comes(0, PROVEN)
    node.room = False
    node.poll(1)
    node.comes(10, [header(series="late")])
    node.poll(71)
    node.room = True
    node.poll(72)
    assert node.versions == [2]


def test_an_instance_that_comes_while_the_version_is_noted_is_not_lost(node: Node) -> None:
    class Hurried(Index):
        def complete(self, study_uid: str, reason: str, at: datetime, up_to_number: int) -> int:
            node.comes(1, [header(series="in between")])
            return super().complete(study_uid, reason, at, up_to_number)

    node.comes(0, PROVEN)
    node.start(Hurried(node.database))
    node.poll(1)
    assert node.versions == [1]
    node.start()
    node.poll(61)
    assert node.versions == [1, 2]


def test_studies_are_judged_each_for_itself(node: Node) -> None:
    other = [_of_study(h, "1.2.840.999") for h in PROVEN]
    node.comes(0, PROVEN)
    node.comes(0, other[:3])
    node.poll(1)
    assert {uid for uid, _, _ in node.jobs} == {PROVEN[0].study_instance_uid}
    node.comes(2, other[3:])
    node.poll(3)
    assert {uid for uid, _, _ in node.jobs} == {PROVEN[0].study_instance_uid, "1.2.840.999"}


def _of_study(one: Header, study_uid: str) -> Header:
    return Header(
        f"{study_uid}.{one.sop_instance_uid[-30:].lstrip('0.')}",
        one.sop_class_uid,
        one.transfer_syntax_uid,
        study_uid,
        f"{study_uid}.1",
        one.attributes,
    )


def test_a_study_the_rules_fail_on_does_not_hold_up_the_others(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    poisoned = _of_study(PROVEN[0], "1.2.840.666")

    class Poisoned(Index):
        asked = 0

        def arrivals(
            self, study_uid: str, after_number: int = 0, up_to_number: int | None = None
        ) -> list[Indexed]:
            if study_uid == "1.2.840.666":
                Poisoned.asked += 1
                raise KeyError("a defect")
            return super().arrivals(study_uid, after_number, up_to_number)

    node.comes(0, [poisoned])
    node.comes(0, PROVEN)
    node.start(Poisoned(node.database))
    node.poll(1)
    node.poll(2)
    assert node.versions == [1]
    assert Poisoned.asked == 1
    assert "study 1.2.840.666 cannot be judged" in caplog.text
    node.poll(2 + PATIENCE.total_seconds())
    assert Poisoned.asked == 2
    node.start()
    node.poll(1000)
    assert node.versions == [1, 1]


def test_the_study_that_is_complete_is_logged_in_one_line_without_received_text(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cmr_node")
    proven = counted("cmr_node_studies_completed_total", why="proven")
    node.comes(0, cine(slices=2, phases=4, SeriesDescription="DOE^JANE", CardiacNumberOfImages=4))
    node.poll(1)
    (line,) = [r.getMessage() for r in caplog.records if "is complete" in r.getMessage()]
    assert "version 1 is complete (proven): 8 instances, 1 series proven" in line
    assert "DOE" not in caplog.text
    assert counted("cmr_node_studies_completed_total", why="proven") == proven + 1


def test_the_loop_waits_out_a_broken_index_and_ends_when_told(node: Node) -> None:
    stop = threading.Event()

    class Broken(Index):
        asked = 0

        def open_studies(self) -> list[OpenStudy]:
            Broken.asked += 1
            if Broken.asked == 3:
                stop.set()
            raise StoreBroken("database is locked")

    node.start(Broken(node.database))
    node.watcher.run(stop)
    assert Broken.asked == 3


def test_the_loop_does_not_go_on_over_an_error_that_lasts(node: Node) -> None:
    class Wrong(Index):
        def open_studies(self) -> list[OpenStudy]:
            raise ConfigurationError("no such table")

    node.start(Wrong(node.database))
    with pytest.raises(ConfigurationError):
        node.watcher.run(threading.Event())


def test_an_open_study_without_news_costs_no_question_to_the_index(node: Node) -> None:
    class Counting(Index):
        asked = 0

        def arrivals(
            self, study_uid: str, after_number: int = 0, up_to_number: int | None = None
        ) -> list[Indexed]:
            Counting.asked += 1
            return super().arrivals(study_uid, after_number, up_to_number)

    node.start(Counting(node.database))
    node.comes(0, [header(phase=0)])
    for quarter in range(200):
        node.poll(quarter / 4)
    assert Counting.asked == 1
    node.comes(50, [header(phase=1)])
    node.poll(50.25)
    assert Counting.asked == 2


def test_an_open_study_without_news_is_not_judged_before_it_is_due(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    one = header()
    node.comes(0, [one])
    node.poll(0)
    node.watcher._known[one.study_instance_uid].facts.series.clear()  # whoever judges it, fails
    node.poll(59)
    assert caplog.text == ""
    node.poll(60)
    assert "cannot be judged" in caplog.text


def test_a_re_opened_study_that_trickles_is_taken_in_the_end_over_a_restart_too(
    node: Node,
) -> None:
    late = counted("cmr_node_late_studies_total")
    node.comes(0, PROVEN)
    node.poll(1)
    for number in range(144):
        if number == 40:
            node.start()
        now = 1000 + 50 * number
        node.comes(now, [header(series="real time", name=number)])
        node.poll(now + 2)
    assert node.versions == [1, 2]
    # Seen by each process, and again after the second version; not once for each instance.
    assert counted("cmr_node_late_studies_total") == late + 3


def test_memory_is_bounded_by_the_newest_studies_and_the_open_ones(node: Node) -> None:
    many = KEPT + 10
    for number in range(many):
        node.comes(number, [_of_study(header(NumberOfFrames=2), f"1.2.840.{number + 1}")])
        node.poll(number + 0.99)
    node.poll(many + 1)
    assert len(node.jobs) == many
    node.poll(many + 2)
    assert len(node.watcher._known) == KEPT
