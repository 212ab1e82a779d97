"""What the node keeps of an instance's header, read from the bytes in one bounded pass.

The promise kept here: whatever the bytes are, ``scan`` ends soon and gives a ``Header`` or
``UnreadableHeader``.  How the pass is bounded is told in ``walk``, what is kept in ``kept``.
"""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cmr_node.dicom.kept import BY_TAG, IDENTITY, json_value
from cmr_node.dicom.walk import (
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    IMPLICIT_VR,
    MAX_HEADER_BYTES,
    Walk,
)
from cmr_node.errors import UnreadableHeader

_IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
_EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
#: PS3.5 A.5, and the two JPIP syntaxes that are deflated (PS3.6 table A-1).
_DEFLATED: Final = frozenset(
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}
)
#: The last is GE's private syntax: implicit little endian header, big endian pixels.
_IMPLICIT: Final = frozenset({_IMPLICIT_LITTLE, "1.2.840.113619.5.2"})

_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)
_TELLS_NOTHING: Final = frozenset((IMPLICIT_VR, b"UN", b"??", b"--"))
_DEFLATE_STEP: Final = 256 << 10
_BEGINNING: Final = 64 << 10

ReadAt = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Header:
    """The identity of one instance and the attributes that assembling needs.

    ``attributes`` maps DICOM keywords to JSON values: text as str, IS as int, DS, FD and FL as
    float, US and the like as int; a list where the value multiplicity is above one.  An absent
    or empty element is absent here.  ``PixelData`` (``FloatPixelData``, ``DoubleFloatPixelData``)
    maps to its size in bytes, and is absent where the instance has none.
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str
    series_instance_uid: str
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def text(self, keyword: str) -> str:
        """The value as text, a multi-valued one joined by backslashes; "" if absent."""
        value = self.attributes.get(keyword, "")
        return "\\".join(map(str, value)) if isinstance(value, list) else str(value)

    def number(self, keyword: str) -> float | None:
        """The (first) value as a number; None if absent or not a number."""
        values = self.numbers(keyword)
        return values[0] if values else None

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """All values as numbers; () if absent or any is not a number, or not a finite one."""
        value = self.attributes.get(keyword)
        values = value if isinstance(value, list) else [] if value is None else [value]
        try:
            numbers = tuple(float(item) for item in values)
        except (TypeError, ValueError, OverflowError):
            return ()
        return numbers if all(math.isfinite(number) for number in numbers) else ()


def is_uid(text: str) -> bool:
    """Whether ``text`` is 1 to 64 digits and dots.

    Looser than PS3.5 9.1 on purpose: components with leading zeros are met in practice.
    """
    return _UID.fullmatch(text) is not None


def scan(data: bytes | memoryview, transfer_syntax_uid: str) -> Header:
    """The header of a whole data set.

    Parameters
    ----------
    data
        The data set as C-STORE carries it: no preamble, no file meta information.
    transfer_syntax_uid
        How it is encoded; one that is not known is explicit VR little endian (PS3.5 A.4).

    Raises
    ------
    UnreadableHeader
        It is no data set, it is cut short, it is past a limit, or its identity is missing.
    """
    header = scan_beginning(data, transfer_syntax_uid, len(data))
    if header is None:
        raise UnreadableHeader(f"the data set of {len(data)} bytes ends within its header")
    return header


def scan_beginning(
    data: bytes | memoryview,
    transfer_syntax_uid: str,
    size_bytes: int,
    read_at: ReadAt | None = None,
) -> Header | None:
    """As ``scan``, of a data set of ``size_bytes`` that begins with ``data``.

    ``read_at(offset, count)`` gets bytes of the data set from where it lies; without it, None is
    the answer where the pass needs more than ``data``: call again with all of it.
    """
    if not is_uid(transfer_syntax_uid):
        raise UnreadableHeader("the Transfer Syntax UID is no UID (1 to 64 digits and dots)")
    if transfer_syntax_uid in _DEFLATED:
        return _scan_deflated(data, transfer_syntax_uid, size_bytes, read_at)
    encoding = EXPLICIT_LE
    if transfer_syntax_uid in _IMPLICIT:
        encoding = IMPLICIT_LE
    elif transfer_syntax_uid == _EXPLICIT_BIG:
        encoding = EXPLICIT_BE
    walk = Walk(data, size_bytes, encoding, read_at)
    return _header(walk, transfer_syntax_uid) if walk.run() else None


def scan_file(file: int, offset: int, transfer_syntax_uid: str) -> Header:
    """As ``scan``, of the data set from ``offset`` to the end of the open file descriptor."""
    size_bytes = os.fstat(file).st_size - offset
    beginning = os.pread(file, min(_BEGINNING, max(size_bytes, 0)), offset)
    header = scan_beginning(
        beginning,
        transfer_syntax_uid,
        size_bytes,
        lambda start, count: os.pread(file, count, offset + start),
    )
    if header is None:
        raise UnreadableHeader(f"the data set of {size_bytes} bytes ends within its header")
    return header


def _scan_deflated(
    data: bytes | memoryview,
    transfer_syntax_uid: str,
    size_bytes: int,
    read_at: ReadAt | None,
) -> Header | None:
    """Inflate no more than the header needs, and never more than MAX_HEADER_BYTES.

    Each look at the header starts over, so there is one per fourfold of what is inflated.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = bytearray()
    pending: bytes | memoryview = data
    taken, target = len(data), _DEFLATE_STEP
    while True:
        if not pending and taken < size_bytes and not inflater.eof:
            if read_at is None:
                return None
            pending = read_at(taken, min(_DEFLATE_STEP, size_bytes - taken))
            taken += len(pending)
        try:
            plain += inflater.decompress(pending, target - len(plain))
        except zlib.error as error:
            raise UnreadableHeader(f"the deflated data set cannot be inflated: {error}") from error
        pending = inflater.unconsumed_tail
        ended = inflater.eof or (not pending and taken >= size_bytes)
        if len(plain) < target and not ended:
            # Also where only the beginning is at hand: what is judged must not depend on that.
            continue
        # While the stream goes on its length is not known: any length below 4 GiB passes.
        size = len(plain) if ended else len(plain) + (1 << 32)
        walk = Walk(bytes(plain), size, EXPLICIT_LE)
        if walk.run():
            return _header(walk, transfer_syntax_uid)
        if ended:
            raise UnreadableHeader(
                f"the deflated data set ends within its header, {len(plain)} bytes inflated"
            )
        if len(plain) >= MAX_HEADER_BYTES:
            raise UnreadableHeader(f"header of more than {MAX_HEADER_BYTES} bytes inflated")
        if len(plain) >= target:
            target = min(4 * target, MAX_HEADER_BYTES)


