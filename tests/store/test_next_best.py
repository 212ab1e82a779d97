"""What a destination does not take, and what goes to it instead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from cmr_node.dicom.header import Header
from cmr_node.dicom.products import MANUFACTURER, MANUFACTURER_MODEL_NAME
from cmr_node.store.arrival import Arrival
from cmr_node.store.database import Database
from cmr_node.store.deliveries import Deliveries, ItemOutcome
from cmr_node.store.index import Index, StudyVersion
from cmr_node.store.ledger import Ledger
from cmr_node.store.next_best import BELIEVED_FOR, Capabilities, chains
from cmr_node.store.overview import Overview
from cmr_node.store.tables import ItemState
from tests.store.test_index import NOON

MAP, BINARY, PAGE = "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.66.4", "1.9"
CLASSES = {"9.1": MAP, "9.2": BINARY, "9.3": PAGE}
CHAIN = {"9.1": "9.2", "9.2": "9.3"}


@pytest.fixture
def version(database: Database) -> StudyVersion:
    """Version 1 of a study with three results registered: label map, segmentation, page."""
    index = Index(database)
    source = Header("1.2.1", "1.4", "1.2.840.10008.1.2.1", "1.2", "1.2.0")
    index.register([Arrival(source, "00", 9, NOON, "SCANNER", False)])
    newest = index.arrivals("1.2")[-1].number
    complete = StudyVersion("1.2", index.complete("1.2", "proven", NOON, newest))
    ours = {"Manufacturer": MANUFACTURER, "ManufacturerModelName": MANUFACTURER_MODEL_NAME}
    index.register(
        [
            Arrival(Header(uid, sop, "1.2.840.10008.1.2.1", "1.2", "9", ours), uid, 9, NOON, "")
            for uid, sop in CLASSES.items()
        ]
    )
    return complete


def finish(
    database: Database,
    version: StudyVersion,
    *,
    wanted: Sequence[str] = ("9.1",),
    later: timedelta = timedelta(0),
) -> list[str]:
    Ledger(database).finish(version, [], {"pacs": wanted}, NOON + later, {"pacs": CHAIN})
    return Deliveries(database).pending_items("1.2", "pacs")


def refuse(database: Database, uid: str) -> None:
    outcome = ItemOutcome(uid, ItemState.PENDING, True, None, "no context", class_refused=True)
    Deliveries(database).record_outcomes("pacs", [outcome], 3)


def deliver(database: Database, uid: str) -> None:
    outcome = ItemOutcome(uid, ItemState.DELIVERED, False, 0, "")
    Deliveries(database).record_outcomes("pacs", [outcome], 3)


def counts(database: Database) -> dict[str, int]:
    (study,) = Overview(database).studies()
    return dict(study.deliveries[0]["instances"])


def test_the_next_best_is_pending_as_soon_as_the_class_is_refused(
    database: Database, version: StudyVersion
) -> None:
    deliveries = Deliveries(database)
    assert finish(database, version) == ["9.1"]
    refuse(database, "9.1")
    assert deliveries.pending_items("1.2", "pacs") == ["9.2"]
    refuse(database, "9.1")  # a record that is written twice changes nothing
    assert deliveries.pending_items("1.2", "pacs") == ["9.2"]
    refuse(database, "9.2")
    assert deliveries.pending_items("1.2", "pacs") == ["9.3"]
    assert deliveries.refused_items("1.2", "pacs") == []
    deliver(database, "9.3")
    assert counts(database) == {"refused": 2, "delivered": 1}


def test_the_last_of_a_chain_is_refused_as_anything_else_is(
    database: Database, version: StudyVersion
) -> None:
    finish(database, version, wanted=["9.3"])
    for _ in range(3):
        assert Deliveries(database).pending_items("1.2", "pacs") == ["9.3"]
        refuse(database, "9.3")
    assert Deliveries(database).refused_items("1.2", "pacs") == [(None, "no context")]


def test_several_instances_may_have_one_next_best(
    database: Database, version: StudyVersion
) -> None:
    both = {"pacs": {"9.1": "9.3", "9.2": "9.3"}}
    Ledger(database).finish(version, [], {"pacs": ["9.1", "9.2"]}, NOON, both)
    refuse(database, "9.1")
    deliver(database, "9.3")
    refuse(database, "9.2")
    assert Deliveries(database).pending_items("1.2", "pacs") == []
    assert counts(database) == {"refused": 2, "delivered": 1}


def test_what_was_learned_is_used_for_the_next_study_until_it_is_old(
    database: Database, version: StudyVersion
) -> None:
    Capabilities(database).learn("pacs", {MAP: False, BINARY: False, PAGE: True}, NOON)
    Capabilities(database).learn("other", {PAGE: False}, NOON)
    assert finish(database, version) == ["9.3"]
    assert finish(database, version) == ["9.3"]


def test_an_old_refusal_is_not_believed_any_more(database: Database, version: StudyVersion) -> None:
    Capabilities(database).learn("pacs", {MAP: False}, NOON)
    assert finish(database, version, later=BELIEVED_FOR + timedelta(seconds=1)) == ["9.1"]


def test_where_everything_is_refused_the_last_is_offered_all_the_same(
    database: Database, version: StudyVersion
) -> None:
    Capabilities(database).learn("pacs", dict.fromkeys(CLASSES.values(), False), NOON)
    assert finish(database, version) == ["9.3"]


def test_finishing_again_after_going_over_changes_nothing(
    database: Database, version: StudyVersion
) -> None:
    finish(database, version)
    refuse(database, "9.1")
    Capabilities(database).learn("pacs", {MAP: False}, NOON)
    deliver(database, "9.2")
    assert finish(database, version) == []
    assert counts(database) == {"refused": 1, "delivered": 1}


def test_the_newest_word_counts(database: Database) -> None:
    memory = Capabilities(database)
    memory.learn("pacs", {MAP: False}, NOON)
    memory.learn("pacs", {MAP: True, BINARY: True}, NOON + timedelta(days=1))
    assert [(one.sop_class_uid, one.taken) for one in memory.known()] == [
        (BINARY, True),
        (MAP, True),
    ]


def test_a_chain_that_bites_its_tail_is_refused() -> None:
    with pytest.raises(ValueError, match="its own next best"):
        chains(["9.1"], {"9.1": "9.2", "9.2": "9.1"})
