"""An association this node asks for: one blocking socket, one thread, one message at a time.

The promise kept here: every wait has an end, and an association on which anything went wrong
(time-out, abort, nonsense) is closed there and then, so that no later answer can be taken for
that of another instance.  An object is sent piece by piece; it costs one piece of memory.

pynetdicom encodes and decodes the negotiation.  Its own requestor is not used: it queues a whole
object in memory before it is sent, and polls (166-240 instances a second where this does 1500).
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from cmr_node.dicom.part10 import IMPLEMENTATION_VERSION_NAME
from cmr_node.dicom.products import IMPLEMENTATION_CLASS_UID
from cmr_node.errors import PeerRefused, PeerUnreachable
from cmr_node.network.wire import (
    COMMAND,
    COMMAND_LIMIT_BYTES,
    LAST,
    NO_DATA_SET,
    PDU_HEADER,
    PDV_HEADER,
    Command,
    Element,
    Field,
    Pdu,
    PduReader,
    ProtocolFault,
    command_pdus,
    data_pdu,
    encode_command,
    pdvs,
)

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1
MAX_PDU_BYTES = 64 << 10  # what a peer may send: answers only
PIECE_BYTES = 128 << 10  # what is sent at once, where the peer takes as much
RELEASE_S = 2.0
COMMENT_CHARACTERS = 64  # PS3.7 Annex E: Error Comment is one LO
WITH_DATA_SET, MEDIUM = 0x0001, 0x0000  # PS3.7 Table E.1-1
RELEASE_PDU = PDU_HEADER.pack(Pdu.RELEASE_RQ, 4) + bytes(4)
ABORT_PDU = PDU_HEADER.pack(Pdu.ABORT, 4) + bytes(4)  # by the service user


@dataclass(frozen=True, slots=True)
class Address:
    """Whom to call, and as whom."""

    host: str
    port: int
    called_ae: str
    calling_ae: str

    def __str__(self) -> str:
        return f"{self.called_ae} at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Proposed:
    """A presentation context to propose."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


