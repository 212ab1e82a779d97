"""What a compressed frame says about itself, read before anything is decoded.

The promise kept here: a decoder is only given a frame whose own header announces the size that
the data set announces, so a forged codestream cannot make it allocate more than that.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise

from cmr_node.errors import UndecodablePixels

_JPEG_FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
"""SOF markers of ISO/IEC 10918-1 table B.1, and SOF55 of ISO/IEC 14495-1 (JPEG-LS)."""
_JPEG_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
_RLE_LITERAL, _RLE_NOTHING = range(0, 128), 128


@dataclass(frozen=True, slots=True)
class Frame:
    """The size that a codestream announces; ``precision`` in bits, ``signed`` for JPEG 2000."""

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool = False


def jpeg(stream: bytes) -> Frame:
    """Of a JPEG or JPEG-LS frame (ISO/IEC 10918-1 B.2.2, 14495-1 C.2.2).

    A frame without its end is refused here: CharLS searches seconds for it behind the bytes.
    """
    if stream[:2] != b"\xff\xd8":
        raise UndecodablePixels(f"a JPEG frame begins with {stream[:2]!r}; allowed: SOI, FFD8")
    if not stream.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise UndecodablePixels("a JPEG frame is cut off; allowed: EOI, FFD9, at its end")
    position = 2
    while position + 4 <= len(stream):
        if stream[position] != 0xFF:
            break
        marker = stream[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _JPEG_WITHOUT_LENGTH:
            position += 2
            continue
        if marker in (_JPEG_SCAN, _JPEG_END):
            break
        (length,) = struct.unpack_from(">H", stream, position + 2)
        if marker in _JPEG_FRAMES and position + 10 <= len(stream):
            precision, rows, columns, samples = struct.unpack_from(">BHHB", stream, position + 4)
            return Frame(rows, columns, samples, precision)
        position += 2 + length
    raise UndecodablePixels("a JPEG frame without a frame header (SOF)")


def jpeg_2000(stream: bytes) -> Frame:
    """Of a JPEG 2000 or HTJ2K frame (ISO/IEC 15444-1 A.5.1)."""
    if stream[:4] != b"\xff\x4f\xff\x51" or len(stream) < 43:
        raise UndecodablePixels(
            f"a JPEG 2000 frame begins with {stream[:4]!r}; allowed: SOC and SIZ, FF4FFF51"
        )
    right, bottom, left, top = struct.unpack_from(">4L", stream, 8)
    (samples,) = struct.unpack_from(">H", stream, 40)
    depth = stream[42]
    return Frame(bottom - top, right - left, samples, (depth & 0x7F) + 1, bool(depth & 0x80))


def rle_length(stream: bytes, limit: int) -> int:
    """The decoded bytes of an RLE frame, all segments together (PS3.5 G.3), undecoded.

    Counting ends past ``limit``; the answer is then more than it.
    """
    if len(stream) < 64:
        raise UndecodablePixels(f"an RLE frame of {len(stream)} bytes; allowed: 64 or more")
    segments, *offsets = struct.unpack_from("<16L", stream)
    if not 1 <= segments <= 15:
        raise UndecodablePixels(f"an RLE frame of {segments} segments; allowed: 1 to 15")
    edges = [*offsets[:segments], len(stream)]
    if edges != sorted(edges) or edges[0] < 64:
        raise UndecodablePixels(f"an RLE frame with segments at {edges[:-1]}")
    total = 0
    for start, end in pairwise(edges):
        position = start
        while position < end - 1 and total <= limit:
            control = stream[position]
            if control in _RLE_LITERAL:
                total += control + 1
                position += control + 2
            elif control == _RLE_NOTHING:
                position += 1
            else:
                total += 257 - control
                position += 2
    return total