def _header(walk: Walk, transfer_syntax_uid: str) -> Header:
    big = walk.encoding.big
    character_sets: list[str] = []
    attributes: dict[str, object] = {}
    for tag, (found_vr, raw) in sorted(walk.values.items()):  # SpecificCharacterSet first
        keyword, vr = BY_TAG[tag]
        if found_vr not in _TELLS_NOTHING:
            vr = found_vr.decode("ascii")
        value = json_value(bytes(raw), vr, big, character_sets)
        if value is None:
            continue
        attributes[keyword] = value
        if keyword == "SpecificCharacterSet":
            character_sets = list(map(str, value if isinstance(value, list) else [value]))
    identity = {}
    for keyword in IDENTITY:
        uid = attributes.pop(keyword, None)
        if not isinstance(uid, str):
            raise UnreadableHeader(f"{keyword} is missing, empty or multi-valued")
        if not is_uid(uid):
            raise UnreadableHeader(f"{keyword} is no UID (1 to 64 digits and dots)")
        identity[keyword] = uid
    if walk.pixels is not None:
        attributes[walk.pixels[0]] = walk.pixels[1]
    return Header(
        sop_instance_uid=identity["SOPInstanceUID"],
        sop_class_uid=identity["SOPClassUID"],
        transfer_syntax_uid=transfer_syntax_uid,
        study_instance_uid=identity["StudyInstanceUID"],
        series_instance_uid=identity["SeriesInstanceUID"],
        attributes=attributes,
    )
