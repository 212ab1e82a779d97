"""The results of a phantom study in a store of their own, handed to delivery."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cmr_node.delivery import Deliverer
from cmr_node.jobs.queue import Kind
from cmr_node.jobs.worker import JobContext
from cmr_node.network.scu import send
from cmr_node.outputs.offers import Question, Results, Segmentations, offer
from cmr_node.outputs.overlay import capture
from cmr_node.outputs.report import question_report
from cmr_node.outputs.report_facts import OrientationResult
from cmr_node.outputs.review import quality_issue
from cmr_node.outputs.segmentation import Encoding, Phase, segment
from cmr_node.outputs.turned import encode
from cmr_node.phantom.dicom.vendors import Vendor
from cmr_node.settings import Deliver, Peer, Settings, Storage
from cmr_node.store.database import Database
from cmr_node.store.deliveries import Deliveries
from cmr_node.store.files import Files
from cmr_node.store.index import Index, StudyVersion
from cmr_node.store.ledger import Ledger
from cmr_node.store.overview import Overview
from tests.outputs.making import PRODUCER
from tests.outputs.outlined import ALGORITHM, ED, ES, outlined

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CLOCKS = Deliver(connect_timeout=5, response_timeout=5)


def objects(vendor: Vendor) -> dict[str, bytes]:
    """Name -> Part 10 file of everything the node makes of one stack, images apart."""
    truth = outlined(vendor)
    stack = truth.sources(ED)[0].key
    made = {}
    for encoding in Encoding:
        for phase in (ED, ES):
            found = segment(
                truth.sources(phase),
                truth.labels[:, phase],
                stack=stack,
                phase=Phase(phase + 1),
                algorithm=ALGORITHM,
                series_number=3002,
                producer=PRODUCER,
                encoding=encoding,
            )
            assert found.instance is not None
            made[f"{encoding} {phase}"] = encode(found.instance)
    page = np.zeros((60, 80, 3), np.uint8)
    made["page"] = encode(
        capture(
            page,
            truth.sources(ED),
            stack=stack,
            step="test",
            series_number=3006,
            producer=PRODUCER,
        )
    )
    images = list(truth.instances.values())
    made["review"] = encode(quality_issue(images, "Look.", series_number=3008, producer=PRODUCER))
    asked = OrientationResult("identity", "rot90cw", 31.5, "ask", "Look.")
    made["question"] = encode(question_report(images, asked, PRODUCER, NOON))
    return made


@dataclass
class Node:
    """As much of a node as delivers: index, files, and one version of one study."""

    root: Path
    vendor: Vendor
    uids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.database = Database.open(f"sqlite:///{self.root / 'index.sqlite'}")
        self.files, self.index = Files(self.root), Index(self.database)
        self.files.prepare()
        source = next(iter(outlined(self.vendor).instances.values()))
        self.study = str(source.StudyInstanceUID)
        self.index.register([self.files.write_file(encode(source), NOON)[1]])
        newest = self.index.arrivals(self.study)[-1].number
        number = self.index.complete(self.study, "proven", NOON, newest)
        self.version = StudyVersion(self.study, number)
        for name, part10 in objects(self.vendor).items():
            arrival = self.files.write_file(part10, NOON)[1]
            self.index.register([arrival])
            self.uids[name] = arrival.header.sop_instance_uid

    @property
    def results(self) -> Results:
        return Results(
            segmentations=[
                Segmentations(
                    self.uids[f"{Encoding.BINARY} {phase}"],
                    self.uids[f"{Encoding.LABEL_MAP} {phase}"],
                )
                for phase in (ED, ES)
            ],
            page=self.uids["page"],
            question=Question(self.uids["review"], self.uids["question"]),
        )

    def hand_over(self, peer: Peer) -> None:
        """What ``pipeline`` does at the end of a study."""
        wanted = offer([self.results], peer)
        Ledger(self.database).finish(
            self.version, [], {peer.name: wanted.wanted}, NOON, {peer.name: wanted.next_best}
        )

    def attempt(self, peer: Peer) -> str:
        """Make the attempt that is due; the state of the delivery after it."""
        settings = Settings(storage=Storage(root=self.root), peer=(peer,))
        deliverer = Deliverer(
            settings,
            Deliveries(self.database),
            self.files,
            lambda to, paths: send(to, paths, "NODE", CLOCKS),
            lambda: NOON,
        )
        (due,) = Deliveries(self.database).due()
        deliverer(
            JobContext("key", Kind.DELIVERY, 1, 0),
            {"study": self.study, "destination": peer.name, "attempt": due.attempt},
        )
        return str(Overview(self.database).studies()[0].deliveries[0]["state"])
