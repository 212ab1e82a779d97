"""The acceptor's upper layer: pynetdicom's state machine, driven by events instead of polling.

pynetdicom keeps negotiation, C-ECHO, release, abort and the state machine of PS3.8 9.2; its
classes are subclassed, not patched.  What differs:

- a thread sleeps until the socket, a primitive of its own side or a timer wants it; stock looks
  a thousand times a second, twice per association;
- a PDU's length is checked before anything of it is buffered; stock buffers what is announced;
- C-STORE goes from the P-DATA-TF straight to ``StoreService`` and is answered from there; stock
  makes a queue entry, a primitive and a temporary file of every fragment.

Two threads per association, as in pynetdicom: ``AcceptorUpperLayer`` reads, writes and stores;
``AcceptorAssociation`` negotiates, releases and aborts.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import socket
import struct
import threading
from typing import TYPE_CHECKING, Protocol, cast

from pynetdicom import evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_ASSOCIATE

from cmr_node.network.access import Rejection
from cmr_node.network.contexts import supported
from cmr_node.network.store_service import Elsewhere, StoreService
from cmr_node.network.wire import (
    COMMAND,
    LAST,
    PDU_HEADER,
    Pdu,
    PduReader,
    ProtocolFault,
    command_pdus,
    data_pdu,
    pdvs,
)

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.pdu_primitives import _PDUPrimitiveType

logger = logging.getLogger(__name__)

READY, CLOSING = "Sta6", "Sta13"  # PS3.8 9.2: data transfer; awaiting the end of the connection
INVALID_PDU, CLOSED, TIMER_EXPIRED = "Evt19", "Evt17", "Evt18"  # PS3.8 Table 9-10
LENGTH_SLACK_BYTES = 64  # some senders leave the headers out of what they count
ECHOES_WAITING = 64  # what is queued for the association thread, at most
LONG_S = 3600.0


class AcceptorUpperLayer(DULServiceProvider):
    """Reads PDUs as they come, stores what C-STORE brings, leaves the rest to pynetdicom."""

    def __init__(self, assoc: AcceptorAssociation, max_pdu_bytes: int) -> None:
        super().__init__(assoc)
        self.daemon = True
        self._association = assoc
        #: Why this side wants the association to end; "" while it does not.
        self.over = ""
        self._reader = PduReader(max_pdu_bytes + LENGTH_SLACK_BYTES)
        self._store: StoreService | None = None
        self._leaving = False
        self._bell_lock = threading.Lock()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._bell_closed = False

    def ring(self) -> None:
        """Wake the thread; any thread may call it, also after the end."""
        with self._bell_lock:
            if not self._bell_closed:
                os.eventfd_write(self._bell, 1)

    def leave(self) -> None:
        """End the association as soon as no object is in progress."""
        self._leaving = True
        self.ring()

    def cut(self) -> None:
        """End the connection now, whatever is in progress."""
        self._shut(socket.SHUT_RDWR)

    def send_pdu(self, primitive: _PDUPrimitiveType) -> None:
        super().send_pdu(primitive)
        self.ring()

    def kill_dul(self) -> None:
        super().kill_dul()
        self.ring()

    def _process_recv_primitive(self) -> bool:
        """As stock; but what was meant for an association that broke meanwhile is dropped."""
        if self.state_machine.current_state != CLOSING:
            return super()._process_recv_primitive()
        with contextlib.suppress(queue.Empty):
            while True:
                self.to_provider_queue.get_nowait()
        return False

    def run_reactor(self) -> None:
        """Until the association is over.  Whatever happens, both threads and the socket end."""
        self.assoc._dul_ready.set()
        self._idle_timer.start()
        try:
            self._run()
        except Exception:
            # As stock does: past the state machine, since that is what failed.
            logger.exception("upper layer of %s failed", self.assoc.name)
            self.assoc.is_aborted, self.assoc.is_established = True, False
            self.assoc._kill = True
            self.cut()
        finally:
            # Whoever waits for this thread waits for the state machine to be idle.
            self.state_machine.current_state = "Sta1"
            if self._store is not None:
                self._store.lost()
            with self._bell_lock:
                os.close(self._bell)
                self._bell_closed = True
            # An association thread that still waits for an A-ASSOCIATE-RQ takes None for the
            # end of its patience; it would wait on otherwise, for a connection that is gone.
            self.to_user_queue.put(cast(A_ASSOCIATE, None))
            self._association.wake()

    def _run(self) -> None:
        while not self._kill_thread:
            if self.artim_timer.expired:
                self.event_queue.put(TIMER_EXPIRED)
            if not self.event_queue.empty():
                before = self.state_machine.current_state
                self.state_machine.do_action(self.event_queue.get())
                self._acted(before)
            elif not (self._process_recv_primitive() or self._next_pdu()):
                self._wait()

    def _acted(self, before: str) -> None:
        state = self.state_machine.current_state
        if state == CLOSING and before != CLOSING:
            # The peer reads what was sent last (a rejection, an abort) and then the end;
            # closing with unread bytes would take the answer back.
            self._shut(socket.SHUT_WR)
        if not (self.to_user_queue.empty() and self._association.dimse.msg_queue.empty()):
            self._association.wake()

    @property
    def _link(self) -> socket.socket | None:
        """The connection; None once it is closed."""
        return self.socket.socket if self.socket is not None else None

    def _shut(self, how: int) -> None:
        link = self._link
        if link is not None:
            with contextlib.suppress(OSError):  # closed by the other side already
                link.shutdown(how)

    def _next_pdu(self) -> bool:
        """Take or receive something; False if there is nothing to do now."""
        state = self.state_machine.current_state
        if state == READY and self._leaving and not (self._store and self._store.busy):
            self._end("the node stops")
        if self.over and state != CLOSING:
            return False
        try:
            taken = self._reader.take() if state != CLOSING else None
        except ProtocolFault as fault:
            self._fault(fault)
            return True
        if taken is None:
            return self._receive(discard=state == CLOSING)
        kind, body = taken
        if kind is Pdu.DATA and state == READY:
            self._take_data(body)
        else:
            self._hand_over(kind, body)
        self._idle_timer.restart()
        return True

    def _receive(self, *, discard: bool) -> bool:
        link, room = self._link, self._reader.room()
        try:
            size = link.recv_into(room, len(room), socket.MSG_DONTWAIT) if link else 0
        except BlockingIOError:
            return False
        except OSError as error:
            logger.info("connection of %s broke: %s", self._association.peer_name, error)
            size = 0
        if size == 0:
            self.event_queue.put(CLOSED)
        elif not discard:
            self._reader.received(size)
            self._idle_timer.restart()
        return True

    def _take_data(self, body: bytes) -> None:
        if self._store is None:
            self._store = self._association.store_service(self._to_pynetdicom)
        try:
            for pdv in pdvs(body):
                answer = self._store.take(pdv)
                if answer is not None and self._link is not None:
                    context_id, command = answer
                    maximum = self.assoc.requestor.maximum_length or 0
                    self._link.sendall(command_pdus(context_id, command, maximum))
        except ProtocolFault as fault:
            self._fault(fault)
        except OSError as error:
            logger.info("connection of %s broke: %s", self._association.peer_name, error)
            self.event_queue.put(CLOSED)

    def _to_pynetdicom(self, context_id: int, command: bytes) -> None:
        waiting = self.event_queue.qsize() + self._association.dimse.msg_queue.qsize()
        if waiting >= ECHOES_WAITING:  # one at a time is what was negotiated
            raise ProtocolFault(f"another C-ECHO-RQ before the answers to {waiting}")
        pdu = data_pdu(context_id, COMMAND | LAST, command)
        self._hand_over(Pdu.DATA, pdu[PDU_HEADER.size :])

    def _hand_over(self, kind: Pdu, body: bytes) -> None:
        whole = PDU_HEADER.pack(kind, len(body)) + body
        try:
            pdu, event = self._decode_pdu(bytearray(whole))
        except Exception as error:  # noqa: BLE001 - pynetdicom's decoders raise whatever comes
            self._fault(ProtocolFault(f"{kind.name} PDU cannot be decoded: {error!r}"))
            return
        self._recv_pdu.put(pdu)
        self.event_queue.put(event)

    def _fault(self, fault: ProtocolFault) -> None:
        logger.warning("protocol fault of %s: %s", self._association.peer_name, fault)
        self.event_queue.put(INVALID_PDU)

    def _end(self, why: str) -> None:
        if not self.over:
            self.over = why
            self._association.wake()

    def _wait(self) -> None:
        seconds = LONG_S
        state = self.state_machine.current_state
        if state in ("Sta2", CLOSING) and self.artim_timer.timeout is not None:
            seconds = max(0.0, self.artim_timer.remaining)
        elif state == READY and self._idle_timer.timeout is not None and not self.over:
            seconds = max(0.0, self._idle_timer.remaining)
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        if self._link is not None and not (self.over and state != CLOSING):
            poll.register(self._link, select.POLLIN)
        poll.poll(1000 * seconds + 1)
        with contextlib.suppress(BlockingIOError):  # the bell was not rung
            os.eventfd_read(self._bell)
        if state == READY and self.idle_timer_expired():
            self._end(f"silent for {self._idle_timer.timeout} s")


class Host(Protocol):
    """What an association asks of the SCP it belongs to."""

    def admit(self, association: AcceptorAssociation) -> Rejection | None:
        """Why the peer is turned away; None if it is let in."""

    def store_service(self, association: AcceptorAssociation, elsewhere: Elsewhere) -> StoreService:
        """The C-STORE service of an established association."""

    def over(self, association: AcceptorAssociation) -> None:
        """The association has ended, its connection perhaps not; may be told twice."""

    def gone(self, association: AcceptorAssociation) -> None:
        """The connection is closed too."""


class AcceptorAssociation(Association):
    """One association that a peer asked for; sleeps until its upper layer wakes it."""

    dul: AcceptorUpperLayer
    acse: AcceptorACSE

    def __init__(
        self,
        ae: ApplicationEntity,
        connection: socket.socket,
        address: str,
        host: Host,
    ) -> None:
        super().__init__(ae, MODE_ACCEPTOR)
        self.acse = AcceptorACSE(self)
        self.dul = AcceptorUpperLayer(self, ae.maximum_pdu_size)
        # Setting them again hands them to the timers of the new upper layer.
        self.acse_timeout, self.network_timeout = ae.acse_timeout, ae.network_timeout
        self.address = address
        self._connection = connection
        self.peer_name = "an unknown peer"
        self._host = host
        self._bell = threading.Event()

    def wake(self) -> None:
        """Let the association thread look at what its upper layer has for it."""
        self._bell.set()

    @property
    def asked(self) -> A_ASSOCIATE:
        """What the peer asked for."""
        primitive = self.requestor.primitive
        if primitive is None:
            raise RuntimeError("the peer has not asked for an association yet")
        return primitive

    def admit(self) -> Rejection | None:
        """Why the peer is turned away; None if it is let in."""
        return self._host.admit(self)

    def store_service(self, elsewhere: Elsewhere) -> StoreService:
        """The C-STORE service of this association, once it is established."""
        return self._host.store_service(self, elsewhere)

    def run_reactor(self) -> None:
        """The whole life of the association."""
        try:
            super().run_reactor()
        finally:
            self.dul.cut()
            if self._started_dul:
                self.dul.join()
            self._connection.close()  # pynetdicom leaves it open where shutting it down fails
            self._host.over(self)
            self._host.gone(self)

    def _run_reactor(self) -> None:
        # The steps of pynetdicom's loop, each time the upper layer rings.
        while not self._kill:
            self._bell.wait()
            self._bell.clear()
            context_id, message = self.dimse.get_msg(block=False)
            while message and context_id is not None:
                self._serve_request(message, context_id)
                context_id, message = self.dimse.get_msg(block=False)
            if self.is_established and self.acse.is_release_requested():
                self.acse.send_release(is_response=True)
                self.is_released, self.is_established = True, False
                evt.trigger(self, evt.EVT_RELEASED, {})
                self._host.over(self)
                self.kill()
            elif self.acse.is_aborted():
                self.dul.receive_pdu(wait=False)
                self.is_aborted, self.is_established = True, False
                evt.trigger(self, evt.EVT_ABORTED, {})
                self._host.over(self)
                self.kill()
            elif self.dul.over:
                logger.warning("association of %s aborted: %s", self.peer_name, self.dul.over)
                self._host.over(self)
                self.abort()
            elif not self.dul.is_alive():
                self.kill()


class AcceptorACSE(ACSE):
    """pynetdicom's negotiation behind our own list, with the contexts of ``contexts``."""

    def negotiate_association(self) -> None:
        """Accept or reject what the peer asked for."""
        association = cast("AcceptorAssociation", self.assoc)
        rejection = association.admit()
        if rejection is None:
            proposed = association.asked.presentation_context_definition_list
            self.acceptor.supported_contexts = supported(proposed)
            super().negotiate_association()
            return
        self.send_reject(rejection.result, rejection.source, rejection.diagnostic)
        self.assoc.is_rejected = True
        evt.trigger(self.assoc, evt.EVT_REJECTED, {})
        self.assoc.kill()


def configure(connection: socket.socket, send_timeout_s: float) -> None:
    """No delay of answers, and no waiting for ever for a peer that does not read them."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    seconds = int(send_timeout_s)
    micros = int((send_timeout_s - seconds) * 1e6)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", seconds, micros))
    connection.settimeout(None)  # receiving never blocks: MSG_DONTWAIT
