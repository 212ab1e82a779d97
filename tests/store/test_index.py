from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError, InternalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cmr_node.dicom.header import Header
from cmr_node.errors import StoreBroken
from cmr_node.store.arrival import Arrival
from cmr_node.store.database import Database
from cmr_node.store.index import Index, StudyVersion
from cmr_node.store.tables import Base

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def arrival(
    number: int, *, study: str = "1.2", at: datetime = NOON, aside: bool = False, own: bool = False
) -> Arrival:
    attributes = (
        {"Manufacturer": "CMR Node", "ManufacturerModelName": "cmr-node"} if own else {"Rows": 4}
    )
    header = Header(
        f"{study}.{number}", "1.2.840.10008.5.1.4.1.1.4", "1.2", study, f"{study}.0", attributes
    )
    return Arrival(header, f"{number:064x}", 100, at, "SCANNER", aside)


def numbers(index: Index, study: str = "1.2") -> Sequence[int]:
    return [row.number for row in index.arrivals(study)]


@pytest.fixture
def index(database: Database) -> Index:
    return Index(database)


def test_the_migrations_build_the_tables_as_declared(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_registering_the_same_arrivals_twice_changes_nothing(index: Index) -> None:
    batch = [arrival(1), arrival(2)]
    index.register(batch)
    before = (index.arrivals("1.2"), index.open_studies())
    index.register(batch)
    assert (index.arrivals("1.2"), index.open_studies()) == before


def test_what_arrived_comes_back_as_it_was_in_order_of_arrival(index: Index) -> None:
    index.register([arrival(2), arrival(1)])
    index.register([arrival(3, at=NOON + timedelta(seconds=1))])
    rows = index.arrivals("1.2")
    assert [row.header for row in rows] == [arrival(n).header for n in (2, 1, 3)]
    assert rows[-1].received_at == NOON + timedelta(seconds=1)
    assert [row.header for row in index.arrivals("1.2", rows[1].number)] == [arrival(3).header]


def test_the_study_is_open_until_a_version_holds_all_that_came(index: Index) -> None:
    index.register([arrival(1), arrival(2)])
    (study,) = index.open_studies()
    assert index.complete("1.2", "proven", NOON, study.last_number) == 1
    assert index.open_studies() == []


def test_an_instance_that_comes_between_the_look_and_the_completion_keeps_the_study_open(
    index: Index,
) -> None:
    index.register([arrival(1)])
    (study,) = index.open_studies()
    index.register([arrival(2)])
    index.complete("1.2", "proven", NOON, study.last_number)
    (again,) = index.open_studies()
    assert (again.version, again.last_number) == (1, numbers(index)[-1])


def test_a_late_instance_makes_a_version_that_supersedes(index: Index) -> None:
    index.register([arrival(1)])
    index.complete("1.2", "proven", NOON, numbers(index)[-1])
    index.register([arrival(2)])
    assert index.complete("1.2", "quiet", NOON, numbers(index)[-1]) == 2
    assert index.unsubmitted() == [StudyVersion("1.2", 2)]


def test_completing_twice_with_nothing_new_is_one_version(index: Index) -> None:
    index.register([arrival(1)])
    for _ in range(2):
        assert index.complete("1.2", "proven", NOON, numbers(index)[-1]) == 1


def test_a_version_without_a_job_is_found_until_it_is_submitted(index: Index) -> None:
    index.register([arrival(1)])
    index.complete("1.2", "proven", NOON, numbers(index)[-1])
    assert index.unsubmitted() == [StudyVersion("1.2", 1)]
    index.mark_submitted("1.2", 1)
    assert index.unsubmitted() == []


def test_our_own_products_are_kept_and_never_open_a_study(index: Index) -> None:
    index.register([arrival(1, own=True)])
    assert index.open_studies() == []
    assert index.arrivals("1.2") == []


def test_other_content_is_noted_aside_once_and_opens_nothing(
    index: Index, database: Database
) -> None:
    index.register([arrival(1)])
    index.complete("1.2", "proven", NOON, numbers(index)[-1])
    for _ in range(2):
        index.register([arrival(1, aside=True)])
    assert index.open_studies() == []
    assert len(numbers(index)) == 1


def test_receivers_side_by_side_neither_lose_nor_double(index: Index) -> None:
    def receive(start: int) -> None:
        for number in range(start, 40, 2):
            index.register([arrival(number), arrival(number, study="1.3")])
            index.register([arrival((number * 7) % 40)])

    threads = [threading.Thread(target=receive, args=(start,)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row.header.sop_instance_uid for row in index.arrivals("1.2")) == sorted(
        f"1.2.{n}" for n in range(40)
    )
    assert len(numbers(index, "1.3")) == 40


def test_an_error_of_the_database_does_not_quote_what_was_to_be_written(index: Index) -> None:
    with pytest.raises(IntegrityError, match="SQL parameters hidden"):
        index.register([replace(arrival(1), digest=None)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fault", [InternalError("INSERT", {}, Exception("read-only")), PoolTimeout("no connection")]
)
def test_a_database_that_is_not_itself_is_a_broken_store_and_no_fault_of_an_instance(
    database: Database, fault: Exception
) -> None:
    with pytest.raises(StoreBroken), database.writing():
        raise fault
