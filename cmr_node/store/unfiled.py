"""Which SOP Instance UIDs are taken, among what is durable and has no file yet.

The promise kept here: of two instances with one UID the second sees the first, wherever the
first is: in another thread, in the journal, or on disk.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cmr_node.errors import StoreBroken
from cmr_node.store.files import Files, Kept


class Unfiled:
    """The digests of what waits for its file, by SOP Instance UID."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._changed = threading.Condition()
        self._busy: set[str] = set()
        self._known: dict[str, dict[str, bool]] = {}  # UID -> digest -> whether it lies aside

    @contextmanager
    def alone_with(self, uid: str) -> Iterator[None]:
        """While the block runs, no other thread runs such a block for this UID."""
        with self._changed:
            self._changed.wait_for(lambda: uid not in self._busy)
            self._busy.add(uid)
        try:
            yield
        finally:
            with self._changed:
                self._busy.remove(uid)
                self._changed.notify_all()

    def look_up(self, uid: str, digest: str) -> tuple[Kept, bool]:
        """What keeping this instance would be, and whether that is done already.

        Disk is asked after memory: an instance is on disk before it leaves memory.

        Raises
        ------
        StoreBroken
            The disk answered with an error.
        """
        with self._changed:
            known = dict(self._known.get(uid, {}))
        if digest in known:
            return (Kept.ASIDE if known[digest] else Kept.ALREADY), True
        try:
            if False not in known.values():
                found = self._files.digest_of(uid)
                if found is None:
                    return Kept.STORED, False
                if found == digest:
                    return Kept.ALREADY, True
            return Kept.ASIDE, self._files.aside_path_of(uid, digest).exists()
        except OSError as error:
            raise StoreBroken(f"files of instance {uid}: {error.strerror}") from error

    def add(self, uid: str, digest: str, aside: bool) -> None:
        """This instance is durable."""
        with self._changed:
            self._known.setdefault(uid, {})[digest] = aside

    def remove(self, uid: str, digest: str) -> None:
        """This instance has its file."""
        with self._changed:
            known = self._known.get(uid, {})
            known.pop(digest, None)
            if not known:
                self._known.pop(uid, None)
