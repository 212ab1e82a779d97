"""The way of one study through the worker, without queue and network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.inference.recognition import Image, NetworkEvidence
from cmr_node.judgement import Trusting
from cmr_node.outputs.uids import Producer
from cmr_node.phantom.study import Plan, simulate_study
from cmr_node.pipeline import REFUSED, Standardiser
from cmr_node.results.artist import Artist
from cmr_node.settings import Peer, Results, Settings, Storage
from cmr_node.store.database import Database
from cmr_node.store.deliveries import Deliveries
from cmr_node.store.files import Files
from cmr_node.store.index import Index, StudyVersion
from cmr_node.store.ledger import Ledger
from cmr_node.store.overview import Overview, StudyOverview
from tests.samples import part10_bytes

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PRODUCER = Producer("serial", "station")
PLAN = Plan(
    seed=0,
    views=(View.SAX, View.TWO_CHAMBER),
    slices=3,
    phases=2,
    rows=60,
    columns=72,
    pixel_spacing=4.0,
    stored_as={View.SAX: Orientation.ROT90CW},
)


class Bench:
    """A store with its index, and the worker on it."""

    def __init__(
        self,
        root: Path,
        artist: Artist | None = None,
        results: Results | None = None,
        **to_pacs: Any,
    ) -> None:
        self.database = Database.open(f"sqlite:///{root / 'index.sqlite'}")
        self.index, self.ledger = Index(self.database), Ledger(self.database)
        self.deliveries = Deliveries(self.database)
        self.files = Files(root)
        self.files.prepare()
        told = {"receives": ("derived",), **to_pacs}
        pacs = Peer(name="pacs", ae_title="PACS", host="127.0.0.1", **told)
        self.worker = Standardiser(
            Settings(storage=Storage(root=root), peer=(pacs,), results=results or Results()),
            self.index,
            self.ledger,
            self.files,
            PRODUCER,
            now=lambda: NOON,
            artist=artist,
        )

    def standardise(self, images: list[FileDataset]) -> StudyOverview:
        """Store the images, have the study worked on; what is known of it then."""
        for ds in images:
            self.index.register([self.files.write_file(part10_bytes(ds), NOON)[1]])
        uid = str(images[0].StudyInstanceUID)
        newest = self.index.arrivals(uid)[-1].number
        version = self.index.complete(uid, "proven", NOON, newest)

        def step(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
            return function(*arguments)

        self.worker.standardise(StudyVersion(uid, version), step)
        (study,) = Overview(self.database).studies(study_uid=uid)
        return study


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.database.close()


def stack_of(study: StudyOverview, view: View) -> dict[str, Any]:
    (found,) = [stack for stack in study.stacks if stack["view"] == str(view)]
    return found


def test_a_stack_whose_pixels_cannot_be_had_does_not_hold_up_those_it_crosses(
    bench: Bench,
) -> None:
    images = list(simulate_study(PLAN))
    for ds in images:
        if "2ch" in ds.SeriesDescription.lower():
            ds.PixelData = ds.PixelData[:100]
    study = bench.standardise(images)
    assert study.state == "done"
    assert stack_of(study, View.SAX)["decision"] == "act"
    assert stack_of(study, View.TWO_CHAMBER)["decision"] == "leave"


def test_a_network_that_is_sure_of_something_else_stops_what_the_header_would_do(
    bench: Bench,
) -> None:
    asked: list[int] = []

    def sees_standard(
        images: Sequence[Image], pixel_spacing: tuple[float, float]
    ) -> NetworkEvidence:
        asked.append(len(images))
        odds = {o: 0.993 if o is Orientation.IDENTITY else 0.001 for o in Orientation}
        return NetworkEvidence(odds, sax=0.99, slices=len(images))

    bench.worker.trusting = Trusting(recognise=sees_standard)
    study = bench.standardise(list(simulate_study(PLAN)))
    assert asked == [3]
    stack = stack_of(study, View.SAX)
    assert (stack["decision"], stack["operation"]) == ("ask", "identity")
    assert "sees the view stored identity" in stack["reason"]
    assert stack_of(study, View.TWO_CHAMBER)["decision"] == "leave"


def test_what_lies_under_the_uid_of_a_derived_instance_is_not_sent_in_its_place(
    bench: Bench,
) -> None:
    images = list(simulate_study(PLAN))
    bench.standardise(images)
    uid = str(images[0].StudyInstanceUID)
    derived = bench.deliveries.pending_items(uid, "pacs")[0]
    path = bench.files.path_of(derived)
    path.write_bytes(path.read_bytes().replace(b"PHANTOM-0", b"PHANTOM-9"))
    study = bench.standardise(images)
    assert stack_of(study, View.SAX)["decision"] == REFUSED
    assert "other content" in stack_of(study, View.SAX)["reason"]
    assert not bench.deliveries.pending_items(uid, "pacs")
