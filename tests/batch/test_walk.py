from __future__ import annotations

import os
from pathlib import Path

from cmr_node.batch.walk import Entry, file_at, walk


def walked(root: Path) -> dict[bytes, Entry]:
    return {entry.path: entry for entry in walk(bytes(root))}


def test_every_file_is_met_once_whatever_its_name(tmp_path: Path) -> None:
    names = [b"a", b"b/c.dcm", b"b/d/e", b"\xff\xfe.dcm", b"new\nline"]
    for name in names:
        place = os.path.join(bytes(tmp_path), name)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(b"123")
    found = walked(tmp_path)
    assert set(found) == set(names)
    assert all(entry.size == 3 and not entry.problem for entry in found.values())


def test_a_link_to_a_folder_is_named_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    found = walked(tmp_path)
    assert set(found) == {b"a/file", b"a/up"}
    assert "not followed" in found[b"a/up"].problem


def test_a_link_to_a_file_is_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert walked(tmp_path)[b"link"].size == 5


def test_links_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("nothing")
    (tmp_path / "self").symlink_to("self")
    found = walked(tmp_path)
    assert "cannot be opened" in found[b"broken"].problem
    assert "symbolic links" in found[b"self"].problem


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert walked(tmp_path) == {}


def test_what_a_target_keeps_for_itself_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".cmr-node").mkdir()
    (tmp_path / ".cmr-node" / "book.sqlite").touch()
    assert walked(tmp_path) == {}


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    (entry,) = walk(bytes(tmp_path / "nothing"))
    assert "cannot be read" in entry.problem


def test_one_file_is_a_tree_of_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (entry,) = file_at(bytes(tmp_path / "file"), b"file")
    assert (entry.path, entry.size) == (b"file", 1)
