"""Instances on disk.

The promise kept here: what has a name below ``instances`` or ``aside`` is whole, has the content
it first had, and never gets another.  Names come from a SHA-256 of our own, never from the wire.

    instances/abc/<SHA-256 of the SOP Instance UID>.dcm    one for each SOP Instance UID
    aside/abc/<the same>-<SHA-256 of the data set>.dcm     other content under a known UID
    incoming/                                              what is not whole yet

The 4096 folders are named by the first three digits of the file name.

A file is made in ``incoming`` and then linked to its name, which fails if the name is taken: two
processes, or two hosts on a shared file system, cannot overwrite each other.  The time of a file
is when it was received; with it, everything the index knows can be read back from the files.
"""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Final

from cmr_node.dicom.header import scan, scan_file
from cmr_node.dicom.part10 import FileMeta, read_meta
from cmr_node.durable import (
    FILE_MODE,
    FOLDER_MODE,
    make_folders,
    same_file,
    sync_folder,
    try_lock,
    write_all,
)
from cmr_node.errors import BadInstance, InconsistentInstance, StoreBroken, UnreadableHeader
from cmr_node.store.arrival import Arrival

logger = logging.getLogger(__name__)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_META_BYTES: Final = 4096  # more than enough for the file meta information we write
_CHUNK_BYTES: Final = 1 << 20


class Kept(Enum):
    """What became of an instance that was to be kept."""

    STORED = "stored"  #: new
    ALREADY = "already"  #: the same content is there; one copy
    ASIDE = "aside"  #: other content is there; this one lies beside it


