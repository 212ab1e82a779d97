"""Bytes of the DICOM upper layer and of command sets: cut, read and written, no socket.

The promise kept here: nothing is believed before its length is checked, and a length past its
limit is a ``ProtocolFault`` before anything of that length is set aside.

PDUs: PS3.8 9.3 (type, reserved, length, big endian).  Presentation data values: PS3.8 9.3.5 and
Annex E.  Command sets: PS3.7 6.3.1, implicit VR little endian, group 0000 only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from cmr_node.errors import NodeError

COMMAND, LAST = 0x01, 0x02  # bits of the message control header, PS3.8 E.2
NO_DATA_SET = 0x0101  # PS3.7 Table E.1-1, Command Data Set Type
COMMAND_LIMIT_BYTES = 16 << 10  # a C-STORE-RQ has about 200
ASSOCIATE_LIMIT_BYTES = 256 << 10  # 128 contexts with 40 transfer syntaxes each are 140 kB
SMALL_LIMIT_BYTES = 64  # release and abort have 4
PDU_HEADER = struct.Struct(">BxL")
PDV_HEADER = struct.Struct(">LBB")
ELEMENT_HEADER = struct.Struct("<HHL")


class ProtocolFault(NodeError):
    """The peer broke PS3.8 or PS3.7 in a way that has no answer but A-ABORT."""


class Pdu(IntEnum):
    """PDU types, PS3.8 9.3."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


PDU_TYPES = frozenset(int(kind) for kind in Pdu)


class Element(IntEnum):
    """Element numbers of group 0000, PS3.7 Annex E."""

    AFFECTED_SOP_CLASS_UID = 0x0002
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    PRIORITY = 0x0700
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE_UID = 0x1000


