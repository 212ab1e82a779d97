"""The scan of a header: what it finds, what it refuses, and that it always ends."""

from __future__ import annotations

import json
import random
import struct
import time
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from cmr_node.dicom.header import Header, scan, scan_beginning, scan_file
from cmr_node.dicom.kept import KEPT, decode_text
from cmr_node.dicom.part10 import read_meta
from cmr_node.errors import UnreadableHeader
from tests.samples import data_set_bytes, mr

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def encoded(ds: Dataset) -> bytes:
    """The data set as it goes over the wire, deflated if its syntax says so."""
    data = data_set_bytes(ds)
    if ds.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = machine.compress(data) + machine.flush()
    return data


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One element, explicit VR little endian."""
    size = len(value) if length is None else length
    if vr in (b"OB", b"OW", b"SQ", b"UN"):
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, size) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, size) + value


def nested(depth: int, defined: bool) -> bytes:
    """Sequences in sequences, ``depth`` deep."""
    inner = b""
    for _ in range(depth):
        if defined:
            item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
            inner = element(0x00081140, b"SQ", item)
        else:
            item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner
            item += struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
            inner = element(0x00081140, b"SQ", item, 0xFFFFFFFF)
    return inner


def plain(value: Any) -> Any:
    """A pydicom value as the JSON value a header holds."""
    if isinstance(value, pydicom.multival.MultiValue):
        return [plain(item) for item in value]
    if isinstance(value, pydicom.valuerep.IS):
        return int(value)
    if isinstance(value, pydicom.valuerep.DSfloat | float):
        return float(value)
    return value if isinstance(value, int) else str(value).strip()


def assert_agrees(header: Header, ds: Dataset) -> None:
    """Every kept attribute is what pydicom reads."""
    for keyword in KEPT:
        expected = plain(ds[keyword].value) if keyword in ds and not ds[keyword].is_empty else None
        assert header.attributes.get(keyword) == (None if expected == "" else expected), keyword
    assert header.sop_instance_uid == ds.SOPInstanceUID
    assert header.sop_class_uid == ds.SOPClassUID
    assert header.study_instance_uid == ds.StudyInstanceUID
    assert header.series_instance_uid == ds.SeriesInstanceUID


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_it_finds_what_pydicom_finds(syntax: str) -> None:
    ds = mr(transfer_syntax=syntax, ScanOptions=["CG", "FAST"], NumberOfFrames=4, Rows=24)
    header = scan(encoded(ds), syntax)
    assert header.transfer_syntax_uid == syntax
    assert_agrees(header, ds)
    assert header.attributes["PixelData"] == 24 * 32 * 2


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data is not beside the checkout")
@pytest.mark.parametrize("folder", ["sunnybrook-cine", "pig-cine", "lge-t1"])
def test_it_finds_what_pydicom_finds_in_real_data(folder: str) -> None:
    seen = 0
    for path in sorted((DATA / folder).rglob("*"))[::7]:
        content = path.read_bytes() if path.is_file() else b""
        if content[128:132] != b"DICM":
            continue
        meta = read_meta(content)
        header = scan(content[meta.offset :], meta.transfer_syntax_uid)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # leading zeros in UIDs
            assert_agrees(header, pydicom.dcmread(BytesIO(content)))
        seen += 1
    assert seen > 5


def test_nothing_that_names_the_patient_is_kept() -> None:
    header = scan(data_set_bytes(mr()), ExplicitVRLittleEndian)
    assert "CANARY" not in json.dumps(dict(header.attributes))
    assert "19500101" not in json.dumps(dict(header.attributes))
    assert [keyword for keyword in KEPT if "Patient" in keyword] == [
        "ImageOrientationPatient",
        "ImagePositionPatient",
        "PatientPosition",
    ]


@pytest.mark.parametrize("syntax", SYNTAXES[:3])
@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_are_stepped_over(syntax: str, undefined: bool) -> None:
    inner = Dataset()
    inner.SOPInstanceUID, inner.Rows = "9.9", 7  # must not be taken for the instance's own
    inner.is_undefined_length_sequence_item = undefined
    outer = Dataset()
    outer.ReferencedImageSequence = Sequence([inner, inner])
    outer["ReferencedImageSequence"].is_undefined_length = undefined
    ds = mr(transfer_syntax=syntax, SourceImageSequence=Sequence([outer]))
    ds["SourceImageSequence"].is_undefined_length = undefined
    assert_agrees(scan(data_set_bytes(ds), syntax), ds)


def test_an_icon_with_encapsulated_pixels_is_stepped_over() -> None:
    icon = element(0x00280010, b"US", b"\1\0") + element(
        0x7FE00010,
        b"OB",
        encapsulate([b"\xfe\xff\x0d\xe0" * 4]) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
        0xFFFFFFFF,
    )
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(icon)) + icon
    data = data_set_bytes(mr(PixelData=None)) + element(0x00880200, b"SQ", item)
    assert "PixelData" not in scan(data, ExplicitVRLittleEndian).attributes


def test_unknown_of_undefined_length_holds_implicit_elements() -> None:
    inside = struct.pack("<HHI", 8, 0x18, 4) + b"9.9\0"
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inside)) + inside
    sequence = element(0x00091010, b"UN", item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0), 0xFFFFFFFF)
    ds = mr()
    assert scan(data_set_bytes(ds) + sequence, ExplicitVRLittleEndian)
    assert scan(sequence + data_set_bytes(ds), ExplicitVRLittleEndian).sop_instance_uid == (
        ds.SOPInstanceUID
    )


def test_a_private_sequence_that_is_damaged_inside_does_not_cost_the_image() -> None:
    damaged = element(0x00091010, b"SQ", b"\xfe\xff\x00\xe0\x99\x99\x99\x00" + b"?" * 20)
    ds = mr()
    assert_agrees(scan(damaged + data_set_bytes(ds), ExplicitVRLittleEndian), ds)


@pytest.mark.parametrize("defined", [True, False])
def test_sequences_nested_32_deep_pass_and_33_deep_are_refused(defined: bool) -> None:
    data = data_set_bytes(mr())
    assert scan(nested(32, defined) + data, ExplicitVRLittleEndian)
    with pytest.raises(UnreadableHeader, match="nested more than 32 deep"):
        scan(nested(33, defined) + data, ExplicitVRLittleEndian)


@pytest.mark.parametrize("defined", [True, False])
def test_sequences_nested_10000_deep_are_refused(defined: bool) -> None:
    with pytest.raises(UnreadableHeader, match="nested more than 32 deep"):
        scan(nested(10_000, defined) + data_set_bytes(mr()), ExplicitVRLittleEndian)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_cut_anywhere_it_is_refused_or_the_rest_was_not_missed(syntax: str) -> None:
    ds = mr(transfer_syntax=syntax, rows=4, columns=4)
    data = encoded(ds)
    whole = scan(data, syntax)
    for size in range(len(data)):
        try:
            header = scan(data[:size], syntax)
        except UnreadableHeader:
            continue
        # Only at the end of an element, or within a deflated pixel value, can a cut go unseen.
        assert header.sop_instance_uid == whole.sop_instance_uid
        assert set(header.attributes) <= set(whole.attributes)


def test_pixel_data_that_did_not_all_come_is_refused() -> None:
    data = data_set_bytes(mr())
    with pytest.raises(UnreadableHeader, match=r"pixel data claims 1536 bytes, 1500 came"):
        scan(data[:-36], ExplicitVRLittleEndian)


def test_encapsulated_pixel_data_without_its_end_is_refused() -> None:
    ds = mr(transfer_syntax=JPEG2000Lossless, PixelData=encapsulate([b"\1" * 100, b"\2" * 50]))
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    data = data_set_bytes(ds)
    assert scan(data, JPEG2000Lossless).attributes["PixelData"] > 150
    for size in (len(data) - 8, len(data) - 20, len(data) - 60):
        with pytest.raises(UnreadableHeader):
            scan(data[:size], JPEG2000Lossless)


@pytest.mark.parametrize(
    ("written", "claimed"),
    [
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
        (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        (ExplicitVRLittleEndian, ExplicitVRBigEndian),
        (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian),
        (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian),
    ],
)
def test_another_transfer_syntax_than_was_claimed_is_refused(written: str, claimed: str) -> None:
    with pytest.raises(UnreadableHeader):
        scan(encoded(mr(transfer_syntax=written)), claimed)


def test_a_transfer_syntax_that_is_not_known_is_explicit_little_endian() -> None:
    ds = mr()
    assert_agrees(scan(data_set_bytes(ds), "1.3.46.670589.33.1.4.1"), ds)


@pytest.mark.parametrize(
    "data",
    [b"", bytes(1 << 20), b"GET / HTTP/1.1\r\nHost: cmr\r\n\r\n", b"\xff" * 4096, b"\0" * 3],
)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_no_data_set_is_refused(data: bytes, syntax: str) -> None:
    with pytest.raises(UnreadableHeader):
        scan(data, syntax)


def test_a_gigabyte_of_deflated_zeros_is_refused_without_being_inflated() -> None:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    block = bytes(1 << 20)
    bomb = b"".join([*(machine.compress(block) for _ in range(256)), machine.flush()])
    began = time.monotonic()
    with pytest.raises(UnreadableHeader):
        scan(bomb, DeflatedExplicitVRLittleEndian)
    assert time.monotonic() - began < 2


def test_a_deflated_header_without_end_is_refused_at_the_limit() -> None:
    machine = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    filler = element(0x00091010, b"LO", b"x" * 60_000) * 16
    bomb = b"".join([*(machine.compress(filler) for _ in range(100)), machine.flush()])
    with pytest.raises(UnreadableHeader, match="67108864 bytes"):
        scan(bomb, DeflatedExplicitVRLittleEndian)


def test_more_elements_than_the_limit_are_refused() -> None:
    empty = element(0x00091010, b"LO", b"")
    with pytest.raises(UnreadableHeader, match="more than 2000000 elements"):
        scan(empty * 2_100_000, ExplicitVRLittleEndian)


def test_a_large_private_value_is_stepped_over_and_not_counted() -> None:
    ds = mr()
    large = element(0x00091010, b"OB", bytes(70 << 20))
    assert_agrees(scan(large + data_set_bytes(ds), ExplicitVRLittleEndian), ds)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize(
    "uid", [None, "", "../../etc/passwd", "1.2\0.3", "1" * 65, "1.2\\1.3", "1٣"]
)
def test_an_identity_that_is_no_uid_is_refused_and_not_repeated(
    keyword: str, uid: str | None
) -> None:
    ds = mr()
    tag = int(ds[keyword].tag)
    del ds[keyword]
    data = data_set_bytes(ds)
    if uid is not None:
        data = element(tag, b"UI", uid.encode()) + data
    with pytest.raises(UnreadableHeader, match=keyword) as refusal:
        scan(data, ExplicitVRLittleEndian)
    assert "passwd" not in str(refusal.value)


@pytest.mark.parametrize(
    ("keyword", "vr", "raw", "expected"),
    [
        ("InstanceNumber", b"IS", b"12.0", 12),
        ("InstanceNumber", b"IS", b" +7 ", 7),
        ("InstanceNumber", b"IS", b"99999999999 ", "99999999999"),
        ("InstanceNumber", b"IS", b"1_0 ", "1_0"),
        ("EchoTime", b"DS", b"nan ", "nan"),
        ("EchoTime", b"DS", b"1e999 ", "1e999"),
        ("EchoTime", b"DS", b"1\\\\2", [1.0, "", 2.0]),
        ("EchoTime", b"UN", b"2.5 ", 2.5),
        ("EchoTime", b"FD", struct.pack("<d", 2.5), 2.5),
        ("EchoTime", b"FD", struct.pack("<d", float("inf")), "inf"),
        ("EchoTime", b"DS", b"  ", None),
        ("EchoTime", b"DS", b"1" * 5000, None),
        ("Rows", b"US", b"\1\0\2", None),
        ("Rows", b"US", b"\1\0\2\0", [1, 2]),
        ("Modality", b"CS", b"M\0\xff\x01", "M\ufffd\ufffd\ufffd"),
        ("SeriesDescription", b"??", b"cine", "cine"),
        ("SeriesDescription", b"OB", b"cine", None),
    ],
)
def test_odd_values_become_json_or_nothing(
    keyword: str, vr: bytes, raw: bytes, expected: Any
) -> None:
    ds = mr()
    tag = pydicom.tag.Tag(keyword)
    if keyword in ds:
        del ds[keyword]
    header = scan(element(int(tag), vr, raw) + data_set_bytes(ds), ExplicitVRLittleEndian)
    assert header.attributes.get(keyword) == expected
    json.dumps(dict(header.attributes), allow_nan=False)


@pytest.mark.parametrize(
    ("sets", "text"),
    [
        (["ISO_IR 100"], "cœur".replace("œ", "ö")),
        (["ISO_IR 192"], "心臓 cœur"),
        (["ISO_IR 144"], "сердце"),
        (["GB18030"], "心脏"),
        (["", "ISO 2022 IR 87"], "心臓 sax"),
        (["", "ISO 2022 IR 149"], "심장 sax"),
    ],
)
def test_text_is_decoded_as_pydicom_encodes_it(sets: list[str], text: str) -> None:
    ds = mr(SpecificCharacterSet=sets, SeriesDescription=text)
    header = scan(data_set_bytes(ds), ExplicitVRLittleEndian)
    assert header.text("SeriesDescription") == text
    assert decode_text(b"\xff\xfe", ["ISO_IR 192"]) == "\ufffd\ufffd"
    assert decode_text(b"abc", ["no such set"]) == "abc"


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("rows", [4, 300])
def test_a_beginning_tells_the_same_or_asks_for_more(
    syntax: str, rows: int, tmp_path: Path
) -> None:
    ds = mr(transfer_syntax=syntax, rows=rows, columns=300)
    data = encoded(ds)
    whole = scan(data, syntax)

    def read_at(offset: int, count: int) -> bytes:
        return data[offset : offset + count]

    for size in (*range(0, 1600, 13), 2000, 70_000):
        found = scan_beginning(data[:size], syntax, len(data))
        assert found in (None, whole)
        assert scan_beginning(data[:size], syntax, len(data), read_at) == whole
    path = tmp_path / "instance"
    path.write_bytes(b"ahead" + data)
    with path.open("rb") as file:
        assert scan_file(file.fileno(), 5, syntax) == whole


def test_a_beginning_of_a_deflated_instance_that_was_cut_is_not_taken_for_whole() -> None:
    noise = random.Random(1).randbytes(250 * 250 * 2)
    plain = data_set_bytes(mr(rows=250, columns=250, PixelData=noise))[:-100]
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = deflater.compress(plain) + deflater.flush()
    with pytest.raises(UnreadableHeader, match="124900 came"):
        scan(data, DeflatedExplicitVRLittleEndian)
    assert scan_beginning(data[: 64 << 10], DeflatedExplicitVRLittleEndian, len(data)) is None
    with pytest.raises(UnreadableHeader, match="came"):
        scan(data[:-1000], DeflatedExplicitVRLittleEndian)


WHOLE = {str(syntax): encoded(mr(transfer_syntax=syntax, rows=2, columns=2)) for syntax in SYNTAXES}


@settings(max_examples=1500, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(
    syntax=st.sampled_from(sorted(WHOLE)),
    read_as=st.sampled_from(sorted(WHOLE)),
    edits=st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 12),
            st.one_of(
                st.binary(max_size=12),
                st.sampled_from(
                    [
                        b"\xff\xff\xff\xff",
                        b"SQ\0\0\xff\xff\xff\xff",
                        b"\xfe\xff\x00\xe0",
                        b"UN",
                        b"\0",
                    ]
                ),
            ),
        ),
        max_size=6,
    ),
)
def test_whatever_the_bytes_are_it_is_a_header_or_refused(
    syntax: str, read_as: str, edits: list[tuple[float, int, bytes]]
) -> None:
    data = WHOLE[syntax]
    for place, removed, added in edits:
        at = int(place * len(data))
        data = data[:at] + added + data[at + removed :]
    try:
        header = scan(data, read_as)
    except UnreadableHeader:
        return
    json.dumps(dict(header.attributes), allow_nan=False)


@settings(max_examples=500, deadline=2000)
@given(data=st.binary(max_size=400), syntax=st.sampled_from(sorted(WHOLE)))
def test_random_bytes_are_refused(data: bytes, syntax: str) -> None:
    with pytest.raises(UnreadableHeader):
        scan(data, syntax)
