"""Bytes from files that strangers wrote.

The promise kept here: nobody gets more bytes than the header announced, whatever a compressed
stream would inflate to, and nobody gets fewer without an error.  Memory is taken as bytes
arrive, so a header cannot have it reserved with a lie.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from cmr_node.errors import BadInstance, UndecodablePixels, UnreadableHeader

MAX_VOLUME_BYTES = 2 << 30
"""Announced voxels; a cine of 20 slices and 30 phases at 512 x 512 x 2 bytes is a seventh."""

MAX_DEFLATE_RATIO = 1040
"""Deflate does not shrink further than 1032 to 1 (zlib.net/zlib_tech.html)."""

_CHUNK = 1 << 20
_AUTOMATIC_HEADER = 47  # zlib or gzip, as MetaIO reads it
_DAMAGED = (gzip.BadGzipFile, zlib.error, EOFError)
_Bytes = npt.NDArray[np.uint8]


@contextmanager
def opened(path: Path, *, gzipped: bool) -> Iterator[BinaryIO]:
    """The bytes of a file, inflated if it is ``gzipped``.

    Raises
    ------
    OSError
        From the system only: damage of the compressed stream is told by ``take``.
    """
    with path.open("rb") as raw:
        if gzipped:
            with gzip.GzipFile(fileobj=raw, mode="rb") as inflated:
                yield cast("BinaryIO", inflated)
        else:
            yield raw


def check_size(announced: int, path: Path, *, compressed: bool) -> None:
    """Refuse voxels beyond the bound, or more than a file of this size can hold.

    Raises
    ------
    UndecodablePixels
        ``announced`` bytes are too many.
    """
    if announced > MAX_VOLUME_BYTES:
        raise UndecodablePixels(f"{announced} bytes of voxels (limit {MAX_VOLUME_BYTES})")
    held = path.stat().st_size * (MAX_DEFLATE_RATIO if compressed else 1)
    if announced > held:
        raise UndecodablePixels(
            f"{announced} bytes of voxels announced; a file of {path.stat().st_size} bytes "
            f"holds {held} at most"
        )


def take(stream: BinaryIO, count: int, what: str, fault: type[BadInstance]) -> _Bytes:
    """Exactly ``count`` bytes.

    Raises
    ------
    BadInstance
        The given subclass: the stream ends early or is damaged.
    """
    return _filled(lambda limit: stream.read(limit), count, what, fault)


def take_header(stream: BinaryIO, count: int) -> bytes:
    """As ``take``; UnreadableHeader if there are fewer bytes."""
    return take(stream, count, "header", UnreadableHeader).tobytes()


def take_voxels(stream: BinaryIO, count: int) -> _Bytes:
    """The last ``count`` bytes of a stream.

    Raises
    ------
    UndecodablePixels
        The stream is damaged, ends early, or goes on.
    """
    voxels = take(stream, count, "voxels", UndecodablePixels)
    try:
        beyond = stream.read(1)  # this also has gzip compare its checksum
    except _DAMAGED as damage:
        raise UndecodablePixels(f"the compressed voxels are damaged ({damage})") from damage
    if beyond:
        raise UndecodablePixels(f"more than the {count} bytes of voxels announced")
    return voxels


def inflate_voxels(stream: BinaryIO, count: int) -> _Bytes:
    """The last ``count`` bytes of a zlib stream that takes up all the rest of ``stream``.

    Raises
    ------
    UndecodablePixels
        As ``take_voxels``.
    """
    engine = zlib.decompressobj(_AUTOMATIC_HEADER)

    def inflated(limit: int) -> bytes:
        while not engine.eof:
            packed = engine.unconsumed_tail or stream.read(_CHUNK)
            piece = engine.decompress(packed, limit)
            if piece or not packed:
                return piece
        return b""

    voxels = _filled(inflated, count, "voxels", UndecodablePixels)
    try:
        beyond = inflated(1)
    except zlib.error as damage:
        raise UndecodablePixels(f"the compressed voxels are damaged ({damage})") from damage
    if beyond or engine.unused_data or stream.read(1):
        raise UndecodablePixels(f"more than the {count} bytes of voxels announced")
    if not engine.eof:
        raise UndecodablePixels("the compressed voxels are cut off before their checksum")
    return voxels


def _filled(
    read: Callable[[int], bytes], count: int, what: str, fault: type[BadInstance]
) -> npt.NDArray[Any]:
    out = np.empty(count, np.uint8)  # pages that are not written take no memory
    filled = 0
    try:
        while filled < count:
            piece = read(min(_CHUNK, count - filled))
            if not piece:
                raise fault(f"{what} cut off: {filled} bytes of {count} announced")
            out[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
    except _DAMAGED as damage:
        raise fault(
            f"{what} damaged after {filled} bytes of {count} announced ({damage})"
        ) from damage
    return out
