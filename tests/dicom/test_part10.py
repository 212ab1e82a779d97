"""File meta information: what is written, and what is read of others' files."""

from __future__ import annotations

import hashlib
import struct
from io import BytesIO

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_node.dicom.part10 import DIGEST_BYTES, meta, read_meta
from cmr_node.errors import UnreadableHeader
from tests.samples import data_set_bytes, mr, part10_bytes


@pytest.mark.parametrize("calling_ae", ["SCANNER", "", "ODD", "SÄX"])
def test_pydicom_reads_what_is_written(calling_ae: str) -> None:
    ds = mr()
    data = data_set_bytes(ds)
    digest = hashlib.sha256(data).digest()
    ahead = meta(ds.SOPClassUID, ds.SOPInstanceUID, "1.2.840.10008.1.2.1", calling_ae, digest)
    read = pydicom.dcmread(BytesIO(ahead + data))
    assert read.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert read.file_meta.MediaStorageSOPClassUID == ds.SOPClassUID
    assert read.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert read.file_meta.get("SourceApplicationEntityTitle", "") == calling_ae.replace("Ä", "?")
    assert read.file_meta.FileMetaInformationGroupLength == len(ahead) - 132 - 12
    assert ahead[-DIGEST_BYTES:] == digest
    assert read == ds
    found = read_meta(ahead + data)
    assert (found.digest, found.offset) == (digest.hex(), len(ahead))
    assert found.sop_instance_uid == ds.SOPInstanceUID


def test_a_file_of_another_writer_carries_no_digest() -> None:
    ds = mr()
    content = part10_bytes(ds)
    found = read_meta(content)
    assert found.digest == ""
    assert content[found.offset :] == data_set_bytes(ds)


def test_private_information_of_another_creator_is_no_digest() -> None:
    ds = mr()
    ds.file_meta.PrivateInformationCreatorUID = "1.2.3"
    ds.file_meta.PrivateInformation = bytes(DIGEST_BYTES)
    assert read_meta(part10_bytes(ds)).digest == ""


def test_a_claim_past_the_end_is_refused() -> None:
    content = bytearray(part10_bytes(mr()))
    at = content.index(struct.pack("<HH2s", 2, 2, b"UI"))
    content[at + 6 : at + 8] = b"\xff\xff"
    with pytest.raises(UnreadableHeader, match="ends at byte"):
        read_meta(bytes(content[:3000]))


def test_file_meta_information_that_is_cut_anywhere_is_refused() -> None:
    ds = mr()
    ahead = meta(ds.SOPClassUID, ds.SOPInstanceUID, "1.2.840.10008.1.2.1", "A", bytes(32))
    for size in range(len(ahead)):
        with pytest.raises(UnreadableHeader):
            read_meta(ahead[:size])
    assert read_meta(ahead).offset == len(ahead)


@pytest.mark.parametrize("content", [b"", b"\0" * 131, b"\0" * 128 + b"DICM", b"GET / HTTP/1.1"])
def test_what_is_no_part_10_file_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableHeader):
        read_meta(content)


@given(tail=st.binary(max_size=200))
def test_whatever_follows_the_prefix_it_is_read_or_refused(tail: bytes) -> None:
    try:
        found = read_meta(bytes(128) + b"DICM" + tail)
    except UnreadableHeader:
        return
    assert found.offset <= 132 + len(tail)
