"""A folder in ``incoming`` for each process that receives, and for nobody else.

The promise kept here: a folder has one living owner.  The owner holds the lock of its file
``lock``, which ends with the process however that ends; a folder whose lock can be taken was
left behind, and whoever takes it takes over what lies in it.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from cmr_node.durable import FILE_MODE, make_folders, same_file, sync_folder, try_lock
from cmr_node.errors import StoreBroken


class OwnedFolder:
    """A folder whose lock this process holds until ``release``."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path, self._lock = path, lock
        self._name = uuid.uuid4().hex  # a process id comes again, in a container at every start
        self._parts = 0

    @classmethod
    def claim(cls, path: Path) -> OwnedFolder | None:
        """Take over the folder, unless its owner lives or it has just been removed."""
        lock_path = path / "lock"
        try:
            lock = os.open(lock_path, os.O_RDWR | os.O_CREAT, FILE_MODE)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if try_lock(lock) and same_file(lock, lock_path):
            return cls(path, lock)
        os.close(lock)
        return None

    @classmethod
    def claim_all(cls, incoming: Path) -> list[OwnedFolder]:
        """Every folder that was left behind, by name.

        Raises
        ------
        StoreBroken
            The disk answered with an error.
        """
        try:
            found = [cls.claim(path) for path in sorted(incoming.iterdir()) if path.is_dir()]
        except OSError as error:
            raise StoreBroken(f"{incoming}: {error.strerror}") from error
        return [folder for folder in found if folder is not None]

    @classmethod
    def make(cls, incoming: Path) -> OwnedFolder:
        """A new folder.

        Raises
        ------
        StoreBroken
            The disk answered with an error.
        """
        while True:
            path = incoming / uuid.uuid4().hex
            try:
                make_folders(path)
                folder = cls.claim(path)
            except OSError as error:
                raise StoreBroken(f"{path}: {error.strerror}") from error
            if folder is not None:  # else another process took it for one left behind
                return folder

    def new_part(self) -> Path:
        """The path of a file that is not there yet, for what is not whole yet."""
        self._parts += 1
        return self.path / f"{self._name}-{self._parts}.part"

    def sweep(self) -> None:
        """Remove every part: to be called when no record speaks of one any more."""
        for part in self.path.glob("*.part"):
            part.unlink()

    def remove(self) -> None:
        """Remove the folder with all that is in it, and release it."""
        shutil.rmtree(self.path)
        sync_folder(self.path.parent)
        self.release()

    def release(self) -> None:
        """Let another process take the folder."""
        os.close(self._lock)
