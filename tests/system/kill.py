"""kill -9 at random moments of every role, then count what is lost and what is double.

    python -m tests.system.kill --kills 200
    python -m tests.system.kill --kills 40 --postgres

Studies are sent without pause while the processes of a whole node are killed one by one, at
random, and restarted by their supervisor.  Then nobody is killed any more and the node is to
finish.  It must have lost no instance it acknowledged, and Orthanc must hold exactly the derived
instances that the studies call for, each once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage

from cmr_node.dicom.reading import read
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.study import Plan, simulate_study
from cmr_node.settings import Peer
from cmr_node.store.files import Files
from tests.peers import LOOPBACK, Orthanc, listens, orthanc, postgres, wait_until
from tests.samples import data_set_bytes
from tests.system.node import ROLES, Node, node_settings, running_node

SLICES, PHASES = 3, 4
FINISH_S = 240.0
TURNED = Orientation.ROT90CW


@dataclass
class Sent:
    """What the node acknowledged, and how often it did not."""

    acknowledged: dict[str, bytes] = field(default_factory=dict)
    studies: set[str] = field(default_factory=set)
    unanswered: int = 0


@dataclass(frozen=True)
class Outcome:
    """What was counted in the end."""

    kills: Counter[str]
    acknowledged: int
    lost: list[str]
    altered: list[str]
    unfinished: list[str]
    expected: int
    at_pacs: int
    missing: int
    surplus: int
    seconds: float

    @property
    def clean(self) -> bool:
        return not (self.lost or self.altered or self.unfinished or self.missing or self.surplus)

    def __str__(self) -> str:
        kills = ", ".join(f"{role} {count}" for role, count in sorted(self.kills.items()))
        return (
            f"{sum(self.kills.values())} kills ({kills}) in {self.seconds:.0f} s: "
            f"{self.acknowledged} instances acknowledged, {len(self.lost)} lost, "
            f"{len(self.altered)} altered, {len(self.unfinished)} studies unfinished; "
            f"{self.at_pacs} of {self.expected} derived instances at the PACS, "
            f"{self.missing} missing, {self.surplus} surplus"
        )


def simulated(seed: int) -> list[FileDataset]:
    """A short-axis study stored turned, so that every instance calls for a derived one."""
    plan = Plan(
        seed=seed,
        views=(View.SAX,),
        slices=SLICES,
        phases=PHASES,
        rows=48,
        columns=56,
        pixel_spacing=5.0,
        stored_as={View.SAX: TURNED},
    )
    return list(simulate_study(plan))


def feed(node: Node, studies: Iterator[Sequence[FileDataset]], sent: Sent) -> None:
    """Send study after study, each instance until it is acknowledged."""
    for study in studies:
        waiting = list(study)
        deadline = time.monotonic() + FINISH_S
        while waiting and time.monotonic() < deadline:
            waiting = _send(node.port, waiting, sent)


def _send(port: int, waiting: list[FileDataset], sent: Sent) -> list[FileDataset]:
    if not listens(port):  # killed a moment ago
        time.sleep(0.1)
        return waiting
    ae = AE("KILLER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = 10
    ae.add_requested_context(MRImageStorage, waiting[0].file_meta.TransferSyntaxUID)
    assoc = ae.associate(LOOPBACK, port, ae_title="CMRNODE")
    if not assoc.is_established:
        time.sleep(0.1)
        return waiting
    left = []
    for number, ds in enumerate(waiting):
        try:
            status = assoc.send_c_store(ds)
        except RuntimeError:  # the association is gone
            left += waiting[number:]
            break
        if status and status.Status == 0x0000:
            sent.acknowledged[ds.SOPInstanceUID] = data_set_bytes(ds)
            sent.studies.add(ds.StudyInstanceUID)
        else:
            sent.unanswered += 1
            left.append(ds)
    if assoc.is_established:
        assoc.release()
    return left


def kill_at_random(node: Node, kills: int, chance: random.Random) -> Counter[str]:
    """Kill processes of random roles at random moments; returns how often each."""
    done: Counter[str] = Counter()
    while sum(done.values()) < kills:
        time.sleep(chance.uniform(0.05, 0.8))
        role = chance.choice(ROLES)
        living = node.processes()[role]
        if not living:
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(living), signal.SIGKILL)
            done[role] += 1
            if sum(done.values()) % 20 == 0:
                print(f"{sum(done.values())} kills", file=sys.stderr)
    return done


def unfinished(node: Node, studies: set[str]) -> list[str]:
    """The studies that are not done and delivered."""
    known = node.studies()
    return sorted(
        uid
        for uid in studies
        if uid not in known
        or known[uid]["state"] != "done"
        or any(delivery["state"] != "delivered" for delivery in known[uid]["deliveries"])
    )


def kill_and_count(folder: Path, kills: int, seed: int, database: str = "") -> Outcome:
    """The whole experiment."""
    began = time.monotonic()
    chance = random.Random(seed)
    with orthanc() as pacs:
        peer = Peer(
            name="pacs",
            ae_title=pacs.ae_title,
            host=LOOPBACK,
            port=pacs.port,
            receives=("derived",),
        )
        settings = node_settings(
            folder,
            peer,
            storage={"database": database},
            work={"slots": 2, "crash_limit": 1000},  # every death here is the experiment's
        )
        with running_node(folder, settings) as node:
            sent, stop = Sent(), threading.Event()

            def studies() -> Iterator[Sequence[FileDataset]]:
                number = seed * 100_000
                while not stop.is_set():
                    yield simulated(number)
                    number += 1

            feeder = threading.Thread(target=feed, args=(node, studies(), sent))
            feeder.start()
            done = kill_at_random(node, kills, chance)
            stop.set()
            feeder.join()
            with contextlib.suppress(AssertionError):  # counted below
                wait_until(lambda: not unfinished(node, sent.studies), "all finished", FINISH_S)
            return _count(node, pacs, settings.storage.root, sent, done, time.monotonic() - began)


def _count(
    node: Node, pacs: Orthanc, root: Path, sent: Sent, kills: Counter[str], seconds: float
) -> Outcome:
    files = Files(root)
    lost, altered = [], []
    for uid, sent_bytes in sent.acknowledged.items():
        path = files.path_of(uid)
        if not path.exists():
            lost.append(uid)
        elif data_set_bytes(read(path)) != sent_bytes:
            altered.append(uid)
    sources = Counter(str(read_source(pacs.file(instance))) for instance in pacs.instances())
    expected = set(sent.acknowledged)
    return Outcome(
        kills=kills,
        acknowledged=len(sent.acknowledged),
        lost=lost,
        altered=altered,
        unfinished=unfinished(node, sent.studies),
        expected=len(expected),
        at_pacs=sum(sources.values()),
        missing=len(expected - set(sources)),
        surplus=sum(sources.values()) - len(expected & set(sources)),
        seconds=seconds,
    )


def read_source(part10: bytes) -> str:
    """The SOP Instance UID of the image that a derived image was made from."""
    ds = dcmread(BytesIO(part10), stop_before_pixels=True)
    return str(ds.SourceImageSequence[0].ReferencedSOPInstanceUID)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="index and queue on PostgreSQL")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(postgres()) if arguments.postgres else ""
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kill-")))
        outcome = kill_and_count(folder, arguments.kills, arguments.seed, database)
        print(outcome)
        if not outcome.clean:
            print((folder / "node.log").read_text(errors="replace")[-20_000:], file=sys.stderr)
    return 0 if outcome.clean else 1


if __name__ == "__main__":
    sys.exit(main())
