"""A PACS that misbehaves: stock pynetdicom with a handler that answers, hangs, or aborts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

#: Gives the status for the n-th instance (from 0); may sleep, abort the association or raise.
Answer = Callable[[int, Any], int]


@dataclass
class FaultScp:
    """What came, in order of arrival, as (SOP Instance UID, data set bytes)."""

    port: int = 0
    ae_title: str = "FAULTY"
    came: list[tuple[str, bytes]] = field(default_factory=list)
    associations: int = 0
    hung_up: threading.Event = field(default_factory=threading.Event)


@contextmanager
def fault_scp(
    answer: Answer = lambda number, event: 0,
    contexts: Sequence[tuple[str, Sequence[str]]] = (),
    max_pdu: int = 16382,
    ae_title: str = "FAULTY",
    maximum_associations: int = 20,
) -> Iterator[FaultScp]:
    """Run one; ``answer`` decides about each instance."""
    scp, lock = FaultScp(ae_title=ae_title), threading.Lock()

    def store(event: Any) -> int:
        with lock:
            number = len(scp.came)
            scp.came.append(
                (str(event.request.AffectedSOPInstanceUID), event.encoded_dataset(False))
            )
        return answer(number, event)

    def opened(event: Any) -> None:
        with lock:
            scp.associations += 1

    ae = AE(ae_title)
    ae.maximum_pdu_size = max_pdu
    ae.maximum_associations = maximum_associations
    ae.require_called_aet = True
    ae.add_supported_context(Verification)
    for abstract, syntaxes in contexts:
        ae.add_supported_context(abstract, list(syntaxes))
    server = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, store), (evt.EVT_ACCEPTED, opened)],
    )
    scp.port = server.server_address[1]
    try:
        yield scp
    finally:
        scp.hung_up.set()
        ae.shutdown()
        deadline = time.monotonic() + 5
        while any("Acceptor" in t.name for t in threading.enumerate()):
            if time.monotonic() > deadline:
                raise AssertionError("the faulty PACS does not end")
            time.sleep(0.01)
