"""Nothing that was acknowledged is lost: kill -9 at random moments, and the power cut."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cmr_node.durable import Flushes, sync_file_system
from cmr_node.store.database import Database
from cmr_node.store.files import Files, Kept
from cmr_node.store.index import Index
from cmr_node.store.segment import PAGE
from tests.store.keeping import (
    MEBI,
    MemoryIndex,
    digest_of,
    instance_bytes,
    instance_uid,
    keep,
    open_intake,
    storage,
    stored_bytes,
)

KILLS = int(os.environ.get("KEEPER_KILLS", "12"))
REPOSITORY = Path(__file__).parents[2]


class Keeper:
    """A process that keeps instances, and what it said."""

    def __init__(self, root: Path, first: int, step: int) -> None:
        self.acknowledged: list[tuple[int, int, str]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.keeper", str(root), str(first), str(step)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ready, self._began = threading.Event(), False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line == "ready\n":
                self._began = True
                self._ready.set()
            elif line.endswith("\n"):  # the last line may be cut
                number, content, kept = line.split()
                self.acknowledged.append((int(number), int(content), kept))
        self._ready.set()  # it ended by itself, if it had not begun

    def kill_after(self, seconds: float) -> None:
        """Kill -9, ``seconds`` after it was ready."""
        self._ready.wait(60)
        time.sleep(seconds)
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        assert self._began, "the process was not ready within 60 s"


@pytest.mark.system
def test_no_acknowledged_instance_is_lost_when_receivers_are_killed(tmp_path: Path) -> None:
    chance = random.Random(7)
    acknowledged: dict[tuple[int, int], str] = {}
    for kill in range(KILLS // 2):  # two receivers share the root, and now and then an instance
        keepers = [Keeper(tmp_path, kill * 10_000 + n, 1 + n) for n in range(2)]
        for keeper in keepers:
            keeper.kill_after(chance.uniform(0.0, 0.4))
        for keeper in keepers:
            for number, content, kept in keeper.acknowledged:
                acknowledged.setdefault((number, content), kept)
    assert len(acknowledged) > 20 * KILLS // 2

    database = Database.open(storage(tmp_path).index_url)
    open_intake(tmp_path, Index(database)).close()
    with database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT sop_instance_uid, digest FROM instances").all()
        aside = connection.exec_driver_sql("SELECT sop_instance_uid, digest FROM aside").all()
    database.close()
    assert len(set(rows)) == len(rows)
    known = set(rows) | set(aside)
    assert len(known) == len(rows) + len(aside)  # no content twice
    files = Files(tmp_path)
    for number, content in acknowledged:
        extra = 400_000 if number % 10 == 0 and not content else 0
        data = instance_bytes(number, content, extra)
        uid, digest = instance_uid(number), digest_of(data)
        assert (uid, digest) in known, (number, content)
        path = files.path_of(uid)
        if (uid, digest) in aside:
            path = files.aside_path_of(uid, digest)
        assert path.read_bytes().endswith(data)
    found = {(a.header.sop_instance_uid, a.digest) for _, a in files.arrivals(prove=True)}
    assert found == known
    assert not list((tmp_path / "incoming").rglob("*.part"))


class Plug:
    """Remembers what had reached the disk, so that the power can be cut.

    A segment is on the disk as it was when its last flush began; of each page written later,
    either state may be there.  A file is on the disk if the file system was flushed after it
    was made; else it may be there, be torn, or be gone.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.segments: dict[int, bytes] = {}
        self.files: set[Path] = set()
        self.acknowledged: set[int] = set()
        self._lock = threading.Lock()

    def flush(self, fd: int) -> None:
        inode, content = os.fstat(fd).st_ino, os.pread(fd, MEBI, 0)
        with self._lock:
            self.segments[inode] = content
        time.sleep(0.002)  # let others write meanwhile

    def flush_all(self, fd: int) -> None:
        made = set(self._stored())
        sync_file_system(fd)
        with self._lock:
            self.files |= made

    def cut(self, after: Path, chance: random.Random) -> set[int]:
        """Copy what may be left to ``after``; gives the numbers acknowledged before."""
        with self._lock:
            acknowledged = set(self.acknowledged)
            for path in self._segments():
                new = path.read_bytes()
                old = self.segments.get(path.stat().st_ino, bytes(len(new)))
                copied = after / path.relative_to(self.root)
                copied.parent.mkdir(parents=True, exist_ok=True)
                with copied.open("wb") as file:
                    for at in range(0, len(new), PAGE):
                        file.write(chance.choice((old, new))[at : at + PAGE])
            durable = set(self.files)
            # No flush ends meanwhile, so nothing is filed that was acknowledged after the cut.
            stored = self._stored()
        for path in stored:
            copied = after / path.relative_to(self.root)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copied)
            if path not in durable:
                self._tear(copied, chance)
        return acknowledged

    def _segments(self) -> list[Path]:
        return list((self.root / "incoming").rglob("*.journal"))

    def _stored(self) -> list[Path]:
        return [p for top in ("instances", "aside") for p in (self.root / top).rglob("*.dcm")]

    @staticmethod
    def _tear(path: Path, chance: random.Random) -> None:
        fate = chance.choice(("whole", "gone", "empty", "short", "zeros"))
        content = path.read_bytes()
        if fate == "gone":
            path.unlink()
        elif fate == "empty":
            path.write_bytes(b"")
        elif fate == "short":
            path.write_bytes(content[: chance.randrange(len(content))])
        elif fate == "zeros":
            path.write_bytes(content[:PAGE] + bytes(len(content) - PAGE))


@pytest.mark.parametrize("seed", range(6))
def test_no_acknowledged_instance_is_lost_when_the_power_goes(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    root = tmp_path / "before"
    plug = Plug(root)
    flushes = Flushes(file=plug.flush, file_system=plug.flush_all)
    stop = threading.Event()
    index = MemoryIndex()
    with open_intake(root, index, flushes=flushes) as intake:

        def send(first: int) -> None:
            for number in range(first, 100_000, 4):
                if stop.is_set():
                    return
                assert keep(intake, number, extra=20_000) is Kept.STORED
                with plug._lock:
                    plug.acknowledged.add(number)

        threads = [threading.Thread(target=send, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        cuts = []
        try:
            for cut in range(2):
                time.sleep(chance.uniform(0.1, 0.5))
                cuts.append(plug.cut(tmp_path / f"after{cut}", chance))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert cuts[1]
    for cut, acknowledged in enumerate(cuts):
        after = MemoryIndex()
        # What was registered stays registered: the database is durable by itself.
        with open_intake(tmp_path / f"after{cut}", after) as recovered:
            for number in acknowledged:
                data = instance_bytes(number, extra=20_000)
                assert stored_bytes(recovered.files, number) == data
                key = instance_uid(number), digest_of(data)
                assert key in after.rows or key in index.rows
            for path, found in recovered.files.arrivals(prove=True):
                assert not isinstance(found, Exception), path
