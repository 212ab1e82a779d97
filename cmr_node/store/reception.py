"""One instance while it arrives: in memory if it is small, in a file of its own if it is not.

The promise kept here: an instance of any size costs ``spill_bytes`` of memory at most, its bytes
are copied once, and one that is not kept leaves no trace.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar

from cmr_node.dicom.header import Header, scan, scan_beginning, scan_file
from cmr_node.dicom.part10 import DIGEST_BYTES, meta
from cmr_node.durable import FILE_MODE, sync_folder, write_all
from cmr_node.errors import InconsistentInstance, StoreBroken, UnreadableHeader
from cmr_node.store.files import Kept, set_time

_HEADER_BYTES: Final = 64 << 10  # where nearly every header ends
Buffer = bytes | memoryview
T = TypeVar("T")


class Keeper(Protocol):
    """The store, as a reception sees it."""

    spill_bytes: int

    def check_disk(self) -> None:
        """Raise StoreFull past the hard mark."""

    def new_part(self) -> Path:
        """Path for a large instance that arrives."""

    def keep(self, reception: Reception) -> Kept:
        """Make what came durable."""


class Reception:
    """One instance that arrives; made by ``Intake.begin``.

    The bytes given to ``write`` must not change before ``keep`` or ``discard`` returns.
    """

    def __init__(
        self,
        keeper: Keeper,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        calling_ae: str,
    ) -> None:
        self.sop_class_uid, self.sop_instance_uid = sop_class_uid, sop_instance_uid
        self.transfer_syntax_uid, self.calling_ae = transfer_syntax_uid, calling_ae
        self.size_bytes = 0
        self._keeper = keeper
        self._sha = hashlib.sha256()
        self.fragments: list[Buffer] = []
        self.spill: Spill | None = None

    def write(self, fragment: Buffer) -> None:
        """Take the next bytes of the data set.

        Raises
        ------
        StoreFull
            A large instance, and the disk is past the hard mark by now.
        StoreBroken
            A large instance, and the disk answered with an error.
        """
        self._sha.update(fragment)
        self.size_bytes += len(fragment)
        if self.spill is not None:
            self._keeper.check_disk()
            self.spill.write([fragment])
            return
        self.fragments.append(fragment)
        if self.size_bytes > self._keeper.spill_bytes:
            self.spill = Spill(self._keeper.new_part(), self.file_meta(bytes(DIGEST_BYTES)))
            self.spill.write(self.fragments)
            self.fragments = []

    def keep(self) -> Kept:
        """Make the instance durable, and sure to be filed and indexed whatever happens next.

        Raises
        ------
        BadInstance
            The data set cannot be read, or names another instance than the command.
        StoreBroken
            The disk answered with an error, or filing has fallen behind.
        """
        try:
            return self._keeper.keep(self)
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget what came."""
        self.fragments = []
        if self.spill is not None:
            self.spill.discard()
            self.spill = None

    def digest(self) -> bytes:
        """SHA-256 of what came."""
        return self._sha.digest()

    def file_meta(self, digest: bytes) -> bytes:
        """What goes before the data set in a file."""
        return meta(
            self.sop_class_uid,
            self.sop_instance_uid,
            self.transfer_syntax_uid,
            self.calling_ae,
            digest,
        )

    def header(self) -> Header:
        """The header of what came.

        Raises
        ------
        BadInstance
            The data set cannot be read, or names another instance than the command.
        """
        header = self._scan()
        for name, commanded, found in (
            ("SOP Class", self.sop_class_uid, header.sop_class_uid),
            ("SOP Instance", self.sop_instance_uid, header.sop_instance_uid),
        ):
            if commanded != found:
                raise InconsistentInstance(
                    f"the command names {name} UID {commanded}, the data set {found}"
                )
        return header

    def _scan(self) -> Header:
        if self.spill is not None:
            return self.spill.header(self.transfer_syntax_uid)
        parts, size = [], 0
        for fragment in self.fragments:
            parts.append(fragment)
            size += len(fragment)
            if size >= _HEADER_BYTES:
                break
        beginning = parts[0] if len(parts) == 1 else b"".join(parts)
        header = scan_beginning(beginning, self.transfer_syntax_uid, self.size_bytes)
        if header is None:
            header = scan(b"".join(self.fragments), self.transfer_syntax_uid)
        return header


class Spill:
    """A large instance in a file of its own."""

    def __init__(self, path: Path, file_meta: bytes) -> None:
        self.path, self._ahead = path, file_meta
        self._offset = 0
        self._fd = self._try(lambda: os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE))
        try:
            self.write([file_meta])
        except StoreBroken:
            self.discard()
            raise

    def write(self, parts: list[Buffer]) -> None:
        """Add bytes."""
        self._offset = self._try(lambda: write_all(self._fd, parts, self._offset))

    def header(self, transfer_syntax_uid: str) -> Header:
        """The header of what was written, read back."""
        if self._offset == len(self._ahead):
            raise UnreadableHeader("the data set is empty")
        return scan_file(self._fd, len(self._ahead), transfer_syntax_uid)

    def finish(self, digest: bytes, received_at: datetime) -> None:
        """Make the file whole and durable."""

        def end() -> None:
            write_all(self._fd, [digest], len(self._ahead) - DIGEST_BYTES)
            set_time(self._fd, received_at)
            os.fsync(self._fd)
            sync_folder(self.path.parent)

        self._try(end)

    def hand_over(self) -> Path:
        """The file is no longer this object's to remove."""
        os.close(self._fd)
        return self.path

    def discard(self) -> None:
        """Remove the file."""
        os.close(self._fd)
        self.path.unlink()

    def _try(self, do: Callable[[], T]) -> T:
        try:
            return do()
        except OSError as error:
            raise StoreBroken(f"{self.path}: {error.strerror}") from error
