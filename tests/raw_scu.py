"""A C-STORE sender that writes the bytes itself: fast, and able to misbehave.

Negotiation is pynetdicom's encoding; the rest is written here from PS3.7 and PS3.8, apart from
``cmr_node.network.wire``, so that it is an oracle for it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence

from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

RELEASE_RQ = b"\x05\x00\x00\x00\x00\x04" + bytes(4)
ABORT = b"\x07\x00\x00\x00\x00\x04" + bytes(4)


def associate_rq(
    called: str, calling: str, contexts: Sequence[tuple[str, Sequence[str]]], max_pdu: int = 65536
) -> bytes:
    """An A-ASSOCIATE-RQ; the contexts get the ids 1, 3, 5, ..."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    proposed = []
    for number, (abstract, transfer) in enumerate(contexts):
        context = build_context(abstract, list(transfer))
        context.context_id = 2 * number + 1
        proposed.append(context)
    primitive.presentation_context_definition_list = proposed
    length, uid = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = max_pdu
    uid.implementation_class_uid = "1.2.3"
    primitive.user_information = [length, uid]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def element(number: int, value: bytes) -> bytes:
    """One element of a command set."""
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHL", 0, number, len(value)) + value


def store_rq(sop_class: str, sop_instance: str, message: int = 1, data_set: int = 1) -> bytes:
    """The command set of a C-STORE-RQ; ``data_set`` 0x0101 says that none follows."""
    body = b"".join(
        (
            element(0x0002, sop_class.encode()),
            element(0x0100, struct.pack("<H", 1)),
            element(0x0110, struct.pack("<H", message)),
            element(0x0700, struct.pack("<H", 0)),
            element(0x0800, struct.pack("<H", data_set)),
            element(0x1000, sop_instance.encode()),
        )
    )
    return element(0, struct.pack("<L", len(body))) + body


def echo_rq(message: int = 1) -> bytes:
    """The command set of a C-ECHO-RQ."""
    body = b"".join(
        (
            element(0x0002, b"1.2.840.10008.1.1"),
            element(0x0100, struct.pack("<H", 0x30)),
            element(0x0110, struct.pack("<H", message)),
            element(0x0800, struct.pack("<H", 0x0101)),
        )
    )
    return element(0, struct.pack("<L", len(body))) + body


def pdv(context: int, control: int, fragment: bytes) -> bytes:
    """A presentation data value item."""
    return struct.pack(">LBB", len(fragment) + 2, context, control) + fragment


def p_data(*items: bytes) -> bytes:
    """A P-DATA-TF of presentation data value items."""
    body = b"".join(items)
    return struct.pack(">BxL", 4, len(body)) + body


def fragments(context: int, kind: int, whole: bytes, size: int) -> list[bytes]:
    """``whole`` as items of ``size`` bytes; ``kind`` 1 is a command set, 0 a data set."""
    cuts = [whole[at : at + size] for at in range(0, len(whole), size)] or [b""]
    last = len(cuts) - 1
    return [pdv(context, kind | (2 if n == last else 0), cut) for n, cut in enumerate(cuts)]


def store_pdus(context: int, command: bytes, data: bytes, size: int = 120_000) -> bytes:
    """A whole C-STORE-RQ, one item per PDU."""
    items = fragments(context, 1, command, size) + fragments(context, 0, data, size)
    return b"".join(p_data(item) for item in items)


class RawScu:
    """A connection; ``accepted`` maps context id to transfer syntax after ``associate``."""

    def __init__(self, port: int, timeout_s: float = 20.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accepted: dict[int, str] = {}

    def __enter__(self) -> RawScu:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> tuple[int, bytes]:
        """The next PDU: type and body; (0, b"") at the end of the connection."""
        header = self._exactly(6)
        if len(header) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxL", header)
        return kind, self._exactly(length)

    def associate(
        self,
        contexts: Sequence[tuple[str, Sequence[str]]],
        called: str = "CMRNODE",
        calling: str = "RAW",
    ) -> int:
        """Ask for an association; gives the type of the answering PDU."""
        self.send(associate_rq(called, calling, contexts))
        kind, body = self.receive()
        if kind == 2:
            pdu = A_ASSOCIATE_AC()
            pdu.decode(struct.pack(">BxL", kind, len(body)) + body)
            results = pdu.to_primitive().presentation_context_definition_results_list
            self.accepted = {
                cx.context_id: str(cx.transfer_syntax[0]) for cx in results if cx.result == 0
            }
        return kind

    def status(self) -> tuple[int, dict[int, bytes]]:
        """Status and elements of the next DIMSE response."""
        kind, body = self.receive()
        assert kind == 4, f"PDU type {kind} {body!r} instead of a response"
        assert body[5] == 3, "the response is in several fragments"
        values, at, raw = {}, 0, body[6:]
        while at < len(raw):
            _, number, length = struct.unpack_from("<HHL", raw, at)
            values[number] = raw[at + 8 : at + 8 + length]
            at += 8 + length
        return struct.unpack("<H", values[0x0900])[0], values

    def store(self, context: int, sop_class: str, sop_instance: str, data: bytes) -> int:
        """Send one instance and wait; gives the status."""
        self.send(store_pdus(context, store_rq(sop_class, sop_instance), data))
        return self.status()[0]

    def release(self) -> int:
        """Release; gives the type of the answering PDU."""
        self.send(RELEASE_RQ)
        return self.receive()[0]

    def _exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        missing = size
        while missing:
            part = self.socket.recv(missing)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


def send_all(
    port: int, instances: Iterable[tuple[str, str, bytes]], transfer_syntax: str, called: str
) -> list[int]:
    """Send (SOP class, SOP instance, data set)s over one association; gives the statuses."""
    waiting = list(instances)
    classes = sorted({sop_class for sop_class, _, _ in waiting})
    context = {sop_class: 2 * n + 1 for n, sop_class in enumerate(classes)}
    with RawScu(port) as scu:
        assert scu.associate([(c, [transfer_syntax]) for c in classes], called=called) == 2
        statuses = [
            scu.store(context[sop_class], sop_class, uid, data) for sop_class, uid, data in waiting
        ]
        assert scu.release() == 6
    return statuses
