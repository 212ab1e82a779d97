"""One file of the journal: records one after the other, each on a page of its own.

The promise kept here: a record is found again if and only if its head was written whole in this
life of the file.  Nothing left over from an earlier life, and nothing inside a body, can be
taken for a record, because every head repeats a number that was drawn for this life.

    page 0         magic, order of the segment, the drawn number, CRC-32
    page n         record: magic, the drawn number, sizes, head, CRC-32 of all that; then the body

The file is written full of zeros when it is made: later writes change no metadata of the file
system, which halves the cost of fdatasync.  A body is proved by whoever wrote it.
"""

from __future__ import annotations

import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cmr_node.durable import FILE_MODE, write_all

PAGE: Final = 4096
_CHUNK: Final = bytes(1 << 20)
_SEGMENT: Final = struct.Struct("<8sQQ")  # magic, order, life
_RECORD: Final = struct.Struct("<8sQIQ")  # magic, life, size of the head, size of the body
_CRC: Final = struct.Struct("<I")
_SEGMENT_MAGIC: Final = b"CMRJSEG1"
_RECORD_MAGIC: Final = b"CMRJREC1"
_LARGEST_HEAD: Final = PAGE - _RECORD.size - _CRC.size


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one record lies: ``head`` as written, the body in ``segment`` from ``offset``."""

    segment: Segment
    head: bytes
    offset: int
    size_bytes: int

    def body(self) -> bytes:
        """The body, read back."""
        return os.pread(self.segment.fd, self.size_bytes, self.offset)


@dataclass(eq=False, slots=True)
class Segment:
    """One open segment; ``order`` 0 means that it holds nothing that is still needed."""

    path: Path
    fd: int
    size: int
    order: int = 0
    life: int = 0
    used: int = PAGE
    # What the journal keeps in mind about it, under its lock:
    written: int = 0  #: records written in this life
    synced: int = 0  #: of these, durable
    syncing: bool = False
    unfiled: int = 0  #: durable records that are not yet done with
    fault: OSError | None = field(default=None)

    @classmethod
    def make(cls, path: Path, size: int) -> Segment:
        """A new file, full of zeros."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE)
        try:
            for offset in range(0, size, len(_CHUNK)):
                write_all(fd, [_CHUNK[: size - offset]], offset)
            os.fsync(fd)
        except OSError:
            os.close(fd)
            path.unlink()
            raise
        return cls(path, fd, size)

    @classmethod
    def open(cls, path: Path) -> Segment:
        """A file that an earlier process made."""
        fd = os.open(path, os.O_RDWR)
        segment = cls(path, fd, os.fstat(fd).st_size)
        page = os.pread(fd, _SEGMENT.size + _CRC.size, 0)
        if len(page) == _SEGMENT.size + _CRC.size:
            magic, order, life = _SEGMENT.unpack_from(page)
            if magic == _SEGMENT_MAGIC and _sealed(page):
                segment.order, segment.life = order, life
        return segment

    def begin(self, order: int) -> None:
        """Start a new life, as the ``order``-th segment of the journal."""
        self.order, self.life, self.used = order, secrets.randbits(64), PAGE
        self.written = self.synced = self.unfiled = 0
        self._write_first_page()

    def forget(self) -> None:
        """Say in the file that nothing in it is needed any more."""
        self.order = 0
        self._write_first_page()

    def _write_first_page(self) -> None:
        page = _SEGMENT.pack(_SEGMENT_MAGIC, self.order, self.life)
        write_all(self.fd, [page, _CRC.pack(zlib.crc32(page))], 0)

    def has_room(self, size: int) -> bool:
        """Whether a body of ``size`` bytes fits behind what is written."""
        return self.used + PAGE + size <= self.size

    def write(self, head: bytes, body: Sequence[bytes | memoryview], size: int) -> Entry:
        """Add one record; not durable yet.  After an error its place is used again."""
        if len(head) > _LARGEST_HEAD:
            raise ValueError(f"the head has {len(head)} bytes, at most {_LARGEST_HEAD} fit")
        start = _RECORD.pack(_RECORD_MAGIC, self.life, len(head), size) + head
        start += _CRC.pack(zlib.crc32(start))
        end = write_all(self.fd, [start, *body], self.used)
        entry = Entry(self, head, self.used + len(start), size)
        self.used = -(-end // PAGE) * PAGE
        return entry

    def entries(self) -> Iterator[Entry]:
        """The records of this life, in order, up to the first that is not whole."""
        if self.order == 0:
            return
        offset = PAGE
        while True:
            page = os.pread(self.fd, PAGE, offset)
            if len(page) < _RECORD.size:
                return
            magic, life, head_size, size = _RECORD.unpack_from(page)
            start = _RECORD.size + head_size + _CRC.size
            if magic != _RECORD_MAGIC or life != self.life or start > PAGE:
                return
            if not _sealed(page[:start]) or offset + start + size > self.size:
                return
            head = page[_RECORD.size : _RECORD.size + head_size]
            yield Entry(self, head, offset + start, size)
            offset = -(-(offset + start + size) // PAGE) * PAGE

    def close(self) -> None:
        """Close the file."""
        os.close(self.fd)


def _sealed(page: bytes) -> bool:
    """Whether the last four bytes are the CRC-32 of those before."""
    return page[-_CRC.size :] == _CRC.pack(zlib.crc32(page[: -_CRC.size]))
