"""How full the disk is, against the soft and the hard mark.

The promise kept here: past the soft mark no new work is started, past the hard mark no instance
is taken; so what was acknowledged always has room to be filed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from cmr_node.errors import StoreBroken
from cmr_node.settings import Storage


class DiskState(IntEnum):
    """Free space against the two marks; greater is worse."""

    OK = 0  #: enough
    SOFT = 1  #: less free than ``soft_free_bytes``: no new work
    HARD = 2  #: less free than ``hard_free_bytes``: C-STORE is answered 0xA700


def disk_state(free: int, storage: Storage) -> DiskState:
    """The rule: ``free`` (bytes) against the marks of ``storage``."""
    if free < storage.hard_free_bytes:
        return DiskState.HARD
    if free < storage.soft_free_bytes:
        return DiskState.SOFT
    return DiskState.OK


def free_bytes(folder: Path) -> int:
    """What an unprivileged process may still write on the file system of ``folder`` (bytes).

    Raises
    ------
    StoreBroken
        The file system cannot be asked.
    """
    try:
        found = os.statvfs(folder)
    except OSError as error:
        raise StoreBroken(f"free space of {folder}: {error.strerror}") from error
    return found.f_bavail * found.f_frsize


class Disk:
    """The file system of the store, asked at most once per ``MAX_AGE_S``."""

    MAX_AGE_S = 1.0

    def __init__(
        self,
        storage: Storage,
        free: Callable[[Path], int] = free_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage, self._free, self._clock = storage, free, clock
        self._asked_at = float("-inf")
        self._last = 0

    def free_bytes(self) -> int:
        """Free space (bytes), at most MAX_AGE_S old."""
        now = self._clock()
        if now - self._asked_at > self.MAX_AGE_S:
            self._last = self._free(self._storage.root)
            self._asked_at = now
        return self._last

    def state(self) -> DiskState:
        """Where the free space stands against the marks."""
        return disk_state(self.free_bytes(), self._storage)
