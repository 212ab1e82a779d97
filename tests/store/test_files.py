"""Files: whole, never overwritten, named by our own hash."""

from __future__ import annotations

import hashlib
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_node.durable import try_lock
from cmr_node.errors import BadInstance, InconsistentInstance, StoreBroken, UnreadableHeader
from cmr_node.store.files import Files, Kept
from tests.samples import data_set_bytes, mr, part10_bytes

TIME = datetime(2026, 8, 1, 12, 30, 5, 123456, tzinfo=UTC)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path / "store")
    files.prepare()
    return files


@given(uid=st.text(max_size=80))
def test_no_received_string_becomes_part_of_a_path(uid: str) -> None:
    files = Files(Path("/root-of-the-store"))
    path = files.path_of(uid)
    digest = hashlib.sha256(uid.encode()).hexdigest()
    assert path == Path(f"/root-of-the-store/instances/{digest[:3]}/{digest}.dcm")


def test_a_derived_object_is_stored_as_given_and_once(files: Files) -> None:
    ds = mr()
    content = part10_bytes(ds)
    kept, arrival = files.write_file(content, TIME, "CMRNODE")
    path = files.path_of(ds.SOPInstanceUID)
    assert kept is Kept.STORED
    assert path.read_bytes() == content
    assert arrival.digest == hashlib.sha256(data_set_bytes(ds)).hexdigest()
    assert arrival.size_bytes == len(data_set_bytes(ds))
    assert (arrival.received_at, arrival.calling_ae, arrival.aside) == (TIME, "CMRNODE", False)
    inode = path.stat().st_ino
    assert files.write_file(content, TIME + timedelta(days=1))[0] is Kept.ALREADY
    assert path.stat().st_ino == inode
    assert list(files.walk()) == [path]
    assert not list(files.incoming.iterdir())


def test_other_content_under_a_known_uid_lies_aside_once_and_the_first_is_untouched(
    files: Files,
) -> None:
    first, second = mr(), mr(rows=30, SOPInstanceUID=mr().SOPInstanceUID)
    files.write_file(part10_bytes(first), TIME)
    for _ in range(2):
        kept, arrival = files.write_file(part10_bytes(second), TIME)
        assert kept is Kept.ASIDE
        assert arrival.aside
    aside = files.aside_path_of(first.SOPInstanceUID, arrival.digest)
    assert aside.read_bytes() == part10_bytes(second)
    assert files.path_of(first.SOPInstanceUID).read_bytes() == part10_bytes(first)
    assert list(files.walk()) == [files.path_of(first.SOPInstanceUID), aside]


def test_of_many_writers_at_once_one_is_first(files: Files) -> None:
    contents = [part10_bytes(mr(rows=20 + n, SOPInstanceUID="1.2.3")) for n in range(12)]
    found: list[Kept] = []
    threads = [
        threading.Thread(target=lambda c=content: found.append(files.write_file(c, TIME)[0]))
        for content in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kept.value for kept in found) == ["aside"] * 11 + ["stored"]
    assert sorted(path.read_bytes() for path in files.walk()) == sorted(contents)


def test_what_contradicts_itself_is_refused(files: Files) -> None:
    ds = mr()
    uid = str(ds.SOPInstanceUID).encode()
    other = uid[:-3] + b"999"
    with pytest.raises(InconsistentInstance, match=other.decode()):
        files.write_file(part10_bytes(ds).replace(uid, other, 1), TIME)
    with pytest.raises(UnreadableHeader):
        files.write_file(b"no DICOM", TIME)
    assert not list(files.walk())
    assert not list(files.incoming.iterdir())


def test_what_the_index_knew_can_be_read_back_from_the_files(files: Files) -> None:
    written = {
        files.write_file(part10_bytes(mr(slice_number=n)), TIME + timedelta(seconds=n), "A")[
            1
        ].header.sop_instance_uid: n
        for n in range(3)
    }
    files.write_file(part10_bytes(mr(rows=30)), TIME)  # aside of number 0
    found = [arrival for _, arrival in files.arrivals(prove=True)]
    assert not [fault for fault in found if isinstance(fault, BadInstance)]
    assert {a.header.sop_instance_uid for a in found} == set(written)
    assert [a.aside for a in found] == [False, False, False, True]
    for arrival in found[:3]:
        number = written[arrival.header.sop_instance_uid]
        assert arrival.received_at == TIME + timedelta(seconds=number)
        ds = pydicom.dcmread(files.path_of(arrival.header.sop_instance_uid))
        assert arrival.header.attributes["InstanceNumber"] == ds.InstanceNumber


def test_a_damaged_or_misplaced_file_is_named_and_the_rest_is_read(files: Files) -> None:
    for number in range(3):
        files.write_file(part10_bytes(mr(slice_number=number)), TIME)
    first, second, third = files.walk()
    os.truncate(first, 700)
    os.rename(second, second.with_name("elsewhere.dcm"))
    found = dict(files.arrivals())
    assert isinstance(found[first], UnreadableHeader)
    assert isinstance(found[second.with_name("elsewhere.dcm")], InconsistentInstance)
    assert not isinstance(found[third], BadInstance)


def test_sweep_removes_leftovers_of_the_dead_and_spares_the_living(files: Files) -> None:
    dead = files.incoming / "dead.part"
    dead.write_bytes(b"half")
    alive = files.incoming / "alive.part"
    fd = os.open(alive, os.O_RDWR | os.O_CREAT)
    assert try_lock(fd)
    assert files.sweep() == 1
    assert list(files.incoming.iterdir()) == [alive]
    os.close(fd)
    assert files.sweep() == 1


def test_folders_that_cannot_be_made_are_a_broken_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"a file")
    with pytest.raises(StoreBroken):
        Files(tmp_path / "store").prepare()
