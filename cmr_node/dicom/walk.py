"""The elements of a data set stepped over one by one, within bounds, up to the pixel data.

The promise kept here: whatever the bytes are, the walk ends soon, and ends in ``UnreadableHeader``
or well; nothing recurses, nothing is allocated by a length that was only claimed.

    1. each length is checked against what is there; of the values only those asked for are kept
    2. sequences are walked with a stack of their own, at most MAX_NESTING deep, because what
       reads the instance later may recurse
    3. more than MAX_ELEMENTS elements or MAX_HEADER_BYTES of header are refused
       (a value above BULK_BYTES is stepped over and not counted)
    4. pixel data that claims more bytes than came is refused: the instance was cut short

What follows the pixel data is not looked at.  Encodings: PS3.5 section 7 and annex A.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydicom.datadict import dictionary_VR

from cmr_node.dicom.kept import BY_TAG, LONGEST_VALUE
from cmr_node.errors import UnreadableHeader

MAX_NESTING: Final = 32
MAX_HEADER_BYTES: Final = 64 << 20
MAX_ELEMENTS: Final = 2_000_000
BULK_BYTES: Final = 64 << 10

_UNDEFINED: Final = 0xFFFFFFFF
_FIRST: Final = 0x00080000  # lower groups belong to commands, files and folders
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
#: Float, Double Float and plain Pixel Data: where the header ends.
_PIXELS: Final = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
#: VRs with a length of 16 bits (PS3.5 table 7.1-2); "??" and "--" are old writers' "unknown".
_SHORT: Final = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US ?? --".split()
)
IMPLICIT_VR: Final = b""


class _Cut(Exception):
    """The bytes at hand end before the header does."""


class _Malformed(Exception):
    """What is here is no element; ``offset`` says where."""

    def __init__(self, offset: int, found: str) -> None:
        super().__init__(found)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are laid out."""

    name: str
    explicit: bool
    big: bool
    head: struct.Struct  # group, element, VR and 16 bit length; or group, element, 32 bit length
    long: struct.Struct


EXPLICIT_LE = Encoding(
    "explicit VR little endian", True, False, struct.Struct("<HH2sH"), struct.Struct("<I")
)
EXPLICIT_BE = Encoding(
    "explicit VR big endian", True, True, struct.Struct(">HH2sH"), struct.Struct(">I")
)
IMPLICIT_LE = Encoding(
    "implicit VR little endian", False, False, struct.Struct("<HHI"), struct.Struct("<I")
)


