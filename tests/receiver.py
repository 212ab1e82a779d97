"""The door in as a process of its own, wired to the real store: ``python -m tests.receiver ROOT``.

``--stock`` puts pynetdicom's own SCP before the same store, ``--discard`` takes the store away;
both are for comparison.  The port is printed; SIGTERM stops it.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, evt

from cmr_node.network.access import Access
from cmr_node.network.scp import StoreScp
from cmr_node.network.store_service import Intake as Door
from cmr_node.settings import LOOPBACK, Receive, Storage
from cmr_node.store.database import Database
from cmr_node.store.index import Index
from cmr_node.store.intake import Intake
from tests.peers import listens, process

AE_TITLE = "CMRNODE"


class Kept(Enum):
    STORED = "stored"


class Discarding:
    """An intake that takes everything and keeps nothing."""

    def begin(self, *_: str) -> Discarding:
        return self

    def write(self, fragment: bytes | memoryview) -> None: ...

    def keep(self) -> Kept:
        return Kept.STORED

    def discard(self) -> None: ...


def stock(intake: Door, port: int) -> Any:
    """pynetdicom as it comes, raw bytes, before the same store."""

    def store(event: Any) -> int:
        request = event.request
        reception = intake.begin(
            str(request.AffectedSOPClassUID),
            str(request.AffectedSOPInstanceUID),
            str(event.context.transfer_syntax),
            str(event.assoc.requestor.ae_title),
        )
        reception.write(event.encoded_dataset(include_meta=False))
        reception.keep()
        return 0

    ae = AE(AE_TITLE)
    ae.maximum_associations = 20
    ae.maximum_pdu_size = Receive().max_pdu_bytes
    ae.supported_contexts = AllStoragePresentationContexts
    return ae.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--discard", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    storage = Storage(root=arguments.root, soft_free_bytes=0, hard_free_bytes=0)
    arguments.root.mkdir(parents=True, exist_ok=True)
    database = Database.open(storage.index_url)
    intake = Intake(storage, Index(database))
    door: Door = Discarding() if arguments.discard else intake
    if arguments.stock:
        server = stock(door, arguments.port)
        stop.wait()
        server.shutdown()
    else:
        receive = Receive(host="127.0.0.1", port=arguments.port, ae_title=AE_TITLE)
        scp = StoreScp(receive, Access(AE_TITLE, LOOPBACK), door)
        scp.start()
        print(scp.port, flush=True)
        stop.wait()
        scp.stop()
    intake.close()
    database.close()
    return 0


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver."""

    port: int
    root: Path
    pid: int
    ae_title: str = AE_TITLE


@contextmanager
def receiver(root: Path, port: int, *options: str) -> Iterator[Receiver]:
    """Run one until the block is left."""
    arguments = [sys.executable, "-m", "tests.receiver", str(root), "--port", str(port), *options]
    checkout = Path(__file__).parents[1]
    log = root.parent / f"{root.name}-receiver.log"
    with process(arguments, lambda: listens(port), log, cwd=checkout) as child:
        yield Receiver(port, root, child.pid)


if __name__ == "__main__":
    sys.exit(main())
