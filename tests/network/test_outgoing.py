"""What goes out, and in which transfer syntax."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from cmr_node.errors import PeerRefused, UndecodablePixels, UnreadableHeader
from cmr_node.network.outgoing import (
    CONTEXTS_AT_MOST,
    ENCODINGS,
    Outgoing,
    choose,
    data_set,
    look_at,
    routes,
)
from tests.samples import data_set_bytes, mr, part10_bytes

MR, SC = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)
J2K = str(JPEG2000Lossless)


def saved(folder: Path, ds: Any, name: str = "a.dcm") -> Outgoing:
    path = folder / name
    path.write_bytes(part10_bytes(ds))
    return look_at(path)


def sent(file: Outgoing, syntax: str) -> bytes:
    size, pieces = data_set(file, syntax)
    whole = b"".join(pieces)
    assert len(whole) == size
    return whole


def read_back(whole: bytes, syntax: str) -> pydicom.Dataset:
    uid = UID(syntax)
    ds = pydicom.filereader.read_dataset(BytesIO(whole), uid.is_implicit_VR, True)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid
    return ds


def test_a_file_that_the_peer_takes_as_it_is_goes_out_byte_for_byte(tmp_path: Path) -> None:
    ds = mr(rows=300, columns=400)
    file = saved(tmp_path, ds)
    assert (file.sop_class_uid, file.sop_instance_uid) == (MR, ds.SOPInstanceUID)
    assert sent(file, EXPLICIT) == data_set_bytes(ds)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_the_other_encoding_holds_the_same_values_and_leaves_the_file_alone(
    tmp_path: Path, syntax: str
) -> None:
    other = IMPLICIT if syntax == EXPLICIT else EXPLICIT
    ds = mr(transfer_syntax=syntax)
    block = ds.private_block(0x0029, "SOMEBODY", create=True)
    block.add_new(0x10, "OB", b"\1\2\3\4")
    file = saved(tmp_path, ds)
    before = file.path.read_bytes()
    found = read_back(sent(file, other), other)
    assert file.path.read_bytes() == before
    assert set(found.keys()) == set(ds.keys())
    assert bytes(found[0x0029, 0x1010].value) == b"\1\2\3\4"
    for element in ds:
        if not element.tag.is_private:
            assert found[element.tag].value == element.value, element.keyword


@pytest.mark.parametrize("compression", [JPEGLSLossless, RLELossless])
@pytest.mark.parametrize("plain", [EXPLICIT, IMPLICIT])
def test_what_is_compressed_goes_out_decompressed_word_for_word(
    tmp_path: Path, compression: UID, plain: str
) -> None:
    ds = mr(rows=40, columns=56)
    words = ds.pixel_array.copy()
    ds.compress(compression, generate_instance_uid=False)
    file = saved(tmp_path, ds)
    assert file.transfer_syntax_uid == compression
    found = read_back(sent(file, plain), plain)
    assert len(found.PixelData) == 40 * 56 * 2
    np.testing.assert_array_equal(
        np.frombuffer(found.PixelData, "<u2").reshape(40, 56), words.astype("<u2")
    )
    assert found.SOPInstanceUID == ds.SOPInstanceUID
    assert found.Rows == 40


def test_big_endian_and_compressed_colour_are_refused_not_altered(tmp_path: Path) -> None:
    big = mr(transfer_syntax=ExplicitVRBigEndian)
    path = tmp_path / "big.dcm"
    pydicom.dcmwrite(path, big, implicit_vr=False, little_endian=False, enforce_file_format=True)
    with pytest.raises(UndecodablePixels, match="big endian"):
        data_set(look_at(path), EXPLICIT)
    colour = mr(
        rows=8,
        columns=8,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
    )
    colour.PixelData = bytes(range(192))
    colour.compress(RLELossless, generate_instance_uid=False)
    with pytest.raises(UndecodablePixels, match="colour"):
        data_set(saved(tmp_path, colour), EXPLICIT)


@pytest.mark.parametrize(
    "content", [b"", b"not DICOM", bytes(132), bytes(128) + b"DICM" + b"\x02\0\0\0UL\4\0"]
)
def test_what_is_no_part_10_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd"
    path.write_bytes(content)
    with pytest.raises(UnreadableHeader):
        look_at(path)


def test_a_path_as_a_uid_is_refused(tmp_path: Path) -> None:
    whole = part10_bytes(mr(SOPInstanceUID="1.2.3.4.5.6"))
    path = tmp_path / "odd"
    path.write_bytes(whole.replace(b"1.2.3.4.5.6", b"../../etc/p"))
    with pytest.raises(UnreadableHeader, match="UID"):
        look_at(path)


def outgoing(sop_class: str, syntax: str, number: int = 0) -> Outgoing:
    return Outgoing(Path(f"{number}"), sop_class, f"1.2.{number}", syntax, 0)


def test_contexts_are_proposed_only_as_needed_each_syntax_for_itself() -> None:
    files = [outgoing(MR, J2K, 1), outgoing(MR, EXPLICIT, 2), outgoing(SC, IMPLICIT, 3)]
    (route,) = routes(files)
    assert [(c.abstract_syntax, c.transfer_syntaxes) for c in route.contexts] == [
        (MR, (J2K,)),
        (MR, (EXPLICIT,)),
        (MR, (IMPLICIT,)),
        (SC, (IMPLICIT,)),
        (SC, (EXPLICIT,)),
    ]
    assert list(route.files) == files


@pytest.mark.parametrize(("classes", "expected"), [(64, 1), (65, 2), (200, 4)])
def test_more_contexts_than_128_take_several_associations(classes: int, expected: int) -> None:
    files = [outgoing(f"1.2.840.{n}", EXPLICIT, n) for n in range(classes)]
    found = routes(files)
    assert len(found) == expected
    assert sorted(f.sop_instance_uid for r in found for f in r.files) == sorted(
        f.sop_instance_uid for f in files
    )
    for route in found:
        assert len(route.contexts) <= CONTEXTS_AT_MOST
        assert {f.sop_class_uid for f in route.files} == {c.abstract_syntax for c in route.contexts}


def test_one_class_in_more_syntaxes_than_fit_is_split_too() -> None:
    files = [outgoing(MR, f"2.25.{n}", n) for n in range(10)]
    found = routes(files, at_most=5)
    assert [len(route.files) for route in found] == [3, 3, 3, 1]
    assert all(len(route.contexts) <= 5 for route in found)


@pytest.mark.parametrize(
    ("own", "taken", "chosen"),
    [
        (J2K, [J2K, EXPLICIT, IMPLICIT], J2K),
        (J2K, [IMPLICIT, EXPLICIT], EXPLICIT),
        (J2K, [IMPLICIT], IMPLICIT),
        (EXPLICIT, [IMPLICIT], IMPLICIT),
        (IMPLICIT, [EXPLICIT], EXPLICIT),
        (IMPLICIT, [EXPLICIT, IMPLICIT], IMPLICIT),
    ],
)
def test_the_own_syntax_is_chosen_before_a_plain_one(
    own: str, taken: list[str], chosen: str
) -> None:
    (route,) = routes([outgoing(SC, EXPLICIT), outgoing(MR, own)])
    accepted = {
        2 * number + 1: context.transfer_syntaxes[0]
        for number, context in enumerate(route.contexts)
        if context.abstract_syntax == SC or context.transfer_syntaxes[0] in taken
    }
    found = choose(outgoing(MR, own), route.contexts, accepted)
    assert found.transfer_syntax_uid == chosen
    assert route.contexts[found.context_id // 2].abstract_syntax == MR
    assert route.contexts[found.context_id // 2].transfer_syntaxes == (chosen,)


def test_a_class_the_peer_takes_in_no_syntax_is_refused() -> None:
    (route,) = routes([outgoing(MR, J2K), outgoing(SC, EXPLICIT)])
    accepted = {
        2 * number + 1: context.transfer_syntaxes[0]
        for number, context in enumerate(route.contexts)
        if context.abstract_syntax == SC
    }
    with pytest.raises(PeerRefused, match="MR Image Storage"):
        choose(outgoing(MR, J2K), route.contexts, accepted)
    assert set(ENCODINGS) == {EXPLICIT, IMPLICIT}
