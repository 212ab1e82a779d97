"""The files below a folder, whatever hangs in the tree.

The promise kept here: the walk ends.  Links to folders are named and not followed, so there are
no loops; what is neither file nor folder (a pipe, a device) is never opened.  Nothing is held but
the folders still to be read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

OWN_FOLDER: Final = b".cmr-node"
"""Where a TARGET keeps what is known of it; passed over when a TARGET is walked in its turn."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, its path below the root, and what tells whether it was changed since.

    ``problem`` is "" or why it cannot be opened.
    """

    path: bytes
    size: int = 0
    mtime_ns: int = 0
    problem: str = ""


def walk(root: bytes) -> Iterator[Entry]:
    """Every file below the folder ``root``, in no order."""
    folders = [b""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                for found in entries:
                    path = os.path.join(folder, found.name)
                    if found.is_dir(follow_symlinks=False):
                        if found.name != OWN_FOLDER:
                            folders.append(path)
                    elif found.is_symlink() and os.path.isdir(found.path):
                        yield Entry(path, problem="a link to a folder is not followed")
                    else:
                        yield from file_at(found.path, path)
        except OSError as error:
            yield Entry(folder, problem=f"the folder cannot be read: {error.strerror}")


def file_at(place: bytes, path: bytes) -> Iterator[Entry]:
    """The file at ``place``, called ``path``; nothing if what is there is no file."""
    try:
        status = os.stat(place)
    except OSError as error:  # gone meanwhile, or a link that leads nowhere or to itself
        yield Entry(path, problem=f"it cannot be opened: {error.strerror}")
        return
    if stat.S_ISREG(status.st_mode):
        yield Entry(path, status.st_size, status.st_mtime_ns)
