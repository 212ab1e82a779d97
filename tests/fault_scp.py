"""A PACS that misbehaves: stock pynetdicom with a handler that answers, hangs, or aborts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from socketserver import BaseServer
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer

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
    sockets: list[Any] = []

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

    def connected(event: Any) -> None:
        sockets.append(event.assoc.dul.socket.socket)

    ae = AE(ae_title)
    ae.maximum_pdu_size = max_pdu
    ae.maximum_associations = maximum_associations
    ae.require_called_aet = True
    ae.add_supported_context(Verification)
    for abstract, syntaxes in contexts:
        ae.add_supported_context(abstract, list(syntaxes))
    server = ae.make_server(
        ("127.0.0.1", 0),
        server_class=ThreadedAssociationServer,
        evt_handlers=[
            (evt.EVT_C_STORE, store),
            (evt.EVT_ACCEPTED, opened),
            (evt.EVT_CONN_OPEN, connected),
        ],
    )
    scp.port = server.server_address[1]
    accepting = threading.Thread(target=server.serve_forever, args=(0.02,))
    accepting.start()
    try:
        yield scp
    finally:
        scp.hung_up.set()
        BaseServer.shutdown(server)
        accepting.join()
        server.server_close()
        for association in ae.active_associations:
            if association.is_established:
                association.abort()
        deadline = time.monotonic() + 5
        while any("Acceptor" in t.name for t in threading.enumerate()):
            if time.monotonic() > deadline:
                raise AssertionError("the faulty PACS does not end")
            time.sleep(0.01)
        for one in sockets:
            one.close()
