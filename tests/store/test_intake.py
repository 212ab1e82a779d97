"""The door of the store: what is kept, what is refused, and what a next process finds."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from cmr_node.dicom.part10 import meta
from cmr_node.durable import Flushes
from cmr_node.errors import InconsistentInstance, StoreBroken, StoreFull, UnreadableHeader
from cmr_node.store.arrival import Arrival
from cmr_node.store.database import Database
from cmr_node.store.disk import Disk
from cmr_node.store.files import Files, Kept
from cmr_node.store.index import Index
from cmr_node.store.intake import Intake, now
from cmr_node.store.journal import Journal
from cmr_node.store.owned import OwnedFolder
from cmr_node.store.records import Kind, head
from tests.samples import data_set_bytes, mr
from tests.store.keeping import (
    CLASS,
    MEBI,
    SYNTAX,
    MemoryIndex,
    begin,
    digest_of,
    instance_bytes,
    instance_uid,
    keep,
    open_intake,
    storage,
    stored_bytes,
    wait_until,
)


@contextmanager
def crashing(intake: Intake) -> Iterator[None]:
    """Leave the intake as a killed process would: nothing more is filed, the lock is gone."""
    try:
        yield
    finally:
        intake._folder.release()


def wait_for(gate: threading.Event) -> None:
    """Stand still until the test opens the gate."""
    assert gate.wait(30)


def parts(root: Path) -> list[Path]:
    """Files of what is not whole yet."""
    return list((root / "incoming").rglob("*.part"))


def test_what_is_kept_becomes_a_file_with_the_bytes_as_sent_and_a_row(tmp_path: Path) -> None:
    index = MemoryIndex()
    with open_intake(tmp_path, index) as intake:
        assert keep(intake, 1) is Kept.STORED
    data = instance_bytes(1)
    assert stored_bytes(intake.files, 1) == data
    ((key, arrival),) = index.rows.items()
    assert key == (instance_uid(1), digest_of(data))
    assert (arrival.size_bytes, arrival.calling_ae, arrival.aside) == (len(data), "SCANNER", False)
    ds = pydicom.dcmread(intake.files.path_of(instance_uid(1)))
    assert ds.file_meta.TransferSyntaxUID == SYNTAX
    assert ds.file_meta.SourceApplicationEntityTitle == "SCANNER"
    assert arrival.header.attributes["TriggerTime"] == ds.TriggerTime
    assert list(intake.files.arrivals(prove=True)) == [
        (intake.files.path_of(instance_uid(1)), arrival)
    ]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_transfer_syntax_is_stored_as_sent(tmp_path: Path, syntax: str) -> None:
    ds = mr(transfer_syntax=syntax)
    data = data_set_bytes(ds)
    with open_intake(tmp_path, MemoryIndex()) as intake:
        reception = intake.begin(CLASS, ds.SOPInstanceUID, syntax, "SCANNER")
        for byte in range(0, len(data), 17):
            reception.write(data[byte : byte + 17])
        reception.keep()
        path = intake.files.path_of(ds.SOPInstanceUID)
        wait_until(path.exists)
        assert path.read_bytes().endswith(data)
        assert pydicom.dcmread(path) == ds


def test_the_same_again_is_known_whether_it_is_in_the_journal_or_on_disk(tmp_path: Path) -> None:
    index = MemoryIndex()
    gate = threading.Event()
    index.fail = lambda arrivals: wait_for(gate)
    with open_intake(tmp_path, index) as intake:
        assert [keep(intake, 1) for _ in range(3)] == [Kept.STORED, Kept.ALREADY, Kept.ALREADY]
        gate.set()
        wait_until(lambda: intake.lag.instances == 0)
        assert keep(intake, 1) is Kept.ALREADY
    assert len(list(intake.files.walk())) == 1
    with open_intake(tmp_path, index) as intake:
        assert keep(intake, 1) is Kept.ALREADY
    assert len(index.rows) == 1


@pytest.mark.parametrize("filed", [False, True])
def test_other_content_lies_aside_and_never_replaces(tmp_path: Path, filed: bool) -> None:
    index = MemoryIndex()
    with open_intake(tmp_path, index) as intake:
        assert keep(intake, 1, content=1) is Kept.STORED
        if filed:
            wait_until(lambda: intake.lag.instances == 0)
        assert keep(intake, 1, content=2) is Kept.ASIDE
        if filed:
            wait_until(lambda: intake.lag.instances == 0)
        assert keep(intake, 1, content=2) is Kept.ASIDE
        assert keep(intake, 1, content=1) is Kept.ALREADY
    files = intake.files
    assert stored_bytes(files, 1) == instance_bytes(1, content=1)
    second = instance_bytes(1, content=2)
    assert files.aside_path_of(instance_uid(1), digest_of(second)).read_bytes().endswith(second)
    assert len(list(files.walk())) == 2
    assert sorted(arrival.aside for arrival in index.rows.values()) == [False, True]


def test_twenty_senders_of_the_same_and_of_other_content_at_once(tmp_path: Path) -> None:
    index = MemoryIndex()
    found: Counter[tuple[int, Kept]] = Counter()
    lock = threading.Lock()
    with open_intake(tmp_path, index) as intake:

        def send(sender: int) -> None:
            for number in range(10):
                kept = keep(intake, number, content=sender % 2)
                with lock:
                    found[number, kept] += 1

        threads = [threading.Thread(target=send, args=(sender,)) for sender in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number in range(10):
        assert found[number, Kept.STORED] == 1
        assert found[number, Kept.ALREADY] == 9
        assert found[number, Kept.ASIDE] == 10
    assert len(list(intake.files.walk())) == 20
    assert sorted(arrival.aside for arrival in index.rows.values()) == [False] * 10 + [True] * 10


def test_two_processes_on_one_root_do_not_overwrite_each_other(tmp_path: Path) -> None:
    index = MemoryIndex()
    gate = threading.Event()
    index.fail = lambda arrivals: wait_for(gate)
    with open_intake(tmp_path, index) as one, open_intake(tmp_path, index) as two:
        keep(one, "holds the first filer", 0)
        keep(two, "holds the second filer", 0)
        wait_until(lambda: len(list(one.files.walk())) == 2)
        assert keep(one, 1, content=1) is Kept.STORED
        assert keep(two, 1, content=2) is Kept.STORED  # it cannot see the other's journal
        gate.set()
    rows = [a for a in index.rows.values() if a.header.sop_instance_uid == instance_uid(1)]
    assert sorted(arrival.aside for arrival in rows) == [False, True]
    primary = next(arrival for arrival in rows if not arrival.aside)
    assert digest_of(stored_bytes(one.files, 1)) == primary.digest
    assert len(list(one.files.walk())) == 4


def test_an_aborted_instance_leaves_no_trace(tmp_path: Path) -> None:
    index = MemoryIndex()
    with open_intake(tmp_path, index) as intake:
        for extra in (0, 2 * MEBI):
            reception = begin(intake, 1)
            reception.write(instance_bytes(1, extra=extra)[:-100])
            reception.discard()
        assert not parts(tmp_path)
    assert not index.rows
    assert not list(intake.files.walk())
    with open_intake(tmp_path, index):
        assert not index.rows


def test_what_is_no_data_set_or_another_instance_is_refused_and_leaves_no_trace(
    tmp_path: Path,
) -> None:
    index = MemoryIndex()
    with open_intake(tmp_path, index) as intake:
        for number, data, error in (
            (1, b"", UnreadableHeader),
            (1, b"GET / HTTP/1.1\r\n\r\n", UnreadableHeader),
            (1, bytes(3 * MEBI), UnreadableHeader),
            (1, instance_bytes(1)[:-100], UnreadableHeader),
            (1, instance_bytes(2), InconsistentInstance),
            (1, instance_bytes(2, extra=2 * MEBI), InconsistentInstance),
        ):
            reception = begin(intake, number)
            reception.write(data)
            with pytest.raises(error):
                reception.keep()
        other_class = intake.begin("1.2.840.10008.5.1.4.1.1.2", instance_uid(1), SYNTAX, "A")
        other_class.write(instance_bytes(1))
        with pytest.raises(InconsistentInstance, match="SOP Class"):
            other_class.keep()
        assert not parts(tmp_path)
    assert not index.rows


@pytest.mark.parametrize("uid", ["../../x", "", "1.2.3;rm", "1" * 65, "1.2\n"])
def test_a_command_with_a_uid_that_is_none_is_refused(tmp_path: Path, uid: str) -> None:
    with open_intake(tmp_path, MemoryIndex()) as intake:
        for given in ((uid, "1.2", SYNTAX), (CLASS, uid, SYNTAX), (CLASS, "1.2", uid)):
            with pytest.raises(UnreadableHeader, match="is no UID"):
                intake.begin(*given, "SCANNER")


def test_past_the_hard_mark_nothing_is_taken_and_a_large_one_is_stopped_midway(
    tmp_path: Path,
) -> None:
    wanted, free, now = storage(tmp_path, soft_free_bytes=20, hard_free_bytes=10), [15], [0.0]
    disk = Disk(wanted, free=lambda folder: free[0], clock=lambda: now[0])
    with open_intake(tmp_path, MemoryIndex(), storage=wanted, disk=disk) as intake:
        assert keep(intake, 1) is Kept.STORED  # past the soft mark only
        large = begin(intake, 2)
        large.write(instance_bytes(2, extra=2 * MEBI))
        free[0], now[0] = 9, 5.0
        with pytest.raises(StoreFull, match="9 bytes are free"):
            begin(intake, 3)
        with pytest.raises(StoreFull):
            large.write(b"more")
        large.discard()
        assert not parts(tmp_path)


def test_a_large_instance_costs_little_memory(tmp_path: Path) -> None:
    size, piece = 300 * MEBI, bytes(128 * 1024)
    ds = mr(PixelData=None)
    ahead = data_set_bytes(ds) + b"\xe0\x7f\x10\x00OW\0\0" + size.to_bytes(4, "little")
    with open_intake(tmp_path, MemoryIndex()) as intake:
        reception = intake.begin(CLASS, ds.SOPInstanceUID, SYNTAX, "SCANNER")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        reception.write(ahead)
        for _ in range(size // len(piece)):
            reception.write(piece)
        assert reception.keep() is Kept.STORED
        wait_until(lambda: intake.lag.instances == 0)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 64 * MEBI
    path = intake.files.path_of(ds.SOPInstanceUID)
    assert path.stat().st_size > size
    assert not parts(tmp_path)
    assert intake.files.arrival(path, prove=True).header.attributes["PixelData"] == size


@pytest.mark.parametrize("room", [0, 2 * MEBI])
def test_a_large_instance_on_a_full_disk_is_a_broken_store_and_leaves_no_trace(
    tmp_path: Path, room: int
) -> None:
    with open_intake(tmp_path, MemoryIndex()) as intake:
        reception = begin(intake, 1)
        held = len(os.listdir("/proc/self/fd"))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))  # the kernel answers EFBIG
        try:
            with pytest.raises(StoreBroken):
                reception.write(instance_bytes(1, extra=3 * MEBI))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        reception.discard()
        assert not parts(tmp_path)
        assert len(os.listdir("/proc/self/fd")) == held
        assert keep(intake, 1) is Kept.STORED


def test_a_database_that_fails_for_a_while_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = MemoryIndex()

    def fail(arrivals: Sequence[Arrival]) -> None:
        if index.calls < 4:
            raise StoreBroken("the database is away")

    index.fail = fail
    with open_intake(tmp_path, index) as intake:
        for number in range(5):
            keep(intake, number)
        wait_until(lambda: len(index.rows) == 5)
    assert intake.lag.instances == 0
    assert "filing failed" in caplog.text


def test_an_instance_that_the_index_refuses_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = MemoryIndex()

    def fail(arrivals: Sequence[Arrival]) -> None:
        if any(arrival.header.sop_instance_uid == instance_uid(2) for arrival in arrivals):
            raise ValueError("a value the database cannot hold")

    index.fail = fail
    with open_intake(tmp_path, index) as intake:
        for number in range(5):
            keep(intake, number)
        wait_until(lambda: intake.lag.instances == 0)
        assert intake.refused_by_index == 1
    assert len(index.rows) == 4
    assert stored_bytes(intake.files, 2) == instance_bytes(2)
    assert instance_uid(2) in caplog.text


def test_files_that_cannot_be_made_for_a_while_are_made_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = MemoryIndex()
    gate = threading.Event()
    index.fail = lambda arrivals: wait_for(gate)
    with open_intake(tmp_path, index) as intake:
        keep(intake, "holds the filer")
        wait_until(lambda: index.calls)
        assert keep(intake, 1) is Kept.STORED
        blocked = intake.files.path_of(instance_uid(1)).parent
        blocked.write_bytes(b"in the way")
        gate.set()
        wait_until(lambda: "filing failed" in caplog.text)
        assert len(index.rows) == 1
        blocked.unlink()
        wait_until(lambda: len(index.rows) == 2)
    assert stored_bytes(intake.files, 1) == instance_bytes(1)


def test_a_disk_that_fails_while_it_is_asked_is_a_broken_store(tmp_path: Path) -> None:
    with open_intake(tmp_path, MemoryIndex()) as intake:
        in_the_way = intake.files.path_of(instance_uid(1)).parent
        in_the_way.write_bytes(b"")
        with pytest.raises(StoreBroken, match="Not a directory"):
            keep(intake, 1)
        in_the_way.unlink()
        assert keep(intake, 1) is Kept.STORED


def test_when_filing_stands_still_senders_are_told_and_nothing_grows(tmp_path: Path) -> None:
    index = MemoryIndex()
    gate = threading.Event()
    index.fail = lambda arrivals: wait_for(gate)
    kept = []
    with open_intake(tmp_path, index, segments=2, patience_s=0.3) as intake:

        def send_all() -> None:
            for number in range(1000):
                keep(intake, number, extra=50_000)
                kept.append(number)

        with pytest.raises(StoreBroken, match="no room"):
            send_all()
        gate.set()
        wait_until(lambda: intake.lag.instances == 0)
        assert keep(intake, 1000) is Kept.STORED
    assert 20 < len(kept) < 60  # 2 MiB of journal
    assert len(index.rows) == len(kept) + 1


@pytest.mark.parametrize("extra", [0, 2 * MEBI])
def test_what_a_dead_process_had_kept_is_filed_by_the_next(tmp_path: Path, extra: int) -> None:
    never = MemoryIndex()
    gate = threading.Event()

    def fail(arrivals: Sequence[Arrival]) -> None:
        gate.wait(20)
        raise StoreBroken("the process is dead")

    never.fail = fail
    dead = open_intake(tmp_path, never)
    with crashing(dead):
        for number in range(8):
            keep(dead, number, extra=extra)
        keep(dead, 3, content=9, extra=extra)
        times = {}
        half = begin(dead, 99)
        half.write(instance_bytes(99, extra=2 * MEBI))  # never kept
    index = MemoryIndex()
    with open_intake(tmp_path, index) as intake:
        assert len(index.rows) == 9
        assert sum(arrival.aside for arrival in index.rows.values()) == 1
        for number in range(8):
            assert stored_bytes(intake.files, number) == instance_bytes(number, extra=extra)
            times[number] = index.rows[
                instance_uid(number), digest_of(instance_bytes(number, extra=extra))
            ].received_at
        assert list(times.values()) == sorted(times.values())
        assert keep(intake, 5, extra=extra) is Kept.ALREADY
        assert keep(intake, 3, content=9, extra=extra) is Kept.ASIDE
        assert not parts(tmp_path)
        found = {(a.header.sop_instance_uid, a.digest): a for _, a in intake.files.arrivals(True)}
        assert found == index.rows
    gate.set()
    dead._filer.stop(0)


def test_a_record_whose_header_cannot_be_read_is_filed_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = Files(tmp_path)
    files.prepare()
    folder = OwnedFolder.make(files.incoming)
    journal = Journal(folder.path, MEBI, 3)
    bodies = [b"what another version took", instance_bytes(1)]
    for number, body in enumerate(bodies):
        digest = hashlib.sha256(body).digest()
        ahead = meta(CLASS, instance_uid(number), SYNTAX, "SCANNER", digest)
        journal.append(head(Kind.WHOLE, False, now(), ahead, digest), [ahead, body])
    folder.release()
    index = MemoryIndex()
    with open_intake(tmp_path, index) as intake:
        for number, body in enumerate(bodies):
            assert stored_bytes(intake.files, number) == body
    assert [uid for uid, _ in index.rows] == [instance_uid(1)]
    assert instance_uid(0) in caplog.text


def test_after_a_recovery_the_journal_is_empty_and_has_all_its_room(tmp_path: Path) -> None:
    dead = open_intake(tmp_path, MemoryIndex())
    with crashing(dead):
        for number in range(60):
            keep(dead, number, extra=50_000)  # all three segments, 1 MiB each, have been used
        wait_until(lambda: dead.lag.instances == 0)
    index = MemoryIndex()
    gate = threading.Event()
    with open_intake(tmp_path, index, patience_s=0.2) as intake:
        assert index.rows
        index.fail = lambda arrivals: wait_for(gate)
        for number in range(100, 154):  # 54 of 57 kB are just 3 MiB: none has to wait
            assert keep(intake, number, extra=50_000) is Kept.STORED
        gate.set()
    after = MemoryIndex()
    with open_intake(tmp_path, after):
        assert after.calls == 0


def test_a_file_torn_by_a_power_cut_is_made_anew_from_the_journal(tmp_path: Path) -> None:
    dead = open_intake(tmp_path, MemoryIndex())
    with crashing(dead):
        for number in range(4):
            keep(dead, number)
        keep(dead, 3, content=1)
        wait_until(lambda: dead.lag.instances == 0)
        for number, torn in enumerate((0, 384, 1500)):
            os.truncate(dead.files.path_of(instance_uid(number)), torn)
        aside = dead.files.aside_path_of(instance_uid(3), digest_of(instance_bytes(3, content=1)))
        content = aside.read_bytes()
        aside.write_bytes(content[:-50] + bytes(50))  # its size is right, its end never came
        shutil.copyfile(dead.files.path_of(instance_uid(3)), tmp_path / "before")
    with open_intake(tmp_path, MemoryIndex()) as intake:
        for number in range(4):
            assert stored_bytes(intake.files, number) == instance_bytes(number)
        assert aside.read_bytes() == content
        assert len(list(intake.files.walk())) == 5


def test_a_large_instance_loses_its_first_name_only_when_the_second_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    fsync, unlink = os.fsync, Path.unlink
    missing: list[Path] = []
    with open_intake(tmp_path, MemoryIndex()) as intake:
        folder = intake.files.path_of(instance_uid(1)).parent

        def note(fd: int) -> None:
            fsync(fd)
            synced.append(Path(os.readlink(f"/proc/self/fd/{fd}")))

        def remove(path: Path, missing_ok: bool = False) -> None:
            if path.suffix == ".part":
                missing.extend({folder, folder.parent} - set(synced))
            unlink(path, missing_ok)

        monkeypatch.setattr(os, "fsync", note)
        monkeypatch.setattr(Path, "unlink", remove)
        keep(intake, 1, extra=2 * MEBI)
        wait_until(lambda: not parts(tmp_path))
    assert folder.parent in synced
    assert not missing


def test_a_living_process_keeps_its_folder(tmp_path: Path) -> None:
    index = MemoryIndex()
    with open_intake(tmp_path, index) as one:
        keep(one, 1)
        with open_intake(tmp_path, index) as two:
            assert one._folder.path != two._folder.path
            keep(two, 2)
        keep(one, 3)
    assert len(index.rows) == 3
    with open_intake(tmp_path, index):
        assert len(list((tmp_path / "incoming").iterdir())) == 1  # two were left, one is enough


def test_a_journal_that_cannot_be_flushed_answers_no_sender_with_success(tmp_path: Path) -> None:
    def flush(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with open_intake(
        tmp_path, MemoryIndex(), flushes=Flushes(file=flush), patience_s=0.1
    ) as intake:
        for number in range(5):
            with pytest.raises(StoreBroken):
                keep(intake, number)
        assert intake.lag.instances == 0
        assert not list(intake.files.walk())


def test_the_real_index_holds_what_was_kept_once(tmp_path: Path) -> None:
    wanted = storage(tmp_path)
    database = Database.open(wanted.index_url)
    with open_intake(tmp_path, Index(database)) as intake:
        for number in range(30):
            keep(intake, number)
            keep(intake, number)
        keep(intake, 7, content=7)
    with open_intake(tmp_path, Index(database)):
        pass
    with database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT sop_instance_uid, digest FROM instances").all()
        aside = connection.exec_driver_sql("SELECT digest FROM aside").all()
    database.close()
    assert sorted(rows) == sorted(
        (instance_uid(n), digest_of(instance_bytes(n))) for n in range(30)
    )
    assert aside == [(digest_of(instance_bytes(7, content=7)),)]
    assert Files(tmp_path).path_of(instance_uid(7)).exists()