class Requested:
    """An open association.

    Parameters
    ----------
    address
        The peer.
    contexts
        Up to 128, proposed with the ids 1, 3, 5, ...
    connect_timeout, response_timeout
        Longest wait for the association, and for the answer to one message (s).

    Raises
    ------
    PeerRefused
        The peer rejected the association for good.
    PeerUnreachable
        No connection, rejected for now, aborted, or no answer in time.
    """

    def __init__(
        self,
        address: Address,
        contexts: Sequence[Proposed],
        connect_timeout: float,
        response_timeout: float,
    ) -> None:
        self._address = address
        self._contexts = contexts
        self._response_timeout = response_timeout
        self._message_id = 0
        self._maximum_bytes = 0
        self._reader = PduReader(MAX_PDU_BYTES)
        #: Transfer syntax by id of each context the peer accepted.
        self.accepted: Mapping[int, str] = {}
        deadline = time.monotonic() + connect_timeout
        try:
            self._socket = socket.create_connection((address.host, address.port), connect_timeout)
        except OSError as error:
            raise PeerUnreachable(f"{address}: no connection: {error}") from error
        with self._closing_on_failure():
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._send(self._request())
            self._negotiated(*self._receive(deadline, "an association"))

    def store(
        self,
        context_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        size_bytes: int,
        pieces: Iterable[bytes],
    ) -> tuple[int, str]:
        """C-STORE one data set of ``size_bytes``; gives status and Error Comment of the answer.

        Raises
        ------
        PeerUnreachable
            The association broke; whether the peer has the instance is not known.
        """
        self._message_id = self._message_id % 0xFFFF + 1
        command = encode_command(
            {
                Element.AFFECTED_SOP_CLASS_UID: sop_class_uid,
                Element.COMMAND_FIELD: Field.C_STORE_RQ,
                Element.MESSAGE_ID: self._message_id,
                Element.PRIORITY: MEDIUM,
                Element.COMMAND_DATA_SET_TYPE: WITH_DATA_SET,
                Element.AFFECTED_SOP_INSTANCE_UID: sop_instance_uid,
            }
        )
        with self._closing_on_failure():
            waiting = [command_pdus(context_id, command, self._maximum_bytes)]
            left = size_bytes
            for piece in pieces:
                for part in _cut(piece, self.piece_bytes):
                    left -= len(part)
                    waiting.append(data_pdu(context_id, 0 if left else LAST, part))
                self._send(b"".join(waiting))
                waiting = []
            if left:
                raise OSError(f"{left} of {size_bytes} bytes are missing from the file")
            if not size_bytes:
                self._send(b"".join((*waiting, data_pdu(context_id, LAST, b""))))
            answer = self._answer(Field.C_STORE_RSP)
            return answer.number(Element.STATUS), _plain(answer.text(Element.ERROR_COMMENT))

    def echo(self, context_id: int) -> int:
        """C-ECHO; gives the status of the answer.  Raises as ``store``."""
        self._message_id = self._message_id % 0xFFFF + 1
        command = encode_command(
            {
                Element.AFFECTED_SOP_CLASS_UID: self._contexts[context_id // 2].abstract_syntax,
                Element.COMMAND_FIELD: Field.C_ECHO_RQ,
                Element.MESSAGE_ID: self._message_id,
                Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
            }
        )
        with self._closing_on_failure():
            self._send(command_pdus(context_id, command, self._maximum_bytes))
            return self._answer(Field.C_ECHO_RSP).number(Element.STATUS)

    @property
    def piece_bytes(self) -> int:
        """The largest piece of a data set that fits into one PDU of the peer."""
        most = self._maximum_bytes - PDV_HEADER.size if self._maximum_bytes else PIECE_BYTES
        return max(1, min(most, PIECE_BYTES))

    def release(self) -> None:
        """End in order; what was answered stands whether or not the peer agrees to the end."""
        with contextlib.suppress(PeerUnreachable), self._closing_on_failure():
            self._send(RELEASE_PDU)
            deadline = time.monotonic() + RELEASE_S
            while self._receive(deadline, "the release")[0] is Pdu.DATA:
                pass
        self._socket.close()

    def abort(self) -> None:
        """End at once."""
        with contextlib.suppress(OSError):
            self._socket.settimeout(RELEASE_S)
            self._socket.sendall(ABORT_PDU)
        self._socket.close()

    @contextlib.contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        try:
            yield
        except (PeerUnreachable, PeerRefused):
            self.abort()
            raise
        except ProtocolFault as fault:
            self.abort()
            raise PeerUnreachable(f"{self._address}: {fault}") from fault
        except OSError as error:
            self.abort()
            raise PeerUnreachable(f"{self._address}: the connection broke: {error}") from error

    def _request(self) -> bytes:
        primitive = A_ASSOCIATE()
        primitive.application_context_name = APPLICATION_CONTEXT
        primitive.calling_ae_title = self._address.calling_ae
        primitive.called_ae_title = self._address.called_ae
        proposed = []
        for number, context in enumerate(self._contexts):
            item = build_context(context.abstract_syntax, list(context.transfer_syntaxes))
            item.context_id = 2 * number + 1
            proposed.append(item)
        primitive.presentation_context_definition_list = proposed
        length, uid = MaximumLengthNotification(), ImplementationClassUIDNotification()
        version = ImplementationVersionNameNotification()
        length.maximum_length_received = MAX_PDU_BYTES
        uid.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        primitive.user_information = [length, uid, version]
        pdu = A_ASSOCIATE_RQ()
        pdu.from_primitive(primitive)
        return pdu.encode()

    def _negotiated(self, kind: Pdu, body: bytes) -> None:
        whole = PDU_HEADER.pack(kind, len(body)) + body
        try:
            if kind is Pdu.ASSOCIATE_AC:
                accept = A_ASSOCIATE_AC()
                accept.decode(whole)
                primitive = accept.to_primitive()
                self._maximum_bytes = primitive.maximum_length_received or 0
                results = primitive.presentation_context_definition_results_list
                self.accepted = {
                    cast(int, context.context_id): str(context.transfer_syntax[0])
                    for context in results
                    if context.result == 0
                }
                return
            if kind is Pdu.ASSOCIATE_RJ:
                reject = A_ASSOCIATE_RJ()
                reject.decode(whole)
                said = f"{self._address}: association rejected, {reject.reason_str}"
                refused = PeerRefused if reject.result == 1 else PeerUnreachable
        except Exception as error:
            # pynetdicom's decoders raise whatever their fields do.
            raise ProtocolFault(f"{kind.name} PDU cannot be decoded: {error!r}") from error
        if kind is Pdu.ASSOCIATE_RJ:
            raise refused(said)
        raise ProtocolFault(f"{kind.name} PDU in answer to A-ASSOCIATE-RQ")

    def _answer(self, field: Field) -> Command:
        deadline = time.monotonic() + self._response_timeout
        encoded = bytearray()
        while True:
            kind, body = self._receive(deadline, f"the answer to message {self._message_id}")
            if kind is not Pdu.DATA:
                raise ProtocolFault(f"{kind.name} PDU instead of an answer")
            for pdv in pdvs(body):
                if not pdv.control & COMMAND:
                    raise ProtocolFault("a data set instead of an answer")
                encoded += pdv.fragment
                if len(encoded) > COMMAND_LIMIT_BYTES:
                    raise ProtocolFault(f"an answer of more than {COMMAND_LIMIT_BYTES} bytes")
                if pdv.control & LAST:
                    answer = Command(bytes(encoded))
                    replied = answer.number(Element.MESSAGE_ID_BEING_RESPONDED_TO)
                    if answer.field != field or replied != self._message_id:
                        raise ProtocolFault(
                            f"an answer 0x{answer.field:04X} to message {replied}, "
                            f"expected 0x{field:04X} to {self._message_id}"
                        )
                    return answer

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(self._response_timeout)
        self._socket.sendall(data)

    def _receive(self, deadline: float, awaited: str) -> tuple[Pdu, bytes]:
        while (taken := self._reader.take()) is None:
            left = deadline - time.monotonic()
            try:
                if left <= 0:  # a peer that talks on and on ends here too
                    raise TimeoutError
                self._socket.settimeout(left)
                size = self._socket.recv_into(self._reader.room())
            except TimeoutError as error:
                raise PeerUnreachable(
                    f"{self._address}: no answer, waited for {awaited}"
                ) from error
            if size == 0:
                raise PeerUnreachable(
                    f"{self._address}: the peer closed the connection before {awaited}"
                )
            self._reader.received(size)
        if taken[0] is Pdu.ABORT:
            raise PeerUnreachable(f"{self._address}: the peer aborted before {awaited}")
        return taken


def _plain(comment: str) -> str:
    """A peer's Error Comment as LO may be (PS3.5 6.2): it goes on to log, database and terminal."""
    return "".join(c if " " <= c <= "~" else "?" for c in comment)[:COMMENT_CHARACTERS]


def _cut(piece: bytes, size_bytes: int) -> Iterator[memoryview]:
    """The piece in parts no longer than ``size_bytes``."""
    view = memoryview(piece)
    for at in range(0, len(view), size_bytes):
        yield view[at : at + size_bytes]
