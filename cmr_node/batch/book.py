"""The book of a run: what was found in the tree, what was said of it, what was written.

The promise kept here: whatever moment a run is interrupted at, the next one goes on from this
file and does nothing again that is done; and memory does not grow with the tree, because the
book, not the process, remembers it.  SQLite, one writer.

    book      the source it was begun for: names and sizes of another may be the same by chance
    file      every file that is or should be an image, with its header; found again if its size
              and time of change are the same
    unit      a study, a volume or a file with a problem that is finished, with the fingerprint
              of its files and of the options: another fingerprint makes it unfinished
    stack     what was said of each stack, and the picture that stands for it
    output    every file that was, or was about to be, put into TARGET: whatever else lies there
              belongs to somebody else and is never written over
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

from cmr_node.batch.look import Found, Kind
from cmr_node.batch.plan import Plan, Shown
from cmr_node.batch.report import Record
from cmr_node.batch.walk import Entry
from cmr_node.errors import ConfigurationError, StoreBroken

LAYOUT = 1
"""Changes with the tables: a book of another layout is begun anew."""

_TABLES = """
CREATE TABLE book (source BLOB);
CREATE TABLE file (
    path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, kind TEXT, unit BLOB, uid TEXT,
    header BLOB, problem TEXT, run INTEGER
) WITHOUT ROWID;
CREATE INDEX file_of_unit ON file (unit, path);
CREATE INDEX file_of_uid ON file (uid) WHERE uid != '';
CREATE TABLE unit (unit BLOB PRIMARY KEY, fingerprint TEXT);
CREATE TABLE stack (unit BLOB, key TEXT, record TEXT, shown BLOB, frame INTEGER, first TEXT);
CREATE INDEX stack_of_unit ON stack (unit, key);
CREATE INDEX stack_by_first ON stack (first);
CREATE TABLE output (
    path BLOB, size INTEGER, mtime_ns INTEGER, unit BLOB, earlier BLOB,
    PRIMARY KEY (path, size, mtime_ns)
) WITHOUT ROWID;
CREATE INDEX output_of_unit ON output (unit);
CREATE INDEX output_of_earlier ON output (earlier);
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of one stack."""

    record: Record
    shown: Shown | None


class Book:
    """One book, open; ``run`` numbers the runs that wrote in it."""

    def __init__(self, connection: sqlite3.Connection, run: int) -> None:
        self._connection, self._run = connection, run

    @classmethod
    @contextmanager
    def open(cls, path: Path, source: Path) -> Iterator[Self]:
        """The book at ``path``, begun for ``source`` if there is none; closed at the end.

        Raises
        ------
        ConfigurationError
            It is no book, one of another source or layout, or another run has it.
        StoreBroken
            The disk answered with an error, or is full.
        """
        try:
            connection = sqlite3.connect(path, isolation_level=None, timeout=1)
            try:
                yield cls(connection, _prepare(connection, bytes(source)))
            finally:
                connection.close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise ConfigurationError(f"another cmr-node is at work on {path.parent}") from error
            raise StoreBroken(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(f"{path} is not what cmr-node wrote there: {error}") from error

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All that is written in the block is written, or none of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    # -- files ------------------------------------------------------------------------------

    def knows(self, entry: Entry) -> bool:
        """Whether the file was looked at before and has not changed; marks it as still there.

        To be asked of many files in one ``whole``: each by itself would cost a write to the disk.
        """
        changed = self._connection.execute(
            "UPDATE file SET run = ? WHERE path = ? AND size = ? AND mtime_ns = ? AND kind != ?",
            (self._run, entry.path, entry.size, entry.mtime_ns, Kind.PROBLEM),
        )
        return changed.rowcount == 1

    def note(self, found: Iterable[Found]) -> None:
        """Enter files that are or should be images."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    one.entry.path, one.entry.size, one.entry.mtime_ns, one.kind, one.unit,
                    one.uid, one.header, one.problem, self._run,
                )
                for one in found
            ],
        )  # fmt: skip

    def forget_the_rest(self) -> None:
        """Strike out the files that this run has not seen, and the units that lost one."""
        with self.whole():
            self._connection.execute(
                "DELETE FROM unit WHERE unit IN (SELECT unit FROM file WHERE run != ?)",
                (self._run,),
            )
            self._connection.execute("DELETE FROM file WHERE run != ?", (self._run,))
            self._connection.execute("DELETE FROM stack WHERE unit NOT IN (SELECT unit FROM file)")

    def units(self) -> Iterator[tuple[bytes, int]]:
        """Every unit, in order of its first path, with the number of its files."""
        query = "SELECT unit, COUNT(*) FROM file GROUP BY unit ORDER BY MIN(path)"
        yield from self._connection.execute(query)

    def study(self, unit: bytes) -> list[tuple[bytes, bytes]]:
        """Path and packed header of each DICOM file of a study, by path."""
        query = "SELECT path, header FROM file WHERE unit = ? ORDER BY path"
        return self._connection.execute(query, (unit,)).fetchall()

    def uids_elsewhere(self, unit: bytes) -> set[str]:
        """The SOP Instance UIDs of a study that occur in another study as well."""
        query = (
            "SELECT DISTINCT here.uid FROM file here JOIN file other "
            "ON other.uid = here.uid AND other.unit != here.unit "
            "WHERE here.unit = ? AND here.uid != ''"
        )
        return {uid for (uid,) in self._connection.execute(query, (unit,))}

    def problem(self, unit: bytes) -> tuple[bytes, str]:
        """Path and reason of a file that cannot be read."""
        query = "SELECT path, problem FROM file WHERE unit = ?"
        path, text = self._connection.execute(query, (unit,)).fetchone()
        return path, text

    # -- what is done -----------------------------------------------------------------------

    def fingerprint(self, unit: bytes, options: str) -> str:
        """That of the unit's files as they are now, of UIDs shared, and of the options."""
        shared = sorted(self.uids_elsewhere(unit))
        digest = hashlib.sha256(repr((options, shared)).encode())
        query = "SELECT path, size, mtime_ns FROM file WHERE unit = ? ORDER BY path"
        for row in self._connection.execute(query, (unit,)):
            digest.update(repr(row).encode())
        return digest.hexdigest()

    def is_finished(self, unit: bytes, fingerprint: str) -> bool:
        """Whether all of a unit was done in this very way."""
        query = "SELECT 1 FROM unit WHERE unit = ? AND fingerprint = ?"
        return self._connection.execute(query, (unit, fingerprint)).fetchone() is not None

    def begin(self, unit: bytes, fingerprint: str) -> None:
        """Strike out what was said of a unit, unless an interrupted run said it the same way."""
        name = f"begun {fingerprint}"
        if self.is_finished(unit, name):
            self._connection.execute("DELETE FROM stack WHERE unit = ? AND key = ''", (unit,))
            return
        with self.whole():
            self._connection.execute("DELETE FROM stack WHERE unit = ?", (unit,))
            self._connection.execute(
                "UPDATE output SET earlier = unit, unit = NULL WHERE unit = ?", (unit,)
            )
            self._connection.execute("INSERT OR REPLACE INTO unit VALUES (?, ?)", (unit, name))

    def is_done(self, plan: Plan) -> bool:
        """Whether the work of a plan was done by an earlier run."""
        query = "SELECT 1 FROM stack WHERE unit = ? AND key = ?"
        return self._connection.execute(query, (plan.unit, plan.key)).fetchone() is not None

    def say(self, plan: Plan, key: str) -> None:
        """Enter the record of a plan that is done; ``key`` is that of the plan as it was made.

        One that is to be tried again is entered without.
        """
        shown = plan.shown or Shown(b"", -1)
        if not plan.passing:  # its files may have been taken away since it was entered before
            self._connection.execute(
                "DELETE FROM stack WHERE unit = ? AND key = ?", (plan.unit, key)
            )
        self._connection.execute(
            "INSERT INTO stack VALUES (?, ?, ?, ?, ?, ?)",
            (
                plan.unit,
                "" if plan.passing else key,
                plan.record.model_dump_json(by_alias=True),
                *astuple(shown),
                plan.record.files[0],
            ),
        )

    def finish(self, unit: bytes, fingerprint: str) -> None:
        """Enter a unit as finished."""
        self._connection.execute("INSERT OR REPLACE INTO unit VALUES (?, ?)", (unit, fingerprint))

    def said(self) -> Iterator[Said]:
        """What was said of all stacks, in order of their first files."""
        query = "SELECT record, shown, frame FROM stack ORDER BY first, key"
        rows = self._connection.execute(query)
        for record, path, frame in rows:
            shown = Shown(path, frame) if frame >= 0 else None
            yield Said(Record.model_validate_json(record), shown)

    # -- what lies in TARGET ----------------------------------------------------------------

    def announce(self, unit: bytes, parts: Sequence[tuple[bytes, Path]]) -> None:
        """Enter files that are about to be put into TARGET."""
        rows = []
        for path, part in parts:
            status = os.stat(part)
            rows.append((path, status.st_size, status.st_mtime_ns, unit))
        with self.whole():
            self._connection.executemany(
                "INSERT OR REPLACE INTO output VALUES (?, ?, ?, ?, NULL)", rows
            )

    def is_ours(self, path: bytes, status: os.stat_result) -> bool:
        """Whether a file in TARGET is as an earlier run put it there."""
        query = "SELECT 1 FROM output WHERE path = ? AND size = ? AND mtime_ns = ?"
        found = self._connection.execute(query, (path, status.st_size, status.st_mtime_ns))
        return found.fetchone() is not None

    def outdated(self, unit: bytes) -> list[bytes]:
        """What an earlier run made of files that are still there, and this one did not."""
        query = (
            "SELECT DISTINCT path FROM output WHERE earlier = :unit "
            "AND path NOT IN (SELECT path FROM output WHERE unit = :unit) "
            "AND path IN (SELECT path FROM file WHERE unit = :unit)"
        )
        return [path for (path,) in self._connection.execute(query, {"unit": unit})]

    def outputs(self, unit: bytes) -> Iterator[bytes]:
        """The files in TARGET that a unit made."""
        query = "SELECT DISTINCT path FROM output WHERE unit = ?"
        for (path,) in self._connection.execute(query, (unit,)):
            yield path


def _prepare(connection: sqlite3.Connection, source: bytes) -> int:
    """Make the tables if need be, and number this run."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("PRAGMA synchronous = NORMAL")
    layout = connection.execute("PRAGMA user_version").fetchone()[0]
    if layout == 0:
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {LAYOUT}; COMMIT;")
        connection.execute("INSERT INTO book VALUES (?)", (source,))
    elif layout != LAYOUT:
        raise ConfigurationError(
            f"the book of an earlier run has layout {layout}; this cmr-node reads {LAYOUT}"
        )
    begun_for = connection.execute("SELECT source FROM book").fetchall()
    if begun_for != [(source,)]:
        earlier = ", ".join(os.fsdecode(one) for (one,) in begun_for)
        raise ConfigurationError(
            f"what lies there was made of {earlier or 'nothing'}, not of {os.fsdecode(source)}; "
            "allowed: the same SOURCE again, or another TARGET"
        )
    return int(connection.execute("SELECT COALESCE(MAX(run), 0) + 1 FROM file").fetchone()[0])
