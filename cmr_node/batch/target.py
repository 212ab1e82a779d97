"""The folder that results go into, laid out like the source.

The promise kept here: under its final name a file is whole or not there, and nothing that
somebody else put there is ever written over.  Files are made among the ``parts``, on the same
file system, entered in the book, and then renamed.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from cmr_node.batch.book import Book
from cmr_node.batch.walk import OWN_FOLDER
from cmr_node.durable import make_folders, sync_folder
from cmr_node.errors import ConfigurationError

RESERVE_BYTES: Final = 128 << 10
"""What is left free on the disk: for the book, which has to name what found no room."""


def make_own_folder(root: Path) -> Path:
    """Make the target, and in it the folder of the book and the parts.

    Raises
    ------
    ConfigurationError
        ``root`` cannot be made or written.
    """
    folder = root / os.fsdecode(OWN_FOLDER)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{root} cannot be written: {error.strerror}") from error
    return folder


def fresh_parts(folder: Path) -> Path:
    """The folder of the parts, without those of an interrupted run; only for who has the book."""
    parts = folder / "parts"
    if parts.exists():
        shutil.rmtree(parts)
    parts.mkdir()
    return parts


class Target:
    """A target that was prepared, with the book that knows what in it is ours."""

    def __init__(self, root: Path, book: Book) -> None:
        self._root, self._book = root, book

    def path_of(self, path: bytes) -> Path:
        """Where a file of the source goes."""
        return self._root / os.fsdecode(path)

    def blocked(self, path: bytes) -> str:
        """Why nothing may be put there; "" if something may."""
        if self._behind_a_link(os.path.dirname(path)):
            return "in TARGET a link leads out of its folder"
        try:
            status = os.lstat(self.path_of(path))
        except FileNotFoundError:
            return ""
        except OSError as error:  # a file where a folder should be, or a name too long
            return f"it has no place in TARGET: {error.strerror}"
        if stat.S_ISREG(status.st_mode) and self._book.is_ours(path, status):
            return ""
        return "in TARGET something lies in its place that this tool did not write"

    def _behind_a_link(self, folder: bytes) -> bool:
        """Whether a folder, or one above it, is a link: results could end up in the source."""
        while folder:
            if os.path.islink(self.path_of(folder)):
                return True
            folder = os.path.dirname(folder)
        return False

    def place(self, unit: bytes, made: Sequence[tuple[bytes, Path]]) -> None:
        """Give files that were made their names.

        Raises
        ------
        OSError
            The disk said no; some may have their names already, whole.
        """
        self._book.announce(unit, made)
        folders = set()
        for path, part in made:
            place = self.path_of(path)
            make_folders(place.parent, 0o777)  # what the user's umask leaves of it
            part.replace(place)
            folders.add(place.parent)
        for folder in folders:
            sync_folder(folder)

    def room_bytes(self) -> int:
        """How much may still be written before the book has no room left to say so."""
        status = os.statvfs(self._root)
        return status.f_bavail * status.f_frsize - RESERVE_BYTES

    def has_all(self, unit: bytes) -> bool:
        """Whether everything a unit made is there, as it was made."""
        return self.has(self._book.outputs(unit))

    def has(self, paths: Iterable[bytes]) -> bool:
        """Whether files are there as they were made."""
        return all(self._is_ours(path) for path in paths)

    def clear_outdated(self, unit: bytes) -> None:
        """Take away what an earlier run made of files that would not be made so now.

        What was made of files that are gone stays: nobody may lose a result with its source.
        """
        for path in self._book.outdated(unit):
            if self._is_ours(path):
                self.path_of(path).unlink()

    def _is_ours(self, path: bytes) -> bool:
        try:
            status = os.lstat(self.path_of(path))
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and self._book.is_ours(path, status)