class Walk:
    """One walk over a data set of ``size`` bytes that begins with ``data``.

    ``read_at(offset, count)`` gets what lies further on; without it the walk ends there.
    ``values`` maps the tags of ``kept.BY_TAG`` that were met to (VR, bytes), the VR empty where
    it is implicit; ``pixels`` is the keyword and the size in bytes of the pixel data, or None.
    """

    def __init__(
        self,
        data: bytes | memoryview,
        size: int,
        encoding: Encoding,
        read_at: Callable[[int, int], bytes] | None = None,
    ) -> None:
        self.data, self.size, self.encoding, self.read_at = data, size, encoding, read_at
        self.elements = 0
        self.bulk = 0
        self.values: dict[int, tuple[bytes, bytes | memoryview]] = {}
        self.pixels: tuple[str, int] | None = None

    def run(self) -> bool:
        """Fill ``values`` and ``pixels``; False if the header goes on past the bytes at hand.

        Raises
        ------
        UnreadableHeader
            It is no data set, it is cut short, or it is past a limit.
        """
        try:
            self._walk()
        except _Cut:
            if self.read_at is None and len(self.data) < self.size:
                return False
            raise UnreadableHeader(
                f"the data set of {self.size} bytes ends within its header"
            ) from None
        except _Malformed as fault:
            raise UnreadableHeader(
                f"offset {fault.offset} of {self.size} bytes: {fault}, "
                f"which {self.encoding.name} does not allow"
            ) from None
        return True

    def _walk(self) -> None:
        """The top level, up to the pixel data."""
        data, size, at_hand = self.data, self.size, len(self.data)
        explicit, unpack, offset = self.encoding.explicit, self.encoding.head.unpack_from, 0
        for _ in range(MAX_ELEMENTS):
            if offset >= size:
                return
            if explicit and offset + 8 <= at_hand:  # what nearly all elements are, without a call
                group, element, vr, length = unpack(data, offset)
                tag, value = group << 16 | element, offset + 8
                if vr not in _SHORT:
                    tag, vr, value, length = self._element(offset, self.encoding)
            else:
                tag, vr, value, length = self._element(offset, self.encoding)
            end = value + length
            if tag in BY_TAG and vr != b"SQ" and end <= at_hand and length <= LONGEST_VALUE:
                self.values[tag] = (vr, data[value:end])
            elif vr not in _SHORT or end > at_hand or tag < _FIRST:
                end = self._uncommon(offset, tag, vr, value, length)
                if end is None:
                    return
            offset = end
            if offset - self.bulk > MAX_HEADER_BYTES:
                raise UnreadableHeader(f"header of more than {MAX_HEADER_BYTES} bytes")
        raise UnreadableHeader(f"header of more than {MAX_ELEMENTS} elements")

    def _uncommon(self, offset: int, tag: int, vr: bytes, value: int, length: int) -> int | None:
        """The offset after an element that may be long, hold items or be wrong.

        None at the pixel data.
        """
        if tag < _FIRST:
            raise _Malformed(offset, f"group {tag >> 16:04X} is no group of a data set")
        if tag in _PIXELS:
            self.pixels = (_PIXELS[tag], self._pixel_bytes(value, length))
            return None
        if length == _UNDEFINED:
            return self._sequence(vr, value, None)
        end = value + length
        if end > self.size:
            raise _Malformed(offset, f"({tag >> 16:04X},{tag & 0xFFFF:04X}) claims {length} bytes")
        if length and self._holds_items(tag, vr, value):
            self._look_into(vr, value, end)
        elif tag in BY_TAG and length <= LONGEST_VALUE:
            self.values[tag] = (vr, self._bytes(value, length))
        if length > BULK_BYTES:
            self.bulk += length
        return end

    def _element(self, offset: int, encoding: Encoding) -> tuple[int, bytes, int, int]:
        """(tag, VR, offset of the value, length) of the element at ``offset``."""
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise UnreadableHeader(f"header of more than {MAX_ELEMENTS} elements")
        data, at = self.data, offset
        if offset + 12 > len(data):
            data, at = self._bytes(offset, min(12, self.size - offset)), 0
        try:
            if not encoding.explicit:
                group, element, length = encoding.head.unpack_from(data, at)
                return group << 16 | element, IMPLICIT_VR, offset + 8, length
            group, element, vr, length = encoding.head.unpack_from(data, at)
            if vr in _SHORT:
                return group << 16 | element, vr, offset + 8, length
            if group == 0xFFFE:  # items and delimiters have no VR (PS3.5 7.5)
                (length,) = encoding.long.unpack_from(data, at + 4)
                return group << 16 | element, IMPLICIT_VR, offset + 8, length
            if not (vr.isalpha() and vr.isupper()):
                raise _Malformed(offset, f"({group:04X},{element:04X}) has the VR {vr!r}")
            (length,) = encoding.long.unpack_from(data, at + 8)
            return group << 16 | element, vr, offset + 12, length
        except struct.error:
            raise _Cut from None

    def _bytes(self, offset: int, count: int) -> bytes:
        """``count`` bytes of the data set, from memory or from further on."""
        end = offset + count
        if end <= len(self.data):
            return bytes(self.data[offset:end])
        if self.read_at is None or end > self.size:
            raise _Cut
        found = self.read_at(offset, count) if count else b""
        if len(found) != count:
            raise _Cut
        return found

    def _pixel_bytes(self, value: int, length: int) -> int:
        """Bytes of the pixel data; refused if they did not all come."""
        if length == _UNDEFINED:
            return self._sequence(b"OB", value, None) - value
        if value + length > self.size:
            raise UnreadableHeader(
                f"offset {value}: pixel data claims {length} bytes, {self.size - value} came"
            )
        return length

    def _holds_items(self, tag: int, vr: bytes, value: int) -> bool:
        """Whether an element of defined length is a sequence."""
        if vr != IMPLICIT_VR:
            return vr == b"SQ"
        if value + 4 > self.size or self._bytes(value, 4) != b"\xfe\xff\x00\xe0":
            return False
        try:
            return dictionary_VR(tag) == "SQ"
        except KeyError:  # private: whoever reads it takes it as bytes
            return False

    def _look_into(self, vr: bytes, value: int, end: int) -> None:
        """Walk a sequence of defined length for its nesting alone.

        Its length is known, so damage inside does not matter here, and a private sequence that
        a scanner wrote wrongly must not cost the image.
        """
        try:
            self._sequence(vr, value, end)
        except _Malformed:
            return
        except _Cut:
            if self.read_at is None and end > len(self.data):
                raise

    def _sequence(self, vr: bytes, offset: int, end: int | None) -> int:
        """The offset after the sequence whose first item is at ``offset``.

        ``end`` is None for undefined length.  A level of the stack is a sequence (its items are
        elements, or fragments of bytes) or an item in it: (end or None, encoding, kind).
        """
        # UN of undefined length holds implicit VR little endian (PS3.5 6.2.2 note 2).
        encoding = IMPLICIT_LE if vr == b"UN" else self.encoding
        stack = [(end, encoding, "fragments" if vr in (b"OB", b"OW") else "items")]
        nesting = 1
        start = offset
        while stack:
            end, encoding, kind = stack[-1]
            if end is not None and offset >= end:
                if offset > end:
                    raise _Malformed(offset, f"an item goes past the end of its sequence at {end}")
                stack.pop()
                nesting -= kind != "elements"
                continue
            tag, vr, value, length = self._element(offset, encoding)
            if value - start - self.bulk > MAX_HEADER_BYTES and kind != "fragments":
                raise UnreadableHeader(f"sequence of more than {MAX_HEADER_BYTES} bytes")
            offset = value
            if kind != "elements":
                if tag == _SEQUENCE_END and end is None:
                    stack.pop()
                    nesting -= 1
                elif tag != _ITEM or (kind == "fragments" and length == _UNDEFINED):
                    raise _Malformed(value - 8, f"({tag >> 16:04X},{tag & 0xFFFF:04X}) for an item")
                elif kind == "fragments":
                    offset = self._step(value, length)
                else:
                    inner = None if length == _UNDEFINED else self._step(value, length)
                    stack.append((inner, encoding, "elements"))
            elif tag == _ITEM_END and end is None:
                stack.pop()
            elif tag >> 16 == 0xFFFE:
                raise _Malformed(value - 8, f"(FFFE,{tag & 0xFFFF:04X}) for an element")
            elif length == _UNDEFINED or self._holds_items(tag, vr, value):
                nesting += 1
                if nesting > MAX_NESTING:
                    raise UnreadableHeader(
                        f"offset {value}: sequences nested more than {MAX_NESTING} deep"
                    )
                inner = None if length == _UNDEFINED else self._step(value, length)
                encoding = IMPLICIT_LE if vr == b"UN" else encoding
                stack.append((inner, encoding, "fragments" if vr in (b"OB", b"OW") else "items"))
            else:
                offset = self._step(value, length)
                if length > BULK_BYTES:
                    self.bulk += length
        return offset

    def _step(self, value: int, length: int) -> int:
        if value + length > self.size:
            raise _Malformed(value, f"a value claims {length} bytes")
        return value + length
