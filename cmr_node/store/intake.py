"""The door of the store: instances come in, and are durable when ``keep`` returns.

The promise kept here: ``network.scp`` answers a C-STORE with Success on the strength of ``keep``
alone, and the sender may then delete its copy.

    1. the header is read and must name the instance the command named
    2. of two instances with one UID the second sees the first (``unfiled``): the same content is
       there already, other content is kept aside
    3. a small instance is appended to the journal whole; a large one is a file by now, which is
       synced, and the journal gets its name; one flush serves all who wait (``journal``)
    4. the answer goes out; a thread makes files and index rows (``filing``)

A process that dies leaves its folder in ``incoming``; the next ``Intake`` on this root files what
it finds there before it takes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from cmr_node.dicom.header import is_uid
from cmr_node.durable import Flushes
from cmr_node.errors import StoreFull, UnreadableHeader
from cmr_node.settings import Storage
from cmr_node.store.arrival import Arrival
from cmr_node.store.disk import Disk, DiskState
from cmr_node.store.files import Files, Kept
from cmr_node.store.filing import Filer, Lag, Register
from cmr_node.store.journal import FLUSHES, PATIENCE_S, SEGMENT_BYTES, SEGMENTS, Journal
from cmr_node.store.reception import Reception
from cmr_node.store.records import Kind, Pending, head, spill_body
from cmr_node.store.recovery import recover
from cmr_node.store.unfiled import Unfiled


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


class Intake:
    """Receives for one process; several may share one root.

    Opening it files what dead processes left behind.

    Parameters
    ----------
    storage
        Root, marks of the disk, and the size from which an instance goes to a file of its own.
    index
        Is told of every instance, at least once.
    clock
        Gives the time an instance is received, UTC.
    disk
        Gives the state of the disk.
    segment_bytes, segments, patience_s, flushes
        Of the journal.

    Raises
    ------
    StoreBroken
        The folders or the journal cannot be made or read.
    """

    def __init__(
        self,
        storage: Storage,
        index: Register,
        clock: Callable[[], datetime] = now,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        segments: int = SEGMENTS,
        patience_s: float = PATIENCE_S,
        flushes: Flushes = FLUSHES,
    ) -> None:
        self.files = Files(storage.root)
        self.files.prepare()
        self._clock, self._disk = clock, disk or Disk(storage)
        self._patience_s = patience_s
        self._folder, self._journal = recover(
            self.files,
            index,
            lambda folder: Journal(folder, segment_bytes, segments, patience_s, flushes),
        )
        self.spill_bytes = min(storage.spill_bytes, self._journal.largest_body // 4)
        self._unfiled = Unfiled(self.files)
        self._filer = Filer(self.files, self._folder, self._journal, index, self._filed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def lag(self) -> Lag:
        """What is durable in the journal and not yet a file and in the index."""
        return self._filer.lag

    @property
    def refused_by_index(self) -> int:
        """Instances of this process that are files but that the index refused."""
        return self._filer.refused

    def begin(
        self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, calling_ae: str
    ) -> Reception:
        """Begin to take one instance, as its C-STORE-RQ names it.

        Raises
        ------
        StoreFull
            The disk is past the hard mark.
        UnreadableHeader
            One of the UIDs is none.
        """
        self.check_disk()
        for name, uid in (
            ("Affected SOP Class", sop_class_uid),
            ("Affected SOP Instance", sop_instance_uid),
            ("Transfer Syntax", transfer_syntax_uid),
        ):
            if not is_uid(uid):
                raise UnreadableHeader(f"the {name} UID is no UID (1 to 64 digits and dots)")
        return Reception(self, sop_class_uid, sop_instance_uid, transfer_syntax_uid, calling_ae)

    def check_disk(self) -> None:
        """Refuse past the hard mark.

        Raises
        ------
        StoreFull
            The disk is past the hard mark.
        """
        if self._disk.state() is DiskState.HARD:
            raise StoreFull(
                f"{self._disk.free_bytes()} bytes are free, less than storage.hard_free_bytes"
            )

    def new_part(self) -> Path:
        """Path for a large instance that arrives."""
        return self._folder.new_part()

    def keep(self, reception: Reception) -> Kept:
        """As ``Reception.keep``."""
        header = reception.header()
        uid, digest = header.sop_instance_uid, reception.digest()
        self._filer.wait_for_room(self._patience_s)
        with self._unfiled.alone_with(uid):
            kept, done = self._unfiled.look_up(uid, digest.hex())
            if not done:
                arrival = Arrival(
                    header=header,
                    digest=digest.hex(),
                    size_bytes=reception.size_bytes,
                    received_at=self._clock(),
                    calling_ae=reception.calling_ae,
                    aside=kept is Kept.ASIDE,
                )
                pending = self._append(reception, arrival, digest)
                self._unfiled.add(uid, arrival.digest, arrival.aside)
                self._filer.put(pending)
        return kept

    def _append(self, reception: Reception, arrival: Arrival, digest: bytes) -> Pending:
        """Make the instance durable."""
        spill = reception.spill
        if spill is None:
            ahead = reception.file_meta(digest)
            start = head(Kind.WHOLE, arrival.aside, arrival.received_at, ahead, digest)
            entry = self._journal.append(start, [ahead, *reception.fragments])
            return Pending(arrival, entry)
        spill.finish(digest, arrival.received_at)
        body = spill_body(spill.path, arrival.header.sop_instance_uid)
        start = head(Kind.SPILLED, arrival.aside, arrival.received_at, body, digest)
        entry = self._journal.append(start, [body])
        reception.spill = None
        return Pending(arrival, entry, spill.hand_over())

    def _filed(self, arrival: Arrival) -> None:
        self._unfiled.remove(arrival.header.sop_instance_uid, arrival.digest)

    def close(self, patience_s: float = 30.0) -> None:
        """File what is left, for ``patience_s`` at most; the rest is filed at the next opening.

        No reception may be open any more.
        """
        self._filer.stop(patience_s)
        self._journal.close()
        self._folder.release()
