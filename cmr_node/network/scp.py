"""The door in: a C-STORE and C-ECHO SCP.

The promise kept here: whoever is on the list may send anything that is storage, in any transfer
syntax, and is told Success only for what is durable; everybody else is turned away at the first
PDU with the reason that PS3.8 has for it.  How: ``access`` says who, ``contexts`` what,
``upper_layer`` moves the bytes, ``store_service`` answers.

Limits: associations by setting (one more is rejected as transient), connections that have not
asked for one by ``CONNECTIONS_BESIDE``, those from addresses not on the list by ``STRANGERS``;
a connection past these is closed at once, so that silence cannot lock the peers out.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from socketserver import BaseServer
from typing import Any, Protocol, cast

from pynetdicom import AE
from pynetdicom.transport import (
    AddressInformation,
    AssociationServer,
    AssociationSocket,
    RequestHandler,
)

from cmr_node import __version__
from cmr_node.dicom.part10 import IMPLEMENTATION_VERSION_NAME
from cmr_node.dicom.products import IMPLEMENTATION_CLASS_UID
from cmr_node.network.access import Access, Rejection, too_many
from cmr_node.network.contexts import VERIFICATION
from cmr_node.network.status import Status
from cmr_node.network.store_service import Elsewhere, Intake, StoreService
from cmr_node.network.upper_layer import AcceptorAssociation, configure
from cmr_node.settings import Peer, Receive

logger = logging.getLogger(__name__)

CONNECTIONS_BESIDE = 32  # connections without an association yet, beside max_associations
STRANGERS = 8  # of these, from addresses where no sender is listed
ACCEPT_POLL_S = 0.1


class Observer(Protocol):
    """Told what happens at the door; from several threads."""

    def association_opened(self, peer: str) -> None:
        """An association with the peer of this name was accepted."""

    def association_rejected(self, reason: str) -> None:
        """One was turned away: called_ae, calling_ae, address, local_limit or connections."""

    def association_closed(self, peer: str, outcome: str, seconds: float) -> None:
        """One ended: released, or aborted by either side."""

    def instance_answered(self, peer: str, status: int, size_bytes: int, seconds: float) -> None:
        """A C-STORE was answered; the time is from its command to its answer."""


class Unobserved:
    """An observer that keeps nothing."""

    def association_opened(self, peer: str) -> None: ...

    def association_rejected(self, reason: str) -> None: ...

    def association_closed(self, peer: str, outcome: str, seconds: float) -> None: ...

    def instance_answered(
        self, peer: str, status: int, size_bytes: int, seconds: float
    ) -> None: ...


class StoreScp:
    """Listens from ``start`` to ``stop``.

    Parameters
    ----------
    settings
        The section ``[receive]``.
    access
        Who may come in.
    intake
        Where instances go.
    observer
        Told what happens.
    """

    def __init__(
        self, settings: Receive, access: Access, intake: Intake, observer: Observer | None = None
    ) -> None:
        self._settings = settings
        self._access = access
        self._intake = intake
        self._observer: Observer = observer or Unobserved()
        self._lock = threading.Lock()
        self._connections: dict[AcceptorAssociation, bool] = {}  # True: a stranger's
        self._admitted: dict[AcceptorAssociation, tuple[Peer, float]] = {}
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; returns when peers can connect.

        Raises
        ------
        OSError
            The address cannot be listened on.
        """
        ae = AE(ae_title=self._settings.ae_title)
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.maximum_pdu_size = self._settings.max_pdu_bytes
        ae.acse_timeout = self._settings.connect_timeout
        ae.network_timeout = self._settings.idle_timeout
        ae.maximum_associations = 1 << 30  # counted here, where silent connections do not count
        ae.add_supported_context(VERIFICATION)
        address = (self._settings.host, self._settings.port)
        server = cast(
            _Server, ae.make_server(address, server_class=_Server, request_handler=_Handler)
        )
        server.scp, self._server = self, server
        self._thread = threading.Thread(
            target=server.serve_forever,
            args=(ACCEPT_POLL_S,),
            name="receive-accept",
            daemon=True,
        )
        self._thread.start()
        logger.info(
            "AE %s of cmr-node %s listens on %s port %d",
            self._settings.ae_title,
            __version__,
            self._settings.host,
            self.port,
        )

    @property
    def port(self) -> int:
        """The port listened on; the one found free where the setting says 0."""
        if self._server is None:
            raise RuntimeError("the SCP is not started")
        return int(self._server.server_address[1])

    @property
    def associations(self) -> int:
        """How many associations are open."""
        with self._lock:
            return len(self._admitted)

    def stop(self, grace_s: float = 3.0) -> None:
        """Take no more; objects in progress may end within ``grace_s``, then connections are cut.

        Returns within ``grace_s`` + 2 s, unless the store blocks for longer.
        """
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        deadline = time.monotonic() + grace_s
        with self._lock:
            open_now = list(self._connections)
            for association in open_now:
                if association in self._admitted:
                    association.dul.leave()
                else:
                    association.dul.cut()
        for association in open_now:
            association.join(max(0.0, deadline - time.monotonic()))
        for association in open_now:
            if association.is_alive():
                logger.warning("association of %s cut off", association.peer_name)
                association.dul.cut()
        deadline = time.monotonic() + 2
        for association in open_now:
            association.join(max(0.0, deadline - time.monotonic()))
        self._server = self._thread = None

    def may_connect(self, address: str) -> bool:
        """Whether one more connection from ``address`` can be held."""
        stranger = not self._access.knows(address)
        with self._lock:
            beside = len(self._connections) - len(self._admitted)
            strangers = sum(self._connections.values())
        if beside < CONNECTIONS_BESIDE and not (stranger and strangers >= STRANGERS):
            return True
        logger.warning("connection from %s closed: %d wait already", address, beside)
        self._observer.association_rejected("connections")
        return False

    def connected(self, connection: socket.socket, address: Any, server: _Server) -> None:
        """Give a connection an association of its own."""
        configure(connection, self._settings.idle_timeout)
        association = AcceptorAssociation(server.ae, connection, address[0], self)
        association._server = server
        association.name = f"AcceptorThread-{address[0]}-{address[1]}"
        association.set_socket(AssociationSocket(association, client_socket=connection))
        association.requestor.address_info = AddressInformation.from_tuple(address)
        association.acceptor.address_info = AddressInformation.from_tuple(server.server_address)
        association.acceptor.maximum_length = server.ae.maximum_pdu_size
        association.acceptor.ae_title = server.ae_title
        association.acceptor.implementation_class_uid = server.ae.implementation_class_uid
        association.acceptor.implementation_version_name = server.ae.implementation_version_name
        stranger = not self._access.knows(address[0])  # may ask the name service: not locked
        with self._lock:
            self._connections[association] = stranger
        try:
            association.start()
        except RuntimeError:  # no thread to be had
            self.gone(association)
            connection.close()
            raise

    def admit(self, association: AcceptorAssociation) -> Rejection | None:
        """Whether an association is let in: by the list, then by the number open."""
        calling, called = association.asked.calling_ae_title, association.asked.called_ae_title
        found = self._access.admit(calling or "", called or "", association.address)
        if isinstance(found, Peer):
            with self._lock:
                if len(self._admitted) < self._settings.max_associations:
                    self._admitted[association] = (found, time.monotonic())
                    association.peer_name = found.name
                    admitted = True
                else:
                    admitted = False
            if admitted:
                logger.info(
                    "association of %s (%r at %s)",
                    found.name,
                    calling,
                    association.address,
                )
                self._observer.association_opened(found.name)
                return None
            found = too_many(self._settings.max_associations)
        logger.warning("association from %s rejected: %s", association.address, found.reason)
        self._observer.association_rejected(found.label)
        return found

    def store_service(self, association: AcceptorAssociation, elsewhere: Elsewhere) -> StoreService:
        """The C-STORE service of an association that was let in."""

        def answered(status: Status, size_bytes: int, seconds: float) -> None:
            self._observer.instance_answered(association.peer_name, status, size_bytes, seconds)

        return StoreService(
            self._intake,
            {
                cast(int, context.context_id): str(context.transfer_syntax[0])
                for context in association.accepted_contexts
            },
            str(association.requestor.ae_title).strip(),
            self._settings.same_uid_other_content,
            answered,
            elsewhere,
        )

    def over(self, association: AcceptorAssociation) -> None:
        """Another association may take its place."""
        with self._lock:
            peer, since = self._admitted.pop(association, (None, 0.0))
        if peer is None:
            return
        outcome = "released" if association.is_released else "aborted"
        logger.info("association of %s %s", peer.name, outcome)
        self._observer.association_closed(peer.name, outcome, time.monotonic() - since)

    def gone(self, association: AcceptorAssociation) -> None:
        """Its connection is closed."""
        with self._lock:
            self._connections.pop(association, None)


class _Handler(RequestHandler):
    """Hands an accepted connection to the SCP; returns at once."""

    server: _Server

    def handle(self) -> None:
        self.server.scp.connected(self.request, self.client_address, self.server)


class _Server(AssociationServer):
    """Accepts connections."""

    request_queue_size = 128
    scp: StoreScp

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self.scp.may_connect(client_address[0])

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.exception("connection from %s not served", client_address[0])

    def shutdown(self) -> None:
        BaseServer.shutdown(self)  # pynetdicom's would look for a server started by its AE
        self.server_close()
