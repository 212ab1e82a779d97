"""Preamble and file meta information around a data set (PS3.10 section 7.1).

The promise kept here: the data set behind them is never touched, and where it begins is found
within MAX_META_BYTES or refused.  What the node itself received carries, as private information
(0002,0100)-(0002,0102), the SHA-256 of its data set: such a file proves itself.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cmr_node.dicom.products import IMPLEMENTATION_CLASS_UID, NAMESPACE
from cmr_node.errors import UnreadableHeader

MAX_META_BYTES: Final = 1 << 20
DIGEST_BYTES: Final = 32

IMPLEMENTATION_VERSION_NAME: Final = "CMR_NODE_1"
"""(0002,0013), at most 16 characters; changes when what ``meta`` writes changes."""

DIGEST_CREATOR_UID: Final = f"2.25.{uuid.uuid5(NAMESPACE, 'digest of the data set').int}"
"""(0002,0100): says that (0002,0102) is the SHA-256 of the data set."""

_PREAMBLE: Final = bytes(128) + b"DICM"
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # PS3.5 7.1.2
_SHORT_HEAD: Final = struct.Struct("<HH2sH")
_LONG_HEAD: Final = struct.Struct("<HH2sHI")


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What a Part 10 file says before its data set, which begins at byte ``offset``.

    ``digest`` (hex) is "" where the file does not carry one.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str
    digest: str
    offset: int


def meta(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    calling_ae: str,
    digest: bytes,
) -> bytes:
    """Everything before the data set; the last DIGEST_BYTES bytes are ``digest``.

    A caller that streams gives a digest of zeros and writes the true one over it at the end.
    """
    ahead, behind = _fixed(sop_class_uid, transfer_syntax_uid, calling_ae)
    instance = _element(0x0003, b"UI", sop_instance_uid.encode("ascii"))
    size = len(ahead) + len(instance) + len(behind) + DIGEST_BYTES
    group_length = _SHORT_HEAD.pack(2, 0, b"UL", 4) + struct.pack("<I", size)
    return b"".join((_PREAMBLE, group_length, ahead, instance, behind, digest))


@lru_cache(maxsize=256)
def _fixed(sop_class_uid: str, transfer_syntax_uid: str, calling_ae: str) -> tuple[bytes, bytes]:
    """The elements before and after (0002,0003), up to the value of (0002,0102)."""
    ahead = _LONG_HEAD.pack(2, 1, b"OB", 0, 2) + b"\0\1"
    ahead += _element(0x0002, b"UI", sop_class_uid.encode("ascii"))
    behind = _element(0x0010, b"UI", transfer_syntax_uid.encode("ascii"))
    behind += _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii"))
    behind += _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii"))
    if calling_ae:
        behind += _element(0x0016, b"AE", calling_ae.encode("ascii", "replace")[:16])
    behind += _element(0x0100, b"UI", DIGEST_CREATOR_UID.encode("ascii"))
    behind += _LONG_HEAD.pack(2, 0x0102, b"OB", 0, DIGEST_BYTES)
    return ahead, behind


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return _SHORT_HEAD.pack(2, element, vr, len(value)) + value


def read_meta(data: bytes | memoryview) -> FileMeta:
    """The file meta information at the start of ``data``, a Part 10 file or the beginning of one.

    Raises
    ------
    UnreadableHeader
        No Part 10 file, or its file meta information is cut off, too long or lacks a UID.
    """
    if bytes(data[128:132]) != b"DICM":
        raise UnreadableHeader(f"no DICM at byte 128 of {len(data)}; not a Part 10 file")
    values: dict[int, bytes] = {}
    offset, limit = 132, min(len(data), MAX_META_BYTES)
    while offset + 8 <= limit:
        group, element, vr, length = _SHORT_HEAD.unpack_from(data, offset)
        if group != 2:
            break
        start = offset + 8
        if vr in _LONG:
            start = offset + 12
            if start > limit:
                raise UnreadableHeader(f"the file meta information is cut off at byte {offset}")
            length = _LONG_HEAD.unpack_from(data, offset)[4]
        offset = start + length
        if offset > limit:
            raise UnreadableHeader(
                f"(0002,{element:04X}) ends at byte {offset}, past the {limit} that may be read"
            )
        values[element] = bytes(data[start:offset])
    group_length = int.from_bytes(values.get(0, b"")[:4], "little")
    if offset < 144 + group_length:  # a file torn between two elements must not pass for whole
        raise UnreadableHeader(
            f"the file meta information ends at byte {offset} of {144 + group_length}"
        )
    text = {
        element: values.get(element, b"").decode("ascii", "replace").strip("\0 ")
        for element in (0x0002, 0x0003, 0x0010, 0x0016, 0x0100)
    }
    for element in (0x0002, 0x0003, 0x0010):
        if not text[element]:
            raise UnreadableHeader(
                f"(0002,{element:04X}) is missing from the file meta information"
            )
    digest = values.get(0x0102, b"") if text[0x0100] == DIGEST_CREATOR_UID else b""
    return FileMeta(
        sop_class_uid=text[0x0002],
        sop_instance_uid=text[0x0003],
        transfer_syntax_uid=text[0x0010],
        calling_ae=text[0x0016],
        digest=digest.hex() if len(digest) == DIGEST_BYTES else "",
        offset=offset,
    )
