"""Durable within one disk flush, shared by all who wait for one.

The promise kept here: when ``append`` returns, the record survives a power cut, and ``replay``
gives it to the next process until ``done`` and ``recycle`` have let it go.

    1. a record is written behind the last one, under a lock: the order on the disk is the order
       of writing, so a flush that covers a record covers those before it
    2. the first writer without a flush under way flushes; those who write meanwhile wait for the
       next flush, which one of them does for all
    3. a segment that is full waits until its records are files and in the index, then begins anew

A disk that fails to flush has an unknown state: its segment is never used again (the kernel drops
what it could not write, and a second flush would succeed without it).  If it is the file system
that cannot be flushed, any file made so far may be lost, and no segment in use is let go before
the next process has replayed it.  Writers wait while every
segment holds records that are not filed: the journal cannot grow without bound.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cmr_node.durable import Flushes, sync_folder
from cmr_node.errors import StoreBroken
from cmr_node.store.segment import PAGE, Entry, Segment

SEGMENT_BYTES: Final = 32 << 20
SEGMENTS: Final = 4
PATIENCE_S: Final = 20.0
FLUSHES: Final = Flushes()


class Journal:
    """The segments in one folder that belongs to this process alone.

    Parameters
    ----------
    folder
        Where the segments lie; those that are there are opened, missing ones are made.
    segment_bytes, segments
        Size of a new segment, and how many there are to be.
    patience_s
        How long ``append`` waits for room.
    flushes
        How the disk is reached.

    Raises
    ------
    StoreBroken
        A segment cannot be opened or made.
    """

    def __init__(
        self,
        folder: Path,
        segment_bytes: int = SEGMENT_BYTES,
        segments: int = SEGMENTS,
        patience_s: float = PATIENCE_S,
        flushes: Flushes = FLUSHES,
    ) -> None:
        self._folder, self._patience_s, self._flushes = folder, patience_s, flushes
        self._changed = threading.Condition()
        self._current: Segment | None = None
        self._full: list[Segment] = []
        self._broken: list[Segment] = []
        self._flusher = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._segments = _open_all(folder, segment_bytes, segments)
        except OSError as error:
            raise StoreBroken(f"journal {folder}: {error.strerror}") from error
        self.largest_body = min(segment.size for segment in self._segments) - 2 * PAGE
        self._order = max(segment.order for segment in self._segments)
        self._free = [segment for segment in self._segments if segment.order == 0]

    def replay(self) -> Iterator[Entry]:
        """The records that earlier processes left, in the order they were written.

        To be used up, and followed by ``forget_replayed``, before the first ``append``.
        """
        for segment in sorted(self._segments, key=lambda segment: segment.order):
            yield from segment.entries()

    def forget_replayed(self) -> None:
        """Everything replayed is filed and in the index: make that durable and let it go."""
        self._let_go([segment for segment in self._segments if segment.order])

    def append(self, head: bytes, body: Sequence[bytes | memoryview]) -> Entry:
        """Write one record; durable when this returns.

        The record counts as unfiled until ``done`` is called with its entry.

        Raises
        ------
        StoreBroken
            The disk answered with an error, or filing has fallen behind for ``patience_s``.
        """
        size = sum(map(len, body))
        with self._changed:
            segment = self._with_room(size)
            try:
                entry = segment.write(head, body, size)
            except OSError as error:
                raise StoreBroken(f"journal {segment.path}: {error.strerror}") from error
            segment.written += 1
            segment.unfiled += 1
            self._commit(segment, segment.written)
        return entry

    def done(self, entries: Sequence[Entry]) -> None:
        """These records are files, and in the index for good."""
        with self._changed:
            for entry in entries:
                entry.segment.unfiled -= 1

    def recycle(self) -> None:
        """Begin anew with full segments whose records are all done.

        Raises
        ------
        OSError
            The disk answered with an error; what was written so far stays for a replay.
        """
        with self._changed:
            ready = [segment for segment in self._full if not segment.unfiled]
        if ready:
            self._let_go(ready)

    def close(self) -> None:
        """Let go of everything if all is done; what is not done stays for the next process."""
        with self._changed:
            if self._current is not None:
                self._full.append(self._current)
                self._current = None
        self.recycle()
        for segment in (*self._segments, *self._broken):
            segment.close()
        os.close(self._flusher)

    def _with_room(self, size: int) -> Segment:
        """The segment for a body of ``size`` bytes."""
        if size > self.largest_body:
            raise ValueError(f"a body of {size} bytes; at most {self.largest_body} fit")
        deadline = time.monotonic() + self._patience_s
        while True:
            current = self._current
            if current is not None and current.has_room(size):
                return current
            if current is not None:
                self._full.append(current)
                self._current = None
            if self._free:
                self._order += 1
                fresh = self._free.pop(0)
                try:
                    fresh.begin(self._order)
                except OSError as error:
                    self._free.append(fresh)
                    raise StoreBroken(f"journal {fresh.path}: {error.strerror}") from error
                self._current = fresh
                continue
            if not self._changed.wait(deadline - time.monotonic()):
                raise StoreBroken(
                    f"journal {self._folder}: no room for {self._patience_s} s, "
                    f"{sum(s.unfiled for s in self._full)} records are not filed yet"
                )

    def _commit(self, segment: Segment, ticket: int) -> None:
        """Wait until the ``ticket``-th record of ``segment`` is durable; flush if nobody does."""
        while segment.synced < ticket:
            if segment.fault is not None:
                segment.unfiled -= 1
                raise StoreBroken(f"journal {segment.path}: {segment.fault.strerror}")
            if segment.syncing:
                self._changed.wait()
                continue
            segment.syncing, target = True, segment.written
            self._changed.release()
            fault = None
            try:
                self._flushes.file(segment.fd)
            except OSError as error:
                fault = error
            finally:
                self._changed.acquire()
            segment.syncing = False
            if fault is None:
                segment.synced = target
            else:
                segment.fault = fault
                self._retire(segment)
            self._changed.notify_all()

    def _retire(self, segment: Segment) -> None:
        """Never write to this segment again; what was durable in it stays for a replay."""
        if segment is self._current:
            self._current = None
        if segment in self._full:
            self._full.remove(segment)
        if segment in self._segments:
            self._segments.remove(segment)
            self._broken.append(segment)

    def _let_go(self, segments: list[Segment]) -> None:
        """The files made from these segments become durable; then the segments are free."""
        try:
            self._flushes.file_system(self._flusher)
        except OSError:
            with self._changed:
                for segment in [segment for segment in self._segments if segment.order]:
                    self._retire(segment)
                self._changed.notify_all()
            raise
        with self._changed:
            for segment in segments:
                segment.forget()
                if segment in self._full:
                    self._full.remove(segment)
                self._free.append(segment)
            self._changed.notify_all()


def _open_all(folder: Path, size: int, count: int) -> list[Segment]:
    """What an earlier process left, and new segments up to ``count``."""
    found = []
    for path in sorted(folder.glob("*.journal")):
        segment = Segment.open(path)
        if segment.order or segment.size == size:
            found.append(segment)
        else:  # not finished, or of another size than is wanted now; empty
            segment.close()
            path.unlink()
    for _ in range(len(found), count):
        found.append(Segment.make(folder / f"{uuid.uuid4().hex}.journal", size))
    sync_folder(folder)
    return found
