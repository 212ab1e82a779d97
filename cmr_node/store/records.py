"""What the journal says about one instance.

The promise kept here: a record says all that is needed to make the file and the index row of an
instance again, and a record whose bytes are not those that were written is recognised.

WHOLE carries the Part 10 file itself as its body: filing is a copy within the kernel.  SPILLED
carries the name of a file beside the journal that is whole and durable already, and the UID.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Final

from cmr_node.dicom.header import scan
from cmr_node.dicom.part10 import read_meta
from cmr_node.errors import InconsistentInstance
from cmr_node.store.arrival import Arrival
from cmr_node.store.segment import Entry

#: kind, aside, time received (microseconds since 1970, UTC), size and CRC-32 of the file meta
#: information (WHOLE) or of the body (SPILLED), digest of the data set
_HEAD: Final = struct.Struct("<BBqII32s")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Kind(IntEnum):
    """What the body of a record is."""

    WHOLE = 1  #: the Part 10 file
    SPILLED = 2  #: the name of the Part 10 file, in the folder of the journal, and its UID


@dataclass(frozen=True, slots=True)
class Pending:
    """One instance that is durable, and not yet filed: its entry, or the file it spilled to."""

    arrival: Arrival
    entry: Entry
    spilled: Path | None = None


def head(kind: Kind, aside: bool, received_at: datetime, ahead: bytes, digest: bytes) -> bytes:
    """The head of a record whose body begins with ``ahead``."""
    time = (received_at - _EPOCH) // _MICROSECOND
    return _HEAD.pack(kind, aside, time, len(ahead), zlib.crc32(ahead), digest)


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was found in a journal."""

    kind: Kind
    aside: bool
    received_at: datetime
    digest: str
    body: bytes
    ahead_bytes: int


def read(entry: Entry) -> Record | None:
    """The record; None if its bytes are not what was written: the power went before its flush."""
    kind, aside, time, ahead_bytes, crc, digest = _HEAD.unpack(entry.head)
    body = entry.body()
    if zlib.crc32(body[:ahead_bytes]) != crc:
        return None
    if kind == Kind.WHOLE and hashlib.sha256(memoryview(body)[ahead_bytes:]).digest() != digest:
        return None
    received_at = _EPOCH + time * _MICROSECOND
    return Record(Kind(kind), bool(aside), received_at, digest.hex(), body, ahead_bytes)


def spill_body(path: Path, sop_instance_uid: str) -> bytes:
    """The body of a SPILLED record."""
    return f"{path.name} {sop_instance_uid}".encode("ascii")


def spilled_to(folder: Path, record: Record) -> tuple[Path, str]:
    """The file of a SPILLED record, and its SOP Instance UID."""
    name, uid = record.body.decode("ascii").split(" ")
    return folder / name, uid


def arrival_of(record: Record) -> Arrival:
    """What the index must know of a WHOLE record.

    Raises
    ------
    BadInstance
        An older version of the node took what this one does not.
    """
    meta = read_meta(record.body)
    header = scan(memoryview(record.body)[record.ahead_bytes :], meta.transfer_syntax_uid)
    if header.sop_instance_uid != meta.sop_instance_uid:
        raise InconsistentInstance(f"record of instance {meta.sop_instance_uid} holds another one")
    return Arrival(
        header=header,
        digest=record.digest,
        size_bytes=len(record.body) - record.ahead_bytes,
        received_at=record.received_at,
        calling_ae=meta.calling_ae,
        aside=record.aside,
    )
