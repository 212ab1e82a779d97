from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import cast

import pytest

from cmr_node.delivery import Deliverer, dispatching, wait_after, what_next
from cmr_node.jobs.queue import Jobs, Kind
from cmr_node.jobs.worker import JobContext
from cmr_node.network.scu import Outcome
from cmr_node.network.status import Meaning
from cmr_node.settings import Deliver, Peer, Settings, Storage
from cmr_node.store.database import Database
from cmr_node.store.deliveries import Deliveries, DueDelivery
from cmr_node.store.files import Files
from cmr_node.store.index import Index, StudyVersion
from cmr_node.store.ledger import Ledger
from cmr_node.store.overview import Overview
from cmr_node.store.tables import DeliveryState
from tests.samples import mr, part10_bytes

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
    """Deliveries whose database answers with something nobody foresaw."""

    def due(self) -> list[DueDelivery]:
        raise LookupError("no such table")


def test_a_dispatcher_that_fails_ends_the_role_instead_of_leaving_it_idle() -> None:
    stop = Event()
    with (
        pytest.raises(LookupError, match="no such table"),
        dispatching(
            "epoch", cast(Deliveries, _Broken()), cast(Ledger, None), cast(Jobs, None), CLOCKS, stop
        ),
    ):
        assert stop.wait(10)


def test_what_a_peer_says_of_an_instance_is_shown_and_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'index.sqlite'}")
    index, ledger, files = Index(database), Ledger(database), Files(tmp_path)
    files.prepare()
    ds = mr()
    index.register([files.write_file(part10_bytes(ds), NOON)[1]])
    study, uid = str(ds.StudyInstanceUID), str(ds.SOPInstanceUID)
    version = index.complete(study, "proven", NOON, index.arrivals(study)[-1].number)
    ledger.finish(StudyVersion(study, version), [], {"pacs": [uid]}, NOON)

    def send(peer: Peer, paths: Sequence[Path]) -> Iterator[Outcome]:
        for path in paths:
            yield Outcome(path, uid, Meaning.REFUSED, 0xC001, "0xC001: of DOE^JOHN there is one")

    pacs = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", receives=("derived",))
    settings = Settings(storage=Storage(root=tmp_path), peer=(pacs,))
    deliverer = Deliverer(settings, Deliveries(database), files, send, lambda: NOON)
    with caplog.at_level("INFO"):
        deliverer(
            JobContext("key", Kind.DELIVERY, 1, 0),
            {"study": study, "destination": "pacs", "attempt": 1},
        )
    (found,) = Overview(database).studies()
    assert "DOE^JOHN" in found.deliveries[0]["error"]
    assert "0xC001 cannot understand" in caplog.text
    assert "DOE" not in caplog.text
    database.close()
