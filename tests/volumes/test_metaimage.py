"""MetaImage files: read, turned, and refused."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK

from cmr_node.errors import (
    GeometryNotKept,
    NodeError,
    RefusedStack,
    UndecodablePixels,
    UnreadableHeader,
    UnusableGeometry,
)
from cmr_node.geometry.orientation import Orientation
from cmr_node.volumes import metaimage_proof
from cmr_node.volumes.files import read_volume, reorient_volume
from tests.volumes.making import NOTE, SHAPE, SPACING, TYPES, metaimage, replaced, rotation, voxels

SHAPES = (SHAPE, SHAPE[1:], (1, *SHAPE[2:]), SHAPE[2:])
_GEOMETRY = ("TransformMatrix", "Offset", "ElementSpacing", "DimSize", "AnatomicalOrientation")


def turned(source: Path, operation: Orientation, **options: Any) -> Path:
    target = source.with_name(f"{operation}-{source.name}")
    part = source.with_name("part")
    assert 0 <= reorient_volume(source, part, operation, NOTE, **options) <= 0.01
    return part.rename(target)


def by_place(path: Path) -> dict[tuple[float, ...], Any]:
    """The value at each point of the patient, rounded to a tenth of a millimetre."""
    image = SimpleITK.ReadImage(str(path))
    values: npt.NDArray[Any] = SimpleITK.GetArrayFromImage(image).T
    return {
        tuple(np.round(image.TransformIndexToPhysicalPoint([int(n) for n in index]), 1) + 0.0): str(
            value
        )
        for index, value in np.ndenumerate(values)
    }


def lines(path: Path) -> dict[str, str]:
    text = path.read_bytes().partition(b"ElementDataFile")[0].decode()
    return dict(line.split(" = ", 1) for line in text.splitlines())


@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("compressed", [False, True])
def test_every_value_keeps_its_place_and_every_other_key_its_line(
    tmp_path: Path, operation: Orientation, shape: tuple[int, ...], compressed: bool
) -> None:
    dtype = TYPES[(len(shape) * 3 + operation.code + compressed) % len(TYPES)]
    source = metaimage(tmp_path / "heart.mha", voxels(shape, dtype), compressed=compressed)
    target = turned(source, operation)
    assert by_place(source) == by_place(target)
    before, after = lines(source), lines(target)
    assert after.pop("Comment") == NOTE
    assert list(before) == list(after)
    changed = {key for key in before if before[key] != after[key]}
    assert changed <= {*_GEOMETRY, "CompressedDataSize"}
    assert after["Protocol"] == "SA stack"
    if len(shape) == 3:  # ITK writes the letters of its own direction
        again = SimpleITK.ReadImage(str(target))
        SimpleITK.WriteImage(again, str(tmp_path / "again.mha"))
        expected = lines(tmp_path / "again.mha")["AnatomicalOrientation"]
        assert after["AnatomicalOrientation"] == expected


@pytest.mark.parametrize("dtype", [*TYPES, "uint32", "int64", "uint64"])
def test_voxels_are_read_as_stored(tmp_path: Path, dtype: str) -> None:
    values = voxels(dtype=dtype)
    volume = read_volume(metaimage(tmp_path / "HEART.mha", values))
    assert volume.voxels.dtype == values.dtype
    np.testing.assert_array_equal(volume.voxels, values)
    assert volume.phase_duration == 0.0  # ElementSpacing has no unit of time
    assert not volume.inverted


def test_planes_are_those_of_itk(tmp_path: Path) -> None:
    path = metaimage(tmp_path / "heart.mha", voxels(SHAPE[1:]))
    image, planes = SimpleITK.ReadImage(str(path)), read_volume(path).planes
    assert planes is not None
    assert len(planes) == SHAPE[1]
    for k, plane in enumerate(planes):
        assert plane.pixel_spacing == pytest.approx((SPACING[1], SPACING[0]))
        for row, column in ((0, 0), (4, 0), (0, 6), (2, 5)):
            expected = image.TransformIndexToPhysicalPoint([column, row, k])
            np.testing.assert_allclose(plane.to_patient([row, column]), expected, atol=1e-9)


@pytest.mark.parametrize("operation", Orientation)
def test_big_endian_voxels_stay_so(tmp_path: Path, operation: Orientation) -> None:
    path = metaimage(tmp_path / "heart.mha")
    start, mark, data = path.read_bytes().partition(b"LOCAL\n")
    swapped = np.frombuffer(data, "<i2").astype(">i2").tobytes()
    path.write_bytes(start.replace(b"OrderMSB = False", b"OrderMSB = True") + mark + swapped)
    np.testing.assert_array_equal(read_volume(path).voxels, voxels())
    target = turned(path, operation)
    assert b"BinaryDataByteOrderMSB = True\n" in target.read_bytes()
    assert by_place(path) == by_place(target)


@pytest.mark.parametrize("operation", Orientation)
def test_kept_geometry_stays_line_by_line(tmp_path: Path, operation: Orientation) -> None:
    path = metaimage(tmp_path / "heart.mha")
    replaced(path, (b"1.25 1.75 8", b"1.50 1.50 8"))
    target = turned(path, operation, keep_geometry=True)
    before, after = lines(path), lines(target)
    assert {key for key in before if before[key] != after[key]} <= {"DimSize"}
    np.testing.assert_array_equal(
        read_volume(target).voxels, operation.apply(read_volume(path).voxels)
    )


def test_kept_unequal_spacing_forbids_to_exchange_rows_and_columns(tmp_path: Path) -> None:
    path = metaimage(tmp_path / "heart.mha")
    with pytest.raises(RefusedStack, match=r"ElementSpacing is 1\.25 .* cannot be known"):
        reorient_volume(path, tmp_path / "part", Orientation.ROT90CW, NOTE, keep_geometry=True)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("text", ["Müller à", "Müller".encode("latin-1"), "心臓"])
def test_text_of_any_encoding_stays_byte_for_byte(tmp_path: Path, text: str | bytes) -> None:
    value = text.encode() if isinstance(text, str) else text
    path = replaced(metaimage(tmp_path / "heart.mha"), (b"SA stack", value))
    assert b"Protocol = " + value + b"\n" in turned(path, Orientation.FLIP_UD).read_bytes()


def test_a_comment_stands_behind_the_note(tmp_path: Path) -> None:
    path = metaimage(tmp_path / "heart.mha")
    replaced(path, (b"Protocol =", b"Comment = " + b"o" * 250 + b"\nProtocol ="))
    target = turned(path, Orientation.FLIP_LR)
    assert lines(target)["Comment"] == f"{NOTE}; {'o' * 250}"[:255]
    assert by_place(path) == by_place(target)


@pytest.mark.parametrize("operation", Orientation)
def test_without_a_position_the_spacing_turns_alone(tmp_path: Path, operation: Orientation) -> None:
    path = metaimage(tmp_path / "heart.mha", voxels(SHAPE[1:]))
    found = lines(path)
    for key in ("TransformMatrix", "Offset"):
        replaced(path, (f"{key} = {found[key]}\n".encode(), b""))
    volume = read_volume(path)
    assert volume.planes is None
    assert "TransformMatrix and Offset are missing" in volume.geometry_fault
    target = turned(path, operation)
    assert not {"TransformMatrix", "Offset"} & set(lines(target))
    across, down, _ = SPACING
    expected = (down, across) if operation.transposes else (across, down)
    assert SimpleITK.ReadImage(str(target)).GetSpacing()[:2] == expected


@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize(
    ("missing", "names"),
    [
        (b"TransformMatrix", (b"Offset", b"Origin")),
        (b"Offset", (b"TransformMatrix", b"Orientation")),
        (b"Nothing", (b"Offset", b"Position")),
    ],
)
def test_other_names_and_half_a_position_are_understood(
    tmp_path: Path, operation: Orientation, missing: bytes, names: tuple[bytes, bytes]
) -> None:
    path = metaimage(tmp_path / "heart.mha", voxels(SHAPE[1:]))
    replaced(path, names)
    content = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(line for line in content if not line.startswith(missing)))
    assert read_volume(path).planes is not None
    assert by_place(path) == by_place(turned(path, operation))


def test_carriage_returns_and_a_negative_spacing_are_understood(tmp_path: Path) -> None:
    path = metaimage(tmp_path / "heart.mha", voxels(SHAPE[1:]))
    replaced(path, (b"Spacing = 1.25", b"Spacing = -1.25"))
    start, mark, data = path.read_bytes().partition(b"LOCAL\n")
    path.write_bytes((start + mark).replace(b"\n", b"\r\n") + data)
    image, planes = SimpleITK.ReadImage(str(path)), read_volume(path).planes
    assert planes is not None
    np.testing.assert_allclose(
        planes[1].to_patient([2, 5]), image.TransformIndexToPhysicalPoint([5, 2, 1])
    )
    assert by_place(path) == by_place(turned(path, Orientation.ROT90CW))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"Spacing = 1.25", b"Spacing = 0.0", "pixels along a row are 0 mm apart"),
        (b"Spacing = 1.25", b"Spacing = nan", "0 mm apart"),
        (b"Spacing = 1.25", b"Spacing = 5e3", "PixelSpacing"),
        (b"Offset = -93.25", b"Offset = 1e7", "out of the patient"),
    ],
)
def test_each_unusable_geometry_is_named_and_no_error(
    tmp_path: Path, old: bytes, new: bytes, message: str
) -> None:
    path = replaced(metaimage(tmp_path / "heart.mha", voxels(SHAPE[1:])), (old, new))
    volume = read_volume(path)
    assert volume.planes is None
    assert message in volume.geometry_fault


def test_a_sheared_or_flat_picture_has_no_planes(tmp_path: Path) -> None:
    sheared = rotation()
    sheared[:, 0] += 0.1 * sheared[:, 1]
    path = metaimage(tmp_path / "heart.mha", voxels(SHAPE[1:]), direction=sheared)
    assert "ImageOrientationPatient" in read_volume(path).geometry_fault
    assert by_place(path) == by_place(turned(path, Orientation.ROT90CCW))
    flat = metaimage(tmp_path / "flat.mha", voxels(SHAPE[2:]))
    assert read_volume(flat).planes is None
    assert "NDims is 2" in read_volume(flat).geometry_fault


def test_what_itk_does_not_read_is_not_turned(tmp_path: Path) -> None:
    path = metaimage(tmp_path / "heart.mha", voxels(SHAPE[1:]))
    replaced(path, (b"Spacing = 1.25", b"Spacing = 0.0"))
    with pytest.raises(UnusableGeometry, match="SimpleITK does not read"):
        reorient_volume(path, tmp_path / "part", Orientation.FLIP_LR, NOTE)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        (b"= LOCAL", b"= /etc/passwd", RefusedStack, "allowed: LOCAL"),
        (b"= LOCAL", b"= LIST", RefusedStack, "allowed: LOCAL"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile : x = LOCAL", UnreadableHeader, "line"),
        (b"NDims = 4", b"ElementDataFile : /etc/passwd\nNDims = 4", UnreadableHeader, "line 2"),
        (b"NDims = 4", b"NDims = 4\nA =\x00 1", UnreadableHeader, "line 3"),
        (b"NDims = 4", b"NDims = 4\rElementDataFile = x", UnreadableHeader, "line 2"),
        (b"Protocol", b"Protoc\xf6l", UnreadableHeader, "is not 'key = value'"),
        (b"NDims = 4", b"NDims = 4\nNDims = 3", UnreadableHeader, "NDims stands .* twice"),
        (b"NDims = 4", b"NDims = 5", RefusedStack, "NDims '5'; allowed: 2 to 4"),
        (b"NDims = 4", b"NDims = 1", RefusedStack, "NDims '1'"),
        (b"NDims = 4", b"NDims = 3", UnreadableHeader, "DimSize 7 5 4 3; allowed: 3 numbers"),
        (b"DimSize = 7 5 4 3", b"DimSize = 7 5 4", UnreadableHeader, "allowed: 4 numbers"),
        (b"DimSize = 7 5 4 3", b"DimSize = 7 5 -4 3", UnreadableHeader, "DimSize"),
        (b"DimSize = 7 5 4 3", b"DimSize = 7 0 4 3", UnreadableHeader, "DimSize"),
        (b"DimSize = 7 5 4 3", b"DimSize = 7 5 4 99999", UnreadableHeader, "DimSize"),
        (b"DimSize = 7 5 4 3", b"DimSize = 7 5 4 4", UndecodablePixels, "840 bytes of 1120"),
        (b"DimSize = 7 5 4 3", b"DimSize = 7 5 4 2", UndecodablePixels, "more than the 560"),
        (b"7 5 4 3", b"9999 9999 9999 9", UndecodablePixels, "limit 2147483648"),
        (b"MET_SHORT", b"MET_STRING", RefusedStack, "ElementType 'MET_STRING'; allowed: MET_"),
        (b"MET_SHORT", b"MET_UCHAR_ARRAY", RefusedStack, "ElementType"),
        (b"ElementType", b"ElementNumberOfChannels = 3\nElementType", RefusedStack, "3 channels"),
        (b"BinaryData = True", b"BinaryData = False", RefusedStack, "voxels as text"),
        (b"BinaryData = True", b"BinaryData = maybe", UnreadableHeader, "allowed: True, False"),
        (b"ElementType", b"HeaderSize = -1\nElementType", RefusedStack, "HeaderSize -1"),
        (b"ObjectType = Image", b"ObjectType = Tube", RefusedStack, "ObjectType Tube"),
        (
            b"Protocol",
            b"Comment = " + b"x" * 256 + b"\nProtocol",
            UnreadableHeader,
            "and 256 characters",
        ),
        (b"Protocol", b"P" * 65, UnreadableHeader, "65 and 8 characters"),
        (b"SA stack", b"x" * 8193, UnreadableHeader, "8 and 8193 characters"),
        (b"Spacing = 1.25", b"Spacing =", UnreadableHeader, "ElementSpacing has 3 numbers"),
        (b"Offset = ", b"Offset = 1 ", UnreadableHeader, "Offset has 5 numbers; allowed: 4"),
        (b"Matrix = ", b"Matrix = 1 ", UnreadableHeader, "17 numbers; allowed: 16"),
        (b"Protocol", b"ElementByteOrderMSB = True\nProtocol", UnreadableHeader, "contradict"),
        (b"SA stack", b"x" * 70000, UnreadableHeader, "no line ElementDataFile in the first"),
    ],
)
def test_each_bad_header_is_told_what_is_allowed(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    old: bytes,
    new: bytes,
    error: type[NodeError],
    message: str,
) -> None:
    path = replaced(metaimage(tmp_path / "heart.mha"), (old, new))
    with pytest.raises(error, match=message):
        read_volume(path)
    with pytest.raises(error, match=message):
        reorient_volume(path, tmp_path / "part", Orientation.FLIP_LR, NOTE)
    assert [found.name for found in tmp_path.iterdir()] == ["heart.mha"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"", b"\n", b"ObjectType = Image\n", b"\x00" * 99999])
def test_what_is_no_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "heart.mha"
    path.write_bytes(content)
    with pytest.raises(UnreadableHeader):
        read_volume(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-3], "cut off"),
        (lambda data: data[: len(data) // 2], "cut off"),
        (lambda data: b"", "announced"),
        (lambda data: data + b"x", "more than the 840 bytes"),
        (lambda data: b"\xff" * len(data), "damaged"),
        (lambda data: data[:-4] + bytes(4), "damaged"),
        (lambda data: zlib.compress(bytes(1 << 24)), "more than the 840 bytes"),
        (lambda data: zlib.compress(bytes(839)), "cut off: 839 bytes of 840"),
        (lambda data: zlib.compress(bytes(841)), "more than the 840 bytes"),
    ],
)
def test_each_bad_zlib_stream_is_named(tmp_path: Path, damage: Any, message: str) -> None:
    noise = np.random.default_rng(2).integers(-999, 999, SHAPE).astype(np.int16)
    path = metaimage(tmp_path / "heart.mha", noise, compressed=True)
    start, mark, data = path.read_bytes().partition(b"LOCAL\n")
    size, damaged = lines(path)["CompressedDataSize"], damage(data)
    start = start.replace(f"Size = {size}".encode(), f"Size = {len(damaged)}".encode())
    path.write_bytes(start + mark + damaged)
    with pytest.raises(UndecodablePixels, match=message):
        read_volume(path)


def test_the_size_of_compressed_voxels_must_be_true_and_be_there(tmp_path: Path) -> None:
    path = metaimage(tmp_path / "heart.mha", compressed=True)
    size = f"CompressedDataSize = {lines(path)['CompressedDataSize']}".encode()
    replaced(path, (size, b"CompressedDataSize = 999999999999"))
    with pytest.raises(UndecodablePixels, match="CompressedDataSize 999999999999; allowed: "):
        read_volume(path)
    replaced(path, (b"CompressedDataSize = 999999999999\n", b""))
    with pytest.raises(UndecodablePixels, match="CompressedDataSize is missing; allowed: "):
        read_volume(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"Offset = ", b"Offset = 1", "voxels moved by"),
        (b"SA stack", b"SA stuck", "a metadata key is not that of the source"),
        (b"MET_SHORT", b"MET_USHORT", "voxels are"),
        (b"MET_SHORT", b"MET_FLOAT", "read the turned volume back|voxels are"),
        (b"LOCAL\n", b"LOCAL\n\x01", "voxels are not where they were|read"),
    ],
)
def test_the_proof_finds_each_fault(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    source = metaimage(tmp_path / "heart.mha")
    replaced(source, (b"Offset = -93.25", b"Offset = 93.25"))
    target = replaced(turned(source, Orientation.ROT90CW), (old, new))
    with pytest.raises(GeometryNotKept, match=message):
        metaimage_proof.prove(source, target, Orientation.ROT90CW, keep_geometry=False)