class Files:
    """The durable instances below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = root / "incoming"
        self._instances, self._aside = root / "instances", root / "aside"

    def prepare(self) -> None:
        """Make the folders, durably.

        Raises
        ------
        StoreBroken
            They cannot be made.
        """
        try:
            for folder in (self._instances, self._aside, self.incoming):
                make_folders(folder)
        except OSError as error:
            raise StoreBroken(f"folders below {self.root}: {error.strerror}") from error

    def path_of(self, sop_instance_uid: str) -> Path:
        """Where the instance lies, if it is stored."""
        return Path(_name(self._instances, sop_instance_uid, ""))

    def aside_path_of(self, sop_instance_uid: str, digest: str) -> Path:
        """Where other content of this digest (hex) under a known UID lies."""
        return Path(_name(self._aside, sop_instance_uid, f"-{digest}"))

    def digest_of(self, sop_instance_uid: str) -> str | None:
        """Digest of the stored instance; None if there is none, "" if its file is damaged."""
        return _digest(_name(self._instances, sop_instance_uid, ""), prove=False)

    def place(
        self, source: Path, sop_instance_uid: str, digest: str, aside: bool, prove: bool = False
    ) -> Kept:
        """Give the whole file ``source`` its name; not durable until its folders are synced.

        Parameters
        ----------
        aside
            It is known already that other content has the name.
        prove
            The file that has the name may be torn by a power cut: read it whole, and if it
            contradicts itself, ``source`` takes its place.
        """
        if not aside:
            target = _name(self._instances, sop_instance_uid, "")
            if _link(source, target):
                return Kept.STORED
            found = _digest(target, prove)
            if found == digest:
                return Kept.ALREADY
            if prove and not found:
                os.replace(source, target)
                return Kept.STORED
        target = _name(self._aside, sop_instance_uid, f"-{digest}")
        if not _link(source, target) and prove and _digest(target, prove) != digest:
            os.replace(source, target)
        return Kept.ASIDE

    def write_file(
        self, part10: bytes, received_at: datetime, calling_ae: str = ""
    ) -> tuple[Kept, Arrival]:
        """Store a whole Part 10 file, such as a derived object; durable when this returns.

        The same data set again changes nothing; another one under its UID is kept aside.

        Raises
        ------
        BadInstance
            It is no Part 10 file, or its file meta information contradicts its data set.
        StoreBroken
            The disk answered with an error.
        """
        view = memoryview(part10)
        meta = read_meta(view)
        header = scan(view[meta.offset :], meta.transfer_syntax_uid)
        _agree(meta, header.sop_class_uid, header.sop_instance_uid)
        digest = hashlib.sha256(view[meta.offset :]).hexdigest()
        try:
            kept = self._write(view, header.sop_instance_uid, digest, received_at)
        except OSError as error:
            raise StoreBroken(f"instance {header.sop_instance_uid}: {error.strerror}") from error
        arrival = Arrival(
            header=header,
            digest=digest,
            size_bytes=len(part10) - meta.offset,
            received_at=received_at,
            calling_ae=calling_ae or meta.calling_ae,
            aside=kept is Kept.ASIDE,
        )
        return kept, arrival

    def _write(
        self, part10: memoryview, sop_instance_uid: str, digest: str, received_at: datetime
    ) -> Kept:
        part = self.incoming / f"{uuid.uuid4().hex}.part"
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        try:
            try_lock(fd)  # as long as this process lives, ``sweep`` leaves the file alone
            write_all(fd, [part10], 0)
            set_time(fd, received_at)
            os.fsync(fd)
            kept = self.place(part, sop_instance_uid, digest, aside=False)
        finally:
            part.unlink()
            os.close(fd)
        self.sync_name(sop_instance_uid, digest, kept)
        return kept

    def sync_name(self, sop_instance_uid: str, digest: str, kept: Kept) -> None:
        """Make the name that ``place`` gave durable, and that of its folder."""
        if kept is Kept.ASIDE:
            folder = self.aside_path_of(sop_instance_uid, digest).parent
        else:
            folder = self.path_of(sop_instance_uid).parent
        sync_folder(folder)
        sync_folder(folder.parent)

    def sweep(self) -> int:
        """Remove what processes that are gone left half written; gives the number of files."""
        removed = 0
        for part in self.incoming.glob("*.part"):
            try:
                fd = os.open(part, os.O_RDONLY)
            except FileNotFoundError:  # its writer has just finished
                continue
            try:
                if try_lock(fd) and same_file(fd, part):
                    part.unlink()
                    removed += 1
            finally:
                os.close(fd)
        return removed

    def walk(self) -> Iterator[Path]:
        """Every stored file: first those below ``instances``, then those below ``aside``."""
        for top in (self._instances, self._aside):
            for folder in sorted(os.listdir(top)):
                for name in sorted(os.listdir(top / folder)):
                    yield top / folder / name

    def arrivals(self, prove: bool = False) -> Iterator[tuple[Path, Arrival | BadInstance]]:
        """What the index must know, from the files alone; or what is wrong with a file.

        With ``prove`` each file is read whole and compared with the digest it carries.
        """
        for path in self.walk():
            try:
                yield path, self.arrival(path, prove)
            except BadInstance as fault:
                logger.warning("stored file %s: %s", path, fault)
                yield path, fault

    def arrival(self, path: Path, prove: bool = False) -> Arrival:
        """What the index must know of one stored file.

        Raises
        ------
        BadInstance
            The file is damaged or does not belong under its name.
        """
        aside = path.is_relative_to(self._aside)
        arrival = replace(self.read(path, prove), aside=aside)
        uid, digest = arrival.header.sop_instance_uid, arrival.digest
        expected = self.aside_path_of(uid, digest) if aside else self.path_of(uid)
        if path != expected:
            raise InconsistentInstance(f"instance {uid} belongs at {expected}")
        return arrival

    def read(self, path: Path, prove: bool = False) -> Arrival:
        """As ``arrival``, of a file under any name."""
        fd = os.open(path, os.O_RDONLY)
        try:
            meta = read_meta(os.pread(fd, _CHUNK_BYTES, 0))
            header = scan_file(fd, meta.offset, meta.transfer_syntax_uid)
            digest = meta.digest
            if prove or not digest:
                digest = _sha256(fd, meta.offset)
            status = os.fstat(fd)
        finally:
            os.close(fd)
        _agree(meta, header.sop_class_uid, header.sop_instance_uid)
        if meta.digest and digest != meta.digest:
            raise InconsistentInstance(f"the data set has SHA-256 {digest}, not {meta.digest}")
        return Arrival(
            header=header,
            digest=digest,
            size_bytes=status.st_size - meta.offset,
            received_at=_EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000),
            calling_ae=meta.calling_ae,
        )


def set_time(fd: int, received_at: datetime) -> None:
    """Make ``received_at`` the time of an open file."""
    nanoseconds = (received_at - _EPOCH) // timedelta(microseconds=1) * 1000
    os.utime(fd, ns=(nanoseconds, nanoseconds))


def _name(top: Path, sop_instance_uid: str, suffix: str) -> str:
    name = hashlib.sha256(sop_instance_uid.encode()).hexdigest()
    return f"{top}/{name[:3]}/{name}{suffix}.dcm"


def _link(source: Path, target: str) -> bool:
    """Give ``source`` a second name; False if that name is taken."""
    for made in (False, True):
        try:
            os.link(source, target)
        except FileExistsError:
            return False
        except FileNotFoundError:
            if made:
                raise
            os.makedirs(os.path.dirname(target), FOLDER_MODE, exist_ok=True)
        else:
            break
    return True


def _digest(path: str, prove: bool) -> str | None:
    """Digest of the data set in a file; None if there is none, "" if the file is damaged."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        meta = read_meta(os.pread(fd, _META_BYTES, 0))
        if meta.digest and not prove:
            return meta.digest
        if prove:  # what the disk has, not what the kernel could not write and still remembers
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        found = _sha256(fd, meta.offset)
        return found if not meta.digest or found == meta.digest else ""
    except UnreadableHeader:
        return ""
    finally:
        os.close(fd)


def _sha256(fd: int, offset: int) -> str:
    sha = hashlib.sha256()
    while chunk := os.pread(fd, _CHUNK_BYTES, offset):
        sha.update(chunk)
        offset += len(chunk)
    return sha.hexdigest()


def _agree(meta: FileMeta, sop_class_uid: str, sop_instance_uid: str) -> None:
    if (meta.sop_class_uid, meta.sop_instance_uid) != (sop_class_uid, sop_instance_uid):
        raise InconsistentInstance(
            f"file meta information names instance {meta.sop_instance_uid} of class "
            f"{meta.sop_class_uid}, the data set {sop_instance_uid} of {sop_class_uid}"
        )
