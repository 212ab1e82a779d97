"""The few calls that make a file survive a power cut (Linux).

The promise kept here: when a function returns, what it names is on the disk; a disk that
answers with an error raises.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_LIBC = ctypes.CDLL(None, use_errno=True)
_IOV_MAX = 1024  # limits.h; parts of one writev

FILE_MODE = 0o640
FOLDER_MODE = 0o750


def sync_folder(folder: str | Path) -> None:
    """The names in ``folder``."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file_system(fd: int) -> None:
    """Everything written so far to the file system that ``fd`` is on.

    One call for many files: about a quarter of the cost of an fsync for each.  ``fd`` must have
    been open since before the writes, or an error of the disk could go unnoticed (syncfs(2)).
    """
    if _LIBC.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass(frozen=True, slots=True)
class Flushes:
    """How the journal reaches the disk: a door for tests that pull the plug."""

    file: Callable[[int], None] = os.fdatasync  #: the content of one open file
    file_system: Callable[[int], None] = sync_file_system  #: everything written so far


def make_folders(folder: Path, mode: int = FOLDER_MODE) -> None:
    """``folder`` and what is missing above it, each name synced in the folder that holds it."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process was faster
            path.mkdir(mode)
        sync_folder(path.parent)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that appears under its name, whole and durable, when the block ends well.

    If the block raises, what was written is removed and ``path`` is as it was before.  Through a
    link, and into what is no file (/dev/stdout is both), it is written as it comes.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        with path.open("wb") as stream:
            yield stream
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_all(fd: int, parts: Sequence[bytes | memoryview], offset: int) -> int:
    """Write ``parts`` one after the other from ``offset``; gives the offset after them."""
    remaining = [memoryview(part) for part in parts]
    remaining.reverse()
    while remaining:
        batch = remaining[: -_IOV_MAX - 1 : -1]
        written = os.pwritev(fd, batch, offset)
        offset += written
        while remaining and written >= len(remaining[-1]):
            written -= len(remaining.pop())
        if written:
            remaining[-1] = remaining[-1][written:]
    return offset


def copy(source: int, target: int, offset: int, size: int) -> None:
    """``size`` bytes from ``offset`` of ``source`` to the end of ``target``, within the kernel."""
    end = offset + size
    while offset < end:
        sent = os.sendfile(target, source, offset, end - offset)
        if sent == 0:
            raise OSError(f"the file ends at byte {offset}, {end - offset} bytes early")
        offset += sent


def try_lock(fd: int) -> bool:
    """Take the exclusive lock of an open file; False if another process has it.

    The lock ends with the process that holds it, however that ends.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def same_file(fd: int, path: Path) -> bool:
    """Whether ``path`` still names the open file: it may have been removed before the lock."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
