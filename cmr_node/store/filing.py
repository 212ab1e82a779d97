"""From the journal to files and the index, behind the answer to the sender.

The promise kept here: a record is let go only when its instance is a file and in the index, and
files and index can be made from the same records any number of times with the same result.

A thread takes what ``Intake`` acknowledged, in batches: makes the files, registers them in one
transaction, lets the records go.  While the disk or the database fails, the batch is tried again
and again; the journal fills, and then senders are told.  What the index refuses while it takes
the rest is logged and left to ``reindex``: one odd instance must not stop the node.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from cmr_node.durable import FILE_MODE, copy
from cmr_node.errors import NodeError, StoreBroken
from cmr_node.store.arrival import Arrival
from cmr_node.store.files import Files, Kept, set_time
from cmr_node.store.journal import Journal
from cmr_node.store.owned import OwnedFolder
from cmr_node.store.records import Pending

logger = logging.getLogger(__name__)

BATCH: Final = 64
MOST_UNFILED: Final = 4096
GATHER_S: Final = 0.1
FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0
_LOOK_S: Final = 1.0

#: These say that the database or the disk fails, not one instance.
_INDEX_FAILS: Final = (NodeError, OSError)


class Register(Protocol):
    """The index, as filing sees it."""

    def register(self, arrivals: Sequence[Arrival]) -> None:
        """Make arrivals known for good; those that are known change nothing.

        Raises
        ------
        StoreBroken
            The database cannot be reached; anything else is taken for an odd instance.
        """


@dataclass(frozen=True, slots=True)
class Lag:
    """What is durable in the journal and not yet a file and in the index."""

    instances: int
    bytes: int


def file_instance(
    files: Files, folder: OwnedFolder, pending: Pending, prove: bool = False
) -> Arrival:
    """Give one instance its file; what the index must know of it, as it turned out.

    May be called again.  ``prove`` as in ``Files.place``.

    Raises
    ------
    OSError
        The disk answered with an error.
    """
    arrival = pending.arrival
    uid, digest = arrival.header.sop_instance_uid, arrival.digest
    if pending.spilled is not None:
        kept = files.place(pending.spilled, uid, digest, arrival.aside, prove)
        # Its other name, which the journal speaks of, goes before the file system is flushed.
        files.sync_name(uid, digest, kept)
    else:
        part = folder.new_part()
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        try:
            entry = pending.entry
            copy(entry.segment.fd, fd, entry.offset, entry.size_bytes)
            set_time(fd, arrival.received_at)
            kept = files.place(part, uid, digest, arrival.aside, prove)
        finally:
            os.close(fd)
            part.unlink(missing_ok=True)  # it may have become the stored file itself
    if (kept is Kept.ASIDE) != arrival.aside:  # another process was first with this UID
        arrival = replace(arrival, aside=kept is Kept.ASIDE)
    return arrival


def register(index: Register, arrivals: Sequence[Arrival]) -> int:
    """Register in one transaction, else one by one; gives how many the index refuses for good.

    Raises
    ------
    Exception
        None could be registered: nothing shows that the instances are at fault.
    """
    try:
        index.register(arrivals)
    except _INDEX_FAILS:
        raise
    except Exception as error:
        refused = [arrival for arrival in arrivals if _refuses(index, arrival)]
        if len(refused) == len(arrivals):
            raise
        for arrival in refused:
            logger.error(
                "instance %s is stored, but the index refuses it (%s); mend, then reindex",
                arrival.header.sop_instance_uid,
                type(error).__name__,
            )
        return len(refused)
    return 0


def _refuses(index: Register, arrival: Arrival) -> bool:
    try:
        index.register([arrival])
    except _INDEX_FAILS:
        raise
    except Exception:  # noqa: BLE001 - recorded by the caller, if others pass
        return True
    return False


class Filer:
    """The thread that files what was acknowledged.

    ``filed`` is told of each instance once its file can be found.
    """

    def __init__(
        self,
        files: Files,
        folder: OwnedFolder,
        journal: Journal,
        index: Register,
        filed: Callable[[Arrival], None],
    ) -> None:
        self._files, self._folder, self._journal, self._index = files, folder, journal, index
        self._filed = filed
        self._changed = threading.Condition()
        self._waiting: deque[Pending] = deque()
        self._unfiled, self._unfiled_bytes = 0, 0
        self._stopping = False
        self._give_up_at = float("inf")
        self.refused = 0  #: instances that are files and that the index refused
        self._thread = threading.Thread(target=self._run, name="filing", daemon=True)
        self._thread.start()

    @property
    def lag(self) -> Lag:
        """How far filing is behind."""
        with self._changed:
            return Lag(self._unfiled, self._unfiled_bytes)

    def wait_for_room(self, patience_s: float) -> None:
        """Wait while too much is unfiled to take more.

        Raises
        ------
        StoreBroken
            Filing has fallen behind for ``patience_s``.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._unfiled < MOST_UNFILED, patience_s):
                raise StoreBroken(
                    f"filing is {self._unfiled} instances behind (limit {MOST_UNFILED})"
                )

    def put(self, pending: Pending) -> None:
        """Take one instance that is durable in the journal."""
        with self._changed:
            self._waiting.append(pending)
            self._unfiled += 1
            self._unfiled_bytes += pending.arrival.size_bytes
            if len(self._waiting) in (1, BATCH):  # what the thread waits for, and nothing else
                self._changed.notify_all()

    def stop(self, patience_s: float) -> None:
        """File what is left, for ``patience_s`` at most; the rest stays in the journal."""
        with self._changed:
            self._stopping = True
            self._give_up_at = time.monotonic() + patience_s
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        batch: list[Pending] = []
        wait_s = FIRST_WAIT_S
        while not self._ended(batch):
            self._fill(batch)
            try:
                if batch:
                    self._file(batch)
                    batch = []
                self._journal.recycle()
                wait_s = FIRST_WAIT_S
            except Exception:
                # Whatever it is: the records stay, and a thread that ended here would let the
                # journal fill without a word.
                logger.exception("filing failed, %d instances wait in the journal", self._unfiled)
                self._pause(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _ended(self, batch: list[Pending]) -> bool:
        with self._changed:
            if not self._stopping:
                return False
            return not (batch or self._waiting) or time.monotonic() > self._give_up_at

    def _fill(self, batch: list[Pending]) -> None:
        """Add what waits, up to BATCH; an empty batch waits for the first, and then for more.

        One transaction for many costs the index, and the receiving threads, far less.
        """
        with self._changed:
            if not batch:
                self._changed.wait_for(lambda: self._waiting or self._stopping, _LOOK_S)
                if self._waiting:
                    self._changed.wait_for(self._has_enough, GATHER_S)
            while self._waiting and len(batch) < BATCH:
                batch.append(self._waiting.popleft())

    def _has_enough(self) -> bool:
        return len(self._waiting) >= BATCH or self._stopping

    def _pause(self, wait_s: float) -> None:
        with self._changed:
            if self._stopping:
                wait_s = FIRST_WAIT_S
            self._changed.wait_for(lambda: self._stopping, wait_s)

    def _file(self, batch: list[Pending]) -> None:
        arrivals = []
        for pending in batch:
            arrivals.append(file_instance(self._files, self._folder, pending))
            self._filed(pending.arrival)
        self.refused += register(self._index, arrivals)
        self._journal.done([pending.entry for pending in batch])
        with self._changed:
            self._unfiled -= len(batch)
            self._unfiled_bytes -= sum(pending.arrival.size_bytes for pending in batch)
            self._changed.notify_all()
        for pending in batch:
            if pending.spilled is not None:
                pending.spilled.unlink(missing_ok=True)
