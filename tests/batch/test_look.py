from __future__ import annotations

import struct
from pathlib import Path

import pytest

from cmr_node.batch.look import Found, Kind, header_of, look_at
from cmr_node.batch.walk import walk
from tests.batch.contexts import context_of, look_through
from tests.samples import mr, part10_bytes


def look(folder: Path, name: str, content: bytes) -> Found:
    (folder / name).write_bytes(content)
    (found,) = look_through(context_of(folder))
    return found


@pytest.mark.parametrize("name", ["a.dcm", "IM0001", "x.txt", "image.ima", "no.suffix.at.all"])
def test_dicom_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    ds = mr()
    found = look(tmp_path, name, part10_bytes(ds))
    assert found.kind is Kind.DICOM
    assert found.uid == ds.SOPInstanceUID
    assert header_of(found.header).series_instance_uid == ds.SeriesInstanceUID


@pytest.mark.parametrize("name", ["v.nii", "V.NII.GZ", "v.mha"])
def test_a_volume_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    assert look(tmp_path, name, b"anything").kind is Kind.VOLUME


@pytest.mark.parametrize("name", ["notes.txt", "DICOMDIR", "picture.png", "README"])
def test_what_is_no_image_is_passed_over(tmp_path: Path, name: str) -> None:
    content = part10_bytes(mr()) if name == "DICOMDIR" else b"words"
    assert look(tmp_path, name, content).kind is Kind.PASSED_OVER


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.dcm", b"", "no DICM at byte 128 of 0"),
        ("IM0001", b"", "no DICM at byte 128 of 0"),
        ("a.dcm", b"x" * 500, "no DICM at byte 128 of 500"),
        ("v.nii.gz", b"", "an empty file"),
        ("v.mhd", b"NDims = 3", "second file"),
        ("v.hdr", b"", "second file"),
        ("cut.dcm", part10_bytes(mr())[:-100], "came"),
        ("cut", part10_bytes(mr())[:200], "past the 200"),
        ("wild", b"\0" * 128 + b"DICM" + struct.pack("<HH2sI", 2, 0, b"UL", 9), "past the 142"),
    ],
)
def test_what_should_be_an_image_and_is_none_is_named(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    found = look(tmp_path, name, content)
    assert found.kind is Kind.PROBLEM
    assert said in found.problem


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "a.dcm").write_bytes(part10_bytes(mr()))
    entries = list(walk(bytes(tmp_path)))
    (tmp_path / "a.dcm").unlink()
    kinds = {found.entry.path: found for found in look_at(context, entries)}
    assert "No such file" in kinds[b"a.dcm"].problem