class Field(IntEnum):
    """Values of Command Field, PS3.7 Table E.1-1."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030


class Pdv(NamedTuple):
    """One presentation data value: a fragment of a command set or of a data set."""

    context_id: int
    control: int
    fragment: memoryview


class PduReader:
    """Cuts a stream of bytes into PDUs; each is given when whole.

    The stream is received into ``room()``, which never runs out; what is given is a copy and
    may be kept.
    """

    def __init__(self, data_limit_bytes: int) -> None:
        largest = max(data_limit_bytes, ASSOCIATE_LIMIT_BYTES)
        self._limits = {
            Pdu.ASSOCIATE_RQ: ASSOCIATE_LIMIT_BYTES,
            Pdu.ASSOCIATE_AC: ASSOCIATE_LIMIT_BYTES,
            Pdu.DATA: data_limit_bytes,
        }
        self._buffer = memoryview(bytearray(PDU_HEADER.size + largest))
        self._start = self._end = 0

    def room(self) -> memoryview:
        """Where the next bytes go; call ``received`` with their number."""
        if self._end == len(self._buffer):
            held = self._end - self._start
            self._buffer[:held] = bytes(self._buffer[self._start : self._end])
            self._start, self._end = 0, held
        return self._buffer[self._end :]

    def received(self, size_bytes: int) -> None:
        """Tell how much was put into ``room()``."""
        self._end += size_bytes

    def take(self) -> tuple[Pdu, bytes] | None:
        """The next whole PDU as its type and what follows its header; None if there is none.

        Raises
        ------
        ProtocolFault
            The type is unknown, or the length is past what that type may have.
        """
        held = self._end - self._start
        if held < PDU_HEADER.size:
            return None
        kind, length = PDU_HEADER.unpack_from(self._buffer, self._start)
        if kind not in PDU_TYPES:
            raise ProtocolFault(f"PDU type 0x{kind:02X}, known are 0x01 to 0x07")
        limit = self._limits.get(kind, SMALL_LIMIT_BYTES)
        if length > limit:
            raise ProtocolFault(f"{Pdu(kind).name} PDU of {length} bytes, at most {limit} allowed")
        if held < PDU_HEADER.size + length:
            return None
        body = self._start + PDU_HEADER.size
        self._start = body + length
        taken = bytes(self._buffer[body : self._start])
        if self._start == self._end:
            self._start = self._end = 0
        return Pdu(kind), taken


def pdvs(body: bytes) -> Iterator[Pdv]:
    """The presentation data values of a P-DATA-TF, ``body`` without the PDU header.

    Raises
    ------
    ProtocolFault
        The lengths do not add up, or there is none.
    """
    view, at, end = memoryview(body), 0, len(body)
    if not body:
        raise ProtocolFault("P-DATA-TF without a presentation data value")
    while at < end:
        if end - at < PDV_HEADER.size:
            raise ProtocolFault(f"{end - at} bytes left in a P-DATA-TF, an item header has 6")
        length, context_id, control = PDV_HEADER.unpack_from(body, at)
        if not 2 <= length <= end - at - 4:
            raise ProtocolFault(f"item of {length} bytes where {end - at - 4} are left")
        yield Pdv(context_id, control, view[at + PDV_HEADER.size : at + 4 + length])
        at += 4 + length


def data_pdu(context_id: int, control: int, fragment: bytes | memoryview) -> bytes:
    """A P-DATA-TF with one presentation data value."""
    length = len(fragment)
    header = PDU_HEADER.pack(Pdu.DATA, length + PDV_HEADER.size)
    return b"".join((header, PDV_HEADER.pack(length + 2, context_id, control), fragment))


def command_pdus(context_id: int, command: bytes, maximum_bytes: int) -> bytes:
    """A whole command set as P-DATA-TFs none longer than the peer takes (0: unlimited)."""
    size = max(1, maximum_bytes - PDV_HEADER.size) if maximum_bytes else len(command)
    if len(command) <= size:
        return data_pdu(context_id, COMMAND | LAST, command)
    cuts = range(0, len(command), size)
    return b"".join(
        data_pdu(context_id, COMMAND | (LAST if at == cuts[-1] else 0), command[at : at + size])
        for at in cuts
    )


class Command:
    """A command set that was received.

    Raises
    ------
    ProtocolFault
        It is no command set, or has no Command Field.
    """

    __slots__ = ("_values", "field")

    def __init__(self, encoded: bytes) -> None:
        self._values: dict[int, bytes] = {}
        at, end = 0, len(encoded)
        while at < end:
            if end - at < ELEMENT_HEADER.size:
                raise ProtocolFault(f"{end - at} bytes left in a command set")
            group, element, length = ELEMENT_HEADER.unpack_from(encoded, at)
            at += ELEMENT_HEADER.size
            if group != 0 or length > end - at:
                raise ProtocolFault(
                    f"({group:04X},{element:04X}) of {length} bytes in a command set, "
                    f"{end - at} are left"
                )
            self._values[element] = encoded[at : at + length]
            at += length
        self.field = self.number(Element.COMMAND_FIELD)

    def number(self, element: Element) -> int:
        """The (first) value of a US element; ``ProtocolFault`` if it is absent."""
        value = self._values.get(element, b"")
        if len(value) < 2:
            raise ProtocolFault(f"a command set without (0000,{element:04X})")
        return int.from_bytes(value[:2], "little")

    def text(self, element: Element) -> str:
        """The value as text without padding; "" if absent.  What is not ASCII is replaced."""
        value = self._values.get(element, b"").decode("ascii", "replace")
        return value.rstrip(" \0").lstrip(" ")

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows."""
        return self.number(Element.COMMAND_DATA_SET_TYPE) != NO_DATA_SET


def encode_command(values: dict[Element, int | str]) -> bytes:
    """A command set with its group length; numbers as US, text padded as UIDs are (PS3.5 9.1).

    Error Comment (LO) is padded with a space.
    """
    parts = []
    for element in sorted(values):
        value = values[element]
        if isinstance(value, int):
            raw = value.to_bytes(2, "little")
        else:
            raw = value.encode("ascii")
            if len(raw) % 2:
                raw += b" " if element is Element.ERROR_COMMENT else b"\0"
        parts.append(ELEMENT_HEADER.pack(0, element, len(raw)) + raw)
    body = b"".join(parts)
    return ELEMENT_HEADER.pack(0, 0, 4) + len(body).to_bytes(4, "little") + body
