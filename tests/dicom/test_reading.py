import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cmr_node.dicom.header import scan
from cmr_node.dicom.reading import parse, read, read_header
from cmr_node.dicom.words import stored_words
from cmr_node.errors import BadInstance, UndecodablePixels, UnreadableHeader
from tests.samples import data_set_bytes, mr, part10_bytes

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_dcmconv = pytest.mark.skipif(shutil.which("dcmconv") is None, reason="DCMTK is missing")


def with_meta_of(ds: Dataset, body: bytes, syntax: str | None = None) -> bytes:
    """The preamble and file meta information of ``ds`` before another data set."""
    whole, data_set = part10_bytes(ds), data_set_bytes(ds)
    head = whole[: len(whole) - len(data_set)]
    if syntax is not None:
        old = b"1.2.840.10008.1.2.1\0"
        assert head.count(old) == 1
        new = syntax.encode() + b"\0" * (len(syntax) % 2)
        at = head.index(old)
        head = head[: at - 2] + struct.pack("<H", len(new)) + new + head[at + len(old) :]
    return head + body


def nested(depth: int, *, explicit: bool, delimited: bool) -> bytes:
    """ReferencedImageSequence (0008,1140) in itself, ``depth`` times."""
    content = b""
    for _ in range(depth):
        length = 0xFFFFFFFF if delimited else len(content)
        end = b"\xfe\xff\x0d\xe0\0\0\0\0" if delimited else b""
        one = b"\xfe\xff\x00\xe0" + struct.pack("<L", length) + content + end
        length = 0xFFFFFFFF if delimited else len(one)
        end = b"\xfe\xff\xdd\xe0\0\0\0\0" if delimited else b""
        vr = b"SQ\0\0" if explicit else b""
        content = b"\x08\x00\x40\x11" + vr + struct.pack("<L", length) + one + end
    return content


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_stored_file_is_read_whole(tmp_path: Path, syntax: str) -> None:
    ds = mr(transfer_syntax=syntax)
    path = tmp_path / "a.dcm"
    path.write_bytes(part10_bytes(ds))
    found = read(path)
    assert found.file_meta.TransferSyntaxUID == syntax
    assert found == ds
    assert read_header(path) == scan(data_set_bytes(ds), syntax)


def test_a_file_cut_anywhere_is_refused_or_has_no_pixels() -> None:
    whole = part10_bytes(mr(rows=3, columns=5))
    cuts = [*range(0, len(whole) - 40, 9), *range(len(whole) - 40, len(whole))]
    for cut in cuts:
        with pytest.raises(BadInstance):
            stored_words(parse(whole[:cut]))


def test_cut_pixel_data_is_named() -> None:
    with pytest.raises(UndecodablePixels, match=r"\(7FE0,0010\) is cut off"):
        parse(part10_bytes(mr())[:-10])


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("delimited", [True, False])
@pytest.mark.parametrize("depth", [33, 10_000])
def test_sequences_nested_too_deep_are_refused(explicit: bool, delimited: bool, depth: int) -> None:
    if not delimited and depth > 1000:
        depth = 2000  # building the lengths is quadratic; any depth past 32 is the same to us
    ds = mr(transfer_syntax=ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian)
    body = nested(depth, explicit=explicit, delimited=delimited) + data_set_bytes(ds)
    with pytest.raises(UnreadableHeader, match="nested more than 32 deep"):
        parse(with_meta_of(ds, body))


def test_sequences_nested_too_deep_behind_the_pixels_are_refused_too() -> None:
    ds = mr()
    deep = nested(10_000, explicit=True, delimited=True)
    signature = (
        b"\xfa\xff\xfa\xffSQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + deep
    )
    with pytest.raises(UnreadableHeader, match="nested more than 32 deep"):
        parse(with_meta_of(ds, data_set_bytes(ds) + signature))


