"""The journal: durable when append returns, whole again after a crash, bounded."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from cmr_node.durable import Flushes
from cmr_node.errors import StoreBroken
from cmr_node.store.journal import Journal
from cmr_node.store.segment import PAGE

SIZE = 64 * PAGE


def left(folder: Path) -> list[tuple[bytes, bytes]]:
    """What a next process finds."""
    journal = Journal(folder, SIZE, 3)
    found = [(entry.head, entry.body()) for entry in journal.replay()]
    for segment in journal._segments:
        segment.close()
    return found


def fill(journal: Journal, count: int, size: int = 5000) -> list[tuple[bytes, bytes]]:
    written = []
    for number in range(count):
        head, body = f"head {number}".encode(), bytes([number % 256]) * size
        journal.append(head, [body[:10], memoryview(body)[10:]])
        written.append((head, body))
    return written


def test_what_was_appended_is_found_in_its_order_by_the_next_process(tmp_path: Path) -> None:
    written = fill(Journal(tmp_path, SIZE, 3), 70)  # more than two segments
    assert left(tmp_path) == written


def test_bodies_of_every_size_around_a_page_are_found_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE, 3)
    sizes = [0, 1, PAGE - 100, PAGE - 41, PAGE - 40, PAGE, PAGE + 1, 3 * PAGE]
    for size in sizes:
        journal.append(b"", [b"x" * size])
    assert [len(body) for _, body in left(tmp_path)] == sizes


def test_a_body_of_thousands_of_fragments_is_written_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE, 3)
    parts = [bytes([n % 251]) * (n % 7) for n in range(5000)]
    journal.append(b"h", parts)
    assert left(tmp_path) == [(b"h", b"".join(parts))]


@pytest.mark.parametrize("cut", [1, 30, 60, 4000])
def test_a_torn_head_ends_the_replay_and_what_was_before_is_found(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path, SIZE, 3)
    written = fill(journal, 4)
    last = 1 + 3 * 2  # page of the fourth record: two pages each
    with open(next(p for p in tmp_path.glob("*.journal") if _order(p)), "r+b") as file:
        file.seek(last * PAGE)
        page = file.read(PAGE)
        file.seek(last * PAGE)
        file.write(page[: min(cut, 20)] + bytes(PAGE - min(cut, 20)))
    assert left(tmp_path) == written[:3]


def _order(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[8:16], "little")


def test_records_of_an_earlier_life_are_not_found_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE, 2)
    entries = [journal.append(b"old", [bytes(PAGE)]) for _ in range(50)]
    journal.done(entries)
    journal.recycle()
    new = [journal.append(b"new", [bytes(PAGE)]) for _ in range(40)]
    assert len(new) == 40
    heads = [head for head, _ in left(tmp_path)]
    assert heads.count(b"new") == 40
    assert heads.count(b"old") == 50 - 31  # the first segment held 31 and began anew


def test_a_body_that_looks_like_a_record_is_not_taken_for_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE, 2)
    first = journal.append(b"real", [bytes(PAGE)])
    copied = os.pread(first.segment.fd, 2 * PAGE, PAGE)  # the record as it lies on the disk
    journal.append(b"carrier", [bytes(PAGE - 47), copied, copied])
    assert [head for head, _ in left(tmp_path)] == [b"real", b"carrier"]


def test_after_close_with_everything_done_nothing_is_left(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE, 3)
    entries = [journal.append(b"h", [b"x" * 5000]) for _ in range(50)]
    journal.done(entries)
    journal.close()
    assert left(tmp_path) == []


def test_what_is_not_done_stays_after_close(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE, 3)
    entries = [journal.append(b"h%d" % n, [b"x"]) for n in range(3)]
    journal.done(entries[:2])
    journal.close()
    assert b"h2" in [head for head, _ in left(tmp_path)]


def test_writers_wait_for_room_and_go_on_when_there_is_some(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE, 2, patience_s=10)
    entries = [journal.append(b"h", [bytes(40 * PAGE)]) for _ in range(2)]
    later: list[float] = []

    def write() -> None:
        journal.append(b"late", [bytes(40 * PAGE)])
        later.append(time.monotonic())

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.1)
    assert not later
    freed = time.monotonic()
    journal.done(entries)
    journal.recycle()
    thread.join(5)
    assert later
    assert later[0] >= freed


def test_a_journal_that_nobody_files_is_a_broken_store_and_not_a_growing_one(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path, SIZE, 2, patience_s=0.2)
    with pytest.raises(StoreBroken, match="not filed yet"):
        fill(journal, 1000)
    assert sum(path.stat().st_size for path in tmp_path.glob("*.journal")) == 2 * SIZE


def test_many_writers_share_flushes_and_each_record_is_covered_by_a_later_one(
    tmp_path: Path,
) -> None:
    flushes: list[int] = []

    def flush(fd: int) -> None:
        flushes.append(fd)
        time.sleep(0.005)
        os.fdatasync(fd)

    journal = Journal(tmp_path, 1024 * PAGE, 2, flushes=Flushes(file=flush))
    threads = [threading.Thread(target=fill, args=(journal, 20, 100)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left(tmp_path)) == 160
    assert len(flushes) < 80  # alone each would have needed one: 160


def test_a_flush_that_fails_fails_every_writer_it_was_for_and_the_segment_is_not_used_again(
    tmp_path: Path,
) -> None:
    broken: list[int] = []

    def flush(fd: int) -> None:
        if len(broken) < 1:
            broken.append(fd)
            time.sleep(0.05)
            raise OSError(errno.EIO, "Input/output error")
        assert fd not in broken
        os.fdatasync(fd)

    journal = Journal(tmp_path, SIZE, 2, flushes=Flushes(file=flush))
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            journal.append(b"%d" % number, [bytes(100)])
        except StoreBroken as error:
            outcomes.append(str(error))
        else:
            outcomes.append("durable")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any("Input/output error" in outcome for outcome in outcomes)
    write(9)
    assert outcomes[-1] == "durable"


def test_what_a_failed_flush_of_the_files_may_have_lost_stays_in_the_journal(
    tmp_path: Path,
) -> None:
    failed: list[int] = []

    def flush_all(fd: int) -> None:
        if not failed:  # the kernel tells of an error once
            failed.append(fd)
            raise OSError(errno.EIO, "Input/output error")

    journal = Journal(tmp_path, SIZE, 3, flushes=Flushes(file_system=flush_all))
    written = [b"%d" % number for number in range(15)]  # in two segments
    journal.done([journal.append(head, [bytes(20_000)]) for head in written])
    with pytest.raises(OSError, match="Input/output"):
        journal.recycle()
    journal.recycle()
    journal.done([journal.append(b"later", [bytes(100)])])
    journal.close()
    assert [head for head, _ in left(tmp_path)] == written


def test_segments_that_were_not_finished_or_have_another_size_are_made_anew(
    tmp_path: Path,
) -> None:
    (tmp_path / "cut.journal").write_bytes(bytes(100))
    journal = Journal(tmp_path, SIZE, 2)
    assert sorted(path.stat().st_size for path in tmp_path.glob("*.journal")) == [SIZE, SIZE]
    journal.close()
    Journal(tmp_path, 2 * SIZE, 2).close()
    assert {path.stat().st_size for path in tmp_path.glob("*.journal")} == {2 * SIZE}


def test_what_is_too_large_for_a_segment_is_the_callers_mistake(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE, 2)
    journal.append(b"", [bytes(journal.largest_body)])
    with pytest.raises(ValueError, match="at most"):
        journal.append(b"", [bytes(journal.largest_body + 1)])
