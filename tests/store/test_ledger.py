from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cmr_node.store.database import Database
from cmr_node.store.deliveries import Deliveries, DueDelivery, ItemOutcome
from cmr_node.store.index import Index, StudyVersion
from cmr_node.store.ledger import Ledger, StackRecord
from cmr_node.store.overview import Overview
from cmr_node.store.tables import DeliveryState, ItemState
from tests.store.test_index import NOON, arrival, numbers

STACK = StackRecord("cine", "SAX", ["1.2.0"], 8, 25, "act", "rot90cw", "header", {"a": 1}, ["9.1"])


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
def deliveries(database: Database) -> Deliveries:
    return Deliveries(database)


@pytest.fixture
def version(database: Database) -> StudyVersion:
    """Version 1 of a study of two instances."""
    index = Index(database)
    index.register([arrival(1), arrival(2)])
    return StudyVersion("1.2", index.complete("1.2", "proven", NOON, numbers(index)[-1]))


def finish(ledger: Ledger, version: StudyVersion, *uids: str) -> DueDelivery:
    ledger.finish(version, [STACK], {"pacs": uids}, NOON)
    (due,) = Deliveries(ledger.database).due()
    return due


def outcome(
    uid: str, *, refused: bool = False, state: ItemState = ItemState.DELIVERED
) -> ItemOutcome:
    return ItemOutcome(
        uid, ItemState.PENDING if refused else state, refused, 0xC000 if refused else 0, ""
    )


def test_finishing_a_version_twice_writes_the_same_rows(
    ledger: Ledger, deliveries: Deliveries, version: StudyVersion, database: Database
) -> None:
    finish(ledger, version, "9.1", "9.2")
    before = Overview(database).studies()
    ledger.finish(version, [STACK], {"pacs": ["9.1", "9.2"]}, NOON)
    assert Overview(database).studies() == before
    assert deliveries.pending_items("1.2", "pacs") == ["9.1", "9.2"]


def test_what_a_destination_has_is_not_sent_again_by_a_newer_version(
    ledger: Ledger, deliveries: Deliveries, version: StudyVersion, database: Database
) -> None:
    due = finish(ledger, version, "9.1")
    deliveries.record_outcomes("pacs", [outcome("9.1")], 3)
    deliveries.close_attempt(
        due, DeliveryState.DELIVERED, failures=0, next_attempt_at=NOON, error=""
    )
    index = Index(database)
    index.register([arrival(3)])
    newer = StudyVersion("1.2", index.complete("1.2", "late", NOON, numbers(index)[-1]))
    ledger.finish(newer, [STACK], {"pacs": ["9.1", "9.2"]}, NOON)
    assert deliveries.pending_items("1.2", "pacs") == ["9.2"]


def test_a_superseded_version_no_longer_writes_results(
    ledger: Ledger, deliveries: Deliveries, version: StudyVersion, database: Database
) -> None:
    index = Index(database)
    index.register([arrival(3)])
    index.complete("1.2", "late", NOON, numbers(index)[-1])
    assert ledger.last_number(version) is None
    ledger.finish(version, [STACK], {"pacs": ["9.1"]}, NOON)
    assert deliveries.due() == []


def test_a_result_that_is_not_wanted_any_more_is_not_sent(
    ledger: Ledger, deliveries: Deliveries, version: StudyVersion, database: Database
) -> None:
    finish(ledger, version, "9.1", "9.2")
    ledger.finish(version, [STACK], {"pacs": ["9.2"]}, NOON)
    assert deliveries.pending_items("1.2", "pacs") == ["9.2"]


def test_a_refusal_for_good_is_not_repeated_more_than_the_set_number_of_times(
    ledger: Ledger, deliveries: Deliveries, version: StudyVersion
) -> None:
    finish(ledger, version, "9.1")
    for attempt in range(1, 4):
        assert deliveries.pending_items("1.2", "pacs") == ["9.1"], attempt
        deliveries.record_outcomes("pacs", [outcome("9.1", refused=True)], permanent_attempts=3)
    assert deliveries.pending_items("1.2", "pacs") == []
    assert deliveries.refused_items("1.2", "pacs") == [(0xC000, "")]


def test_the_next_attempt_has_a_number_of_its_own_and_a_time(
    ledger: Ledger, deliveries: Deliveries, version: StudyVersion
) -> None:
    due = finish(ledger, version, "9.1")
    deliveries.mark_submitted(due)
    assert deliveries.due() == []
    later = NOON + timedelta(seconds=30)
    deliveries.close_attempt(
        due, DeliveryState.PENDING, failures=1, next_attempt_at=later, error="no answer"
    )
    (again,) = deliveries.due()
    assert (again.attempt, again.failures, again.next_attempt_at) == (due.attempt + 1, 1, later)
    assert deliveries.attempt("1.2", "pacs", due.attempt) is None
    assert deliveries.attempt("1.2", "pacs", again.attempt) == again


def test_a_dead_letter_comes_back_by_retry_alone(
    ledger: Ledger, deliveries: Deliveries, version: StudyVersion
) -> None:
    due = finish(ledger, version, "9.1")
    deliveries.record_outcomes("pacs", [outcome("9.1", refused=True)], permanent_attempts=1)
    deliveries.close_attempt(due, DeliveryState.DEAD, failures=1, next_attempt_at=NOON, error="x")
    assert deliveries.due() == []
    assert deliveries.revive(datetime.now(UTC)) == 1
    assert deliveries.pending_items("1.2", "pacs") == ["9.1"]
    assert [again.destination for again in deliveries.due()] == ["pacs"]


def test_a_failed_version_says_why_and_comes_back_by_retry(
    ledger: Ledger, version: StudyVersion, database: Database
) -> None:
    ledger.fail(version, "disk answered EIO", NOON)
    (study,) = Overview(database).studies()
    assert (study.state, study.error) == ("failed", "disk answered EIO")
    assert ledger.retry_failed() == [version]
    assert Overview(database).studies()[0].state == "queued"


def test_the_overview_counts_and_names_everything_but_the_patient(
    ledger: Ledger, deliveries: Deliveries, version: StudyVersion, database: Database
) -> None:
    finish(ledger, version, "9.1", "9.2")
    deliveries.record_outcomes("pacs", [outcome("9.1")], 3)
    overview = Overview(database)
    (study,) = overview.studies()
    assert study.instances == 2
    assert study.stacks[0]["decision"] == "act"
    assert study.deliveries[0]["instances"] == {"delivered": 1, "pending": 1}
    assert overview.backlog() == [("pacs", 1, NOON)]
    assert overview.stack_counts() == [("cine", "act", 1)]
    assert overview.totals() == {"studies": 1, "instances": 2, "bytes": 200, "aside": 0}
    assert overview.dead_letters() == 0
