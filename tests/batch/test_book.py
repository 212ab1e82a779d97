from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cmr_node.batch.book import Book
from cmr_node.batch.look import Found, Kind
from cmr_node.batch.plan import Plan, Shown, Work
from cmr_node.batch.report import Record
from cmr_node.batch.walk import Entry
from cmr_node.errors import ConfigurationError

STUDY = b"study\x001.2"
SOURCE = Path("/source")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "book.sqlite"


@pytest.fixture
def book(path: Path) -> Iterator[Book]:
    with Book.open(path, SOURCE) as opened:
        yield opened


def found(name: str, size: int = 5, uid: str = "", unit: bytes = STUDY) -> Found:
    return Found(Entry(name.encode(), size, 7), Kind.DICOM, unit, uid or f"1.{size}", b"packed")


def plan(name: str = "a") -> Plan:
    record = Record.of_no_stack([name.encode()], "unreadable", "Because.")
    return Plan(STUDY, record, (Work(name.encode()),), Shown(name.encode(), 3))


def test_a_file_is_known_until_its_size_or_time_changes(book: Book) -> None:
    book.note([found("a")])
    assert book.knows(Entry(b"a", 5, 7))
    assert not book.knows(Entry(b"a", 6, 7))
    assert not book.knows(Entry(b"a", 5, 8))
    assert not book.knows(Entry(b"b", 5, 7))


def test_a_file_with_a_problem_is_looked_at_each_time(book: Book) -> None:
    book.note([Found(Entry(b"a", 5, 7), Kind.PROBLEM, b"problem\0a", problem="torn")])
    assert not book.knows(Entry(b"a", 5, 7))
    assert book.problem(b"problem\0a") == (b"a", "torn")


def test_what_a_later_run_does_not_meet_is_forgotten_and_its_study_is_open_again(
    path: Path,
) -> None:
    with Book.open(path, SOURCE) as book:
        book.note([found("a"), found("b", uid="2")])
        book.finish(STUDY, book.fingerprint(STUDY, ""))
    with Book.open(path, SOURCE) as book:
        assert book.knows(Entry(b"a", 5, 7))
        book.forget_the_rest()
        assert [row[0] for row in book.study(STUDY)] == [b"a"]
        assert not book.is_finished(STUDY, book.fingerprint(STUDY, ""))


def test_what_was_said_of_a_study_goes_when_its_last_file_does(path: Path) -> None:
    with Book.open(path, SOURCE) as book:
        book.note([found("a")])
        book.say(plan(), plan().key)
        assert [said.record.reason for said in book.said()] == ["Because."]
    with Book.open(path, SOURCE) as book:
        book.forget_the_rest()
        assert list(book.said()) == []
        assert list(book.units()) == []


def test_the_fingerprint_is_that_of_files_and_options(book: Book) -> None:
    book.note([found("a")])
    first = book.fingerprint(STUDY, "x")
    assert first == book.fingerprint(STUDY, "x")
    assert first != book.fingerprint(STUDY, "y")
    book.note([found("b", uid="2")])
    assert first != book.fingerprint(STUDY, "x")


def test_an_interrupted_unit_keeps_what_was_done_only_if_nothing_changed(book: Book) -> None:
    book.begin(STUDY, "print")
    book.say(plan(), plan().key)
    book.begin(STUDY, "print")
    assert book.is_done(plan())
    book.begin(STUDY, "other print")
    assert not book.is_done(plan())


def test_a_uid_in_two_studies_is_found_in_both(book: Book) -> None:
    other = b"study\x003.4"
    book.note([found("a", uid="9"), found("b", uid="8"), found("c", uid="9", unit=other)])
    assert book.uids_elsewhere(STUDY) == book.uids_elsewhere(other) == {"9"}


def test_what_was_said_comes_back_in_the_order_of_the_files(book: Book) -> None:
    for name in ("c", "a", "b"):
        book.say(plan(name), plan(name).key)
    assert [said.record.files for said in book.said()] == [("a",), ("b",), ("c",)]
    assert {said.shown for said in book.said()} == {Shown(n, 3) for n in (b"a", b"b", b"c")}


def test_only_what_was_announced_and_did_not_change_is_ours(book: Book, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(b"12345")
    book.announce(STUDY, [(b"a", part)])
    assert book.is_ours(b"a", os.stat(part))
    assert not book.is_ours(b"b", os.stat(part))
    part.write_bytes(b"123456")
    assert not book.is_ours(b"a", os.stat(part))
    assert list(book.outputs(STUDY)) == [b"a"]


def test_a_block_that_raises_writes_nothing(book: Book) -> None:
    def half() -> None:
        with book.whole():
            book.note([found("a")])
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert list(book.units()) == []


def test_a_second_run_is_kept_out(path: Path, book: Book) -> None:
    with pytest.raises(ConfigurationError, match="another cmr-node"), Book.open(path, SOURCE):
        pass


def test_what_is_no_book_is_refused(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    with (
        pytest.raises(ConfigurationError, match="not what cmr-node wrote"),
        Book.open(path, SOURCE),
    ):
        pass


def test_a_book_of_a_later_layout_is_refused(path: Path) -> None:
    with Book.open(path, SOURCE):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(ConfigurationError, match="layout 99"), Book.open(path, SOURCE):
        pass


def test_a_book_of_another_source_is_refused(path: Path) -> None:
    with Book.open(path, SOURCE):
        pass
    with pytest.raises(ConfigurationError, match="made of /source"), Book.open(path, Path("/b")):
        pass


def test_what_may_pass_is_tried_again(book: Book) -> None:
    book.begin(STUDY, "print")
    book.say(replace(plan(), passing=True), plan().key)
    assert not book.is_done(plan())
    assert len(list(book.said())) == 1
    book.begin(STUDY, "print")
    assert list(book.said()) == []


def test_a_plan_that_is_done_anew_is_said_once(book: Book) -> None:
    book.begin(STUDY, "print")
    for _ in range(2):
        book.say(plan(), plan().key)
    assert len(list(book.said())) == 1


def test_two_stacks_of_one_file_are_both_said(book: Book) -> None:
    book.begin(STUDY, "print")
    for frame in range(2):
        one = replace(plan(), shown=Shown(b"a", frame))
        book.say(one, one.key)
    assert len(list(book.said())) == 2