def test_sequences_nested_as_deep_as_allowed_are_read() -> None:
    ds = mr()
    for delimited in (True, False):
        body = nested(32, explicit=True, delimited=delimited) + data_set_bytes(ds)
        assert "ReferencedImageSequence" in parse(with_meta_of(ds, body))


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 200, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10, b"\0" * 128 + b"DICM"],
    ids=["empty", "zeros", "http", "no meta"],
)
def test_what_is_no_dicom_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(UnreadableHeader):
        read(path)
    with pytest.raises(UnreadableHeader):
        read_header(path)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        "1.2.3",
        "x/../y",
    ],
)
def test_a_wrong_transfer_syntax_is_refused(syntax: str) -> None:
    ds = mr()
    with pytest.raises(UnreadableHeader):
        parse(with_meta_of(ds, data_set_bytes(ds), syntax))


def test_zeros_behind_the_data_set_are_padding_and_other_bytes_are_not() -> None:
    whole = part10_bytes(mr())
    assert stored_words(parse(whole + bytes(517))).shape == (1, 24, 32)
    with pytest.raises(BadInstance):
        parse(whole + b"\x01" * 517)


def test_a_deflated_file_inflates_within_bounds() -> None:
    ds = mr()
    plain = data_set_bytes(ds)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = packer.compress(plain) + packer.flush()
    whole = with_meta_of(ds, deflated, DeflatedExplicitVRLittleEndian)
    found = parse(whole)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(stored_words(found), stored_words(parse(part10_bytes(ds))))
    with pytest.raises(UnreadableHeader, match="limit"):
        parse(whole, max_inflated_bytes=len(plain) - 1)
    with pytest.raises(UnreadableHeader):
        parse(whole[: len(whole) // 2 + 200])


@needs_dcmconv
@pytest.mark.parametrize("bits", [8, 16])
def test_big_endian_is_read_as_little_endian(tmp_path: Path, bits: int) -> None:
    values = np.arange(25 * 31).astype(f"u{bits // 8}") * 3
    ds = mr(rows=25, columns=31, BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1)
    data = values.tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    overlay = np.arange(98, dtype=np.uint8).tobytes()
    ds.add_new(0x60000010, "US", 25)
    ds.add_new(0x60000011, "US", 31)
    ds.add_new(0x60003000, "OW", overlay)
    source, turned = tmp_path / "little.dcm", tmp_path / "big.dcm"
    source.write_bytes(part10_bytes(ds))
    subprocess.run(["dcmconv", "+tb", str(source), str(turned)], check=True)
    assert b"1.2.840.10008.1.2.2\0" in turned.read_bytes()
    found = read(turned)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(stored_words(found)[0], values.reshape(25, 31))
    assert found[0x60003000].value == overlay
    assert found.PatientName == "CANARY^PATIENT"
    assert found.AcquisitionMatrix == [0, 31, 25, 0]
    assert found.ImagePositionPatient == ds.ImagePositionPatient


def test_a_private_sequence_written_wrongly_does_not_cost_the_image() -> None:
    ds = mr()
    private = b"\x09\x00\x10\x00LO\x04\0ACME"
    private += b"\x09\x00\x01\x10SQ\0\0" + struct.pack("<L", 6) + b"broken"
    plain = data_set_bytes(ds)
    at = plain.index(b"\x10\x00\x10\x00PN")
    found = parse(with_meta_of(ds, plain[:at] + private + plain[at:]))
    assert np.array_equal(stored_words(found), stored_words(parse(part10_bytes(ds))))


def test_odd_values_are_read_without_a_word(recwarn: pytest.WarningsRecorder) -> None:
    ds = mr()
    data = part10_bytes(ds).replace(b"19500101", b"00000000")
    data = data.replace(ds.StudyInstanceUID.encode(), b"1.2.03" + ds.StudyInstanceUID.encode()[6:])
    found = parse(data)
    assert found.StudyInstanceUID.startswith("1.2.03")
    assert found.PatientBirthDate == "00000000"
    assert not recwarn.list


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
def test_real_files_are_read_without_a_warning() -> None:
    for folder in sorted({path.parent for path in SHARED.rglob("*.dcm")}):
        path = min(folder.glob("*.dcm"))
        ds = read(path)
        assert stored_words(ds).shape == (1, ds.Rows, ds.Columns)
        assert read_header(path).sop_instance_uid == ds.SOPInstanceUID
