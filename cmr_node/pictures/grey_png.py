"""Grey pictures as PNG bytes, small and always the same (ISO/IEC 15948, PNG 1.2).

The promise kept here: no time, no name of a program and no palette goes into the bytes.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from cmr_node.pictures.picture import Shares

LEVELS = 64  #: steps the noise of MR images hides; a third of the bytes of 256 would be noise
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def grey_png(shares: Shares) -> bytes:
    """(rows, columns), 0 black to 1 white, as an 8-bit grey PNG of ``LEVELS`` values."""
    rows, columns = shares.shape
    values = np.rint(np.rint(shares * (LEVELS - 1)) * (255 / (LEVELS - 1))).astype(np.uint8)
    lines = np.zeros((rows, columns + 1), np.uint8)  # a 0 before each line: no filter
    lines[:, 1:] = values
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return (
        SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
