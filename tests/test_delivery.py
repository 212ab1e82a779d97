from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event
from typing import cast

import pytest

from cmr_node.delivery import dispatching, wait_after, what_next
from cmr_node.jobs.queue import Jobs
from cmr_node.settings import Deliver
from cmr_node.store.ledger import DueDelivery, Ledger
from cmr_node.store.tables import DeliveryState

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CLOCKS = Deliver()


def due(failures: int = 0) -> DueDelivery:
    return DueDelivery("1.2", "pacs", 7, NOON, failures, NOON)


@pytest.mark.parametrize(
    ("failures", "nominal"), [(1, 30), (2, 60), (3, 120), (5, 480), (6, 600), (500, 600)]
)
def test_waits_double_from_30_s_to_10_min_within_the_jitter(failures: int, nominal: float) -> None:
    waits = [wait_after(failures, CLOCKS, f"study {n}").total_seconds() for n in range(200)]
    assert min(waits) >= nominal * 0.8
    assert max(waits) <= nominal * 1.2
    assert max(waits) - min(waits) > nominal * 0.3


def test_the_same_delivery_decides_the_same_twice() -> None:
    assert wait_after(3, CLOCKS, "a") == wait_after(3, CLOCKS, "a")


def test_all_confirmed_is_delivered() -> None:
    assert what_next(due(), 0, 0, True, CLOCKS, NOON).state is DeliveryState.DELIVERED


def test_one_refused_for_good_makes_a_dead_letter_only_when_nothing_is_pending() -> None:
    assert what_next(due(), 0, 1, True, CLOCKS, NOON).state is DeliveryState.DEAD
    assert what_next(due(), 1, 1, True, CLOCKS, NOON).state is DeliveryState.PENDING


def test_an_attempt_without_success_waits_longer_each_time() -> None:
    first = what_next(due(0), 5, 0, False, CLOCKS, NOON)
    second = what_next(due(first.failures), 5, 0, False, CLOCKS, NOON)
    assert (first.failures, second.failures) == (1, 2)
    assert second.at - NOON > first.at - NOON


def test_progress_starts_the_waits_anew() -> None:
    assert what_next(due(9), 5, 0, True, CLOCKS, NOON).failures == 1


def test_after_72_hours_it_is_a_dead_letter() -> None:
    late = NOON + timedelta(hours=72)
    early = late - timedelta(seconds=1)
    assert what_next(due(9), 5, 0, False, CLOCKS, early).state is DeliveryState.PENDING
    assert what_next(due(9), 5, 0, False, CLOCKS, late).state is DeliveryState.DEAD


class _Broken:
    """A ledger whose database answers with something nobody foresaw."""

    def due_deliveries(self) -> list[DueDelivery]:
        raise LookupError("no such table")


def test_a_dispatcher_that_fails_ends_the_role_instead_of_leaving_it_idle() -> None:
    stop = Event()
    with (
        pytest.raises(LookupError, match="no such table"),
        dispatching("epoch", cast(Ledger, _Broken()), cast(Jobs, None), CLOCKS, stop),
    ):
        assert stop.wait(10)
