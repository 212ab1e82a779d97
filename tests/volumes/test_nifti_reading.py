"""NIfTI files that strangers wrote: what is read of them, and what each bad one is told."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmr_node.errors import NodeError, RefusedStack, UndecodablePixels, UnreadableHeader
from cmr_node.geometry.orientation import Orientation
from cmr_node.volumes import nifti_header, streams
from cmr_node.volumes.files import read_volume, reorient_volume
from tests.volumes.making import NOTE, SHAPE, TYPES, affine, nifti, voxels


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["heart.nii", "HEART.NII.GZ"])
def test_voxels_are_read_as_stored(tmp_path: Path, dtype: str, order: str, name: str) -> None:
    values = voxels(dtype=dtype)
    path = tmp_path / name
    nifti(tmp_path / name.lower(), values, order=order, scl_slope=3.0).rename(path)
    read = read_volume(path).voxels
    assert read.dtype == np.dtype(dtype).newbyteorder(order)
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize(
    ("dim", "shape"),
    [
        ([2, 7, 60, 0, -3, 0, 0, 0], (1, 1, 60, 7)),
        ([3, 7, 5, 12, 0, 0, 0, 0], (1, 12, 5, 7)),
        ([3, 7, 60, 1, 9, 1, 1, 1], (1, 1, 60, 7)),
        ([5, 7, 5, 4, 3, 1, 9, 9], (3, 4, 5, 7)),
        ([7, 7, 5, 1, 12, 1, 1, 1], (12, 1, 5, 7)),
    ],
)
def test_dimensions_of_size_1_may_follow(
    tmp_path: Path, dim: list[int], shape: tuple[int, ...]
) -> None:
    path = nifti(tmp_path / "heart.nii", sform=affine(), dim=dim)
    assert read_volume(path).voxels.shape == shape
    assert reorient_volume(path, tmp_path / "part", Orientation.ROT90CW, NOTE) <= 0.01


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"sizeof_hdr": 347}, UnreadableHeader, "sizeof_hdr is 5b 01 00 00"),
        ({"magic": b"ni1"}, RefusedStack, "pair of files"),
        ({"magic": b""}, UnreadableHeader, "magic"),
        ({"dim": [0, 7, 5, 4, 3, 1, 1, 1]}, UnreadableHeader, r"dim\[0\] is 0"),
        ({"dim": [8, 7, 5, 4, 3, 1, 1, 1]}, UnreadableHeader, r"dim\[0\] is 8"),
        ({"dim": [1, 420, 1, 1, 1, 1, 1, 1]}, RefusedStack, "1 dimensions"),
        ({"dim": [5, 7, 5, 4, 1, 3, 1, 1]}, RefusedStack, "allowed: 2 to 4 dimensions"),
        ({"dim": [3, 7, 0, 4, 3, 1, 1, 1]}, UnreadableHeader, "allowed: 1 to 65535 each"),
        ({"dim": [3, 7, -5, 4, 3, 1, 1, 1]}, UnreadableHeader, "allowed: 1 to 65535 each"),
        ({"dim": [4, 7, 5, 4, 4, 1, 1, 1]}, UndecodablePixels, "840 bytes of 1120 announced"),
        ({"dim": [4, 7, 5, 4, 2, 1, 1, 1]}, UndecodablePixels, "more than the 560 bytes"),
        ({"dim": [3, 32767, 32767, 32767, 1, 1, 1, 1]}, UndecodablePixels, r"limit 2147483648"),
        ({"dim": [3, 300, 300, 300, 1, 1, 1, 1]}, UndecodablePixels, "holds"),
        ({"bitpix": 8}, UnreadableHeader, "bitpix 8, datatype 4; allowed: 16"),
        ({"datatype": 3}, UnreadableHeader, "datatype 3; allowed: integers"),
        ({"datatype": 0}, RefusedStack, "unknown"),
        ({"datatype": 1, "bitpix": 1}, RefusedStack, "binary"),
        ({"datatype": 32, "bitpix": 64}, RefusedStack, "complex64"),
        ({"datatype": 128, "bitpix": 24}, RefusedStack, "RGB24"),
        ({"datatype": 1536, "bitpix": 128}, RefusedStack, "float128"),
        ({"datatype": 1792, "bitpix": 128}, RefusedStack, "complex128"),
        ({"datatype": 2048, "bitpix": 256}, RefusedStack, "complex256"),
        ({"datatype": 2304, "bitpix": 32}, RefusedStack, "RGBA32"),
        ({"vox_offset": 0}, UnreadableHeader, "vox_offset 0; allowed: 352 to 67108864"),
        ({"vox_offset": -352}, UnreadableHeader, "vox_offset"),
        ({"vox_offset": 352.5}, UnreadableHeader, "vox_offset"),
        ({"vox_offset": np.nan}, UnreadableHeader, "vox_offset"),
        ({"vox_offset": 1e9}, UnreadableHeader, "vox_offset"),
        ({"vox_offset": 16384}, UnreadableHeader, "header cut off"),
    ],
)
@pytest.mark.parametrize("name", ["heart.nii", "heart.nii.gz"])
def test_each_bad_header_is_told_what_is_allowed(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    fields: dict[str, Any],
    error: type[NodeError],
    message: str,
) -> None:
    path = nifti(tmp_path / name, sform=affine(), **fields)
    if ("holds" in message) and name.endswith(".gz"):
        message = "announced"
    with pytest.raises(error, match=message):
        read_volume(path)
    with pytest.raises(error, match=message):
        reorient_volume(path, tmp_path / "part", Orientation.FLIP_LR, NOTE)
    assert [found.name for found in tmp_path.iterdir()] == [name]
    assert capfd.readouterr() == ("", "")


def test_nifti_2_is_checked_for_transfers_as_text_and_sizes(tmp_path: Path) -> None:
    path = nifti(tmp_path / "heart.nii", version=2, eol_check=[10, 10, 26, 10])
    with pytest.raises(UnreadableHeader, match="eol_check"):
        read_volume(path)
    nifti(path, version=2, dim=[3, 1, 1, 1 << 40, 1, 1, 1, 1])
    with pytest.raises(UnreadableHeader, match="allowed: 1 to 65535"):
        read_volume(path)


@pytest.mark.parametrize("length", [0, 3, 4, 347, 351])
def test_a_cut_header_is_no_header(tmp_path: Path, length: int) -> None:
    path = nifti(tmp_path / "heart.nii")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UnreadableHeader, match="header cut off"):
        read_volume(path)


@pytest.mark.parametrize(
    ("size", "total"), [(15, 32), (24, 32), (0, 32), (-16, 32), (1 << 30, 32), (48, 32)]
)
def test_an_extension_past_the_voxels_is_refused(tmp_path: Path, size: int, total: int) -> None:
    path = nifti(tmp_path / "heart.nii", extensions=((6, b"x" * (total - 8)),))
    content = bytearray(path.read_bytes())
    content[352:356] = np.array(size, "<i4").tobytes()
    path.write_bytes(content)
    with pytest.raises(UnreadableHeader, match="an extension of"):
        read_volume(path)


def test_a_gap_before_the_voxels_is_no_extension(tmp_path: Path) -> None:
    path = nifti(tmp_path / "heart.nii", sform=affine(), vox_offset=1024)
    content = path.read_bytes()
    path.write_bytes(content[:352] + b"\xff" * (1024 - 352) + content[352:])
    reorient_volume(path, tmp_path / "part.nii", Orientation.FLIP_LR, NOTE)
    np.testing.assert_array_equal(read_volume(path).voxels, voxels())
    with (tmp_path / "part.nii").open("rb") as stream:
        assert b"\xff" not in nifti_header.read(stream).extensions


def test_zeros_behind_the_extensions_are_a_gap(tmp_path: Path) -> None:
    path = nifti(tmp_path / "heart.nii", extensions=((6, b"x" * 8),), vox_offset=352 + 48)
    content = path.read_bytes()
    path.write_bytes(content[: 352 + 16] + bytes(32) + content[352 + 16 :])
    with path.open("rb") as stream:
        assert len(nifti_header.read(stream).extensions) == 16
    np.testing.assert_array_equal(read_volume(path).voxels, voxels())


def plain(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda data: gzip.decompress(data), UnreadableHeader, "Not a gzipped file"),
        (lambda data: b"", UnreadableHeader, "header cut off: 0 bytes"),
        (lambda data: data[:60], UnreadableHeader, "damaged after|cut off"),
        (lambda data: data[:-30], UndecodablePixels, "voxels damaged|voxels are damaged"),
        (lambda data: data[:-6], UndecodablePixels, "voxels are damaged"),
        (lambda data: data[:-8] + bytes(8), UndecodablePixels, "CRC"),
        (lambda data: data + b"tail", UndecodablePixels, "voxels are damaged"),
        (lambda data: data + gzip.compress(b"x"), UndecodablePixels, "more than the 840 bytes"),
        (lambda data: data[:40] + b"\xff" * 200 + data[240:], UnreadableHeader, "damaged"),
    ],
)
def test_each_bad_gzip_stream_is_named(
    tmp_path: Path, damage: Any, error: type[NodeError], message: str
) -> None:
    noise = np.random.default_rng(2).integers(-999, 999, SHAPE).astype(np.int16)
    path = nifti(tmp_path / "heart.nii.gz", noise)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(error, match=message):
        read_volume(path)
    with pytest.raises(error, match=message):
        reorient_volume(path, tmp_path / "part", Orientation.FLIP_LR, NOTE)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_stream_of_several_members_is_one_file(tmp_path: Path) -> None:
    path = nifti(tmp_path / "heart.nii.gz")
    content = plain(path)
    path.write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:]))
    np.testing.assert_array_equal(read_volume(path).voxels, voxels())


def test_a_bomb_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """128 MiB behind 840 announced bytes: nobody asks for more than one byte of it."""
    path = nifti(tmp_path / "heart.nii.gz")
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = [engine.compress(plain(path))]
    packed += [engine.compress(bytes(1 << 20)) for _ in range(128)]
    path.write_bytes(b"".join(packed) + engine.flush())
    asked: list[int] = []
    read = gzip.GzipFile.read

    def counted(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        asked.append(-1 if size is None else size)
        return read(self, size)

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    with pytest.raises(UndecodablePixels, match="more than the 840 bytes"):
        read_volume(path)
    assert min(asked) >= 0
    assert sum(asked) == 352 + 840 + 1


def test_a_lie_about_the_size_reserves_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = nifti(tmp_path / "heart.nii.gz", dim=[4, 1024, 1024, 500, 2, 1, 1, 1])

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("voxels were asked for")

    monkeypatch.setattr(streams, "take", refuse)
    with pytest.raises(UndecodablePixels, match="2097152000 bytes of voxels announced"):
        streams.check_size(2097152000, path, compressed=True)
    monkeypatch.undo()
    with pytest.raises(UndecodablePixels, match="2097152000 bytes of voxels announced"):
        read_volume(path)


@pytest.mark.parametrize(
    ("units", "step", "seconds"),
    [
        (2 | 8, 0.0355, 0.0355),
        (2 | 16, 35.5, 0.0355),
        (2 | 24, 35500, 0.0355),
        (2, 35.5, 0.0),
        (2 | 32, 35.5, 0.0),
        (2 | 16, -1, 0.0),
        (2 | 16, np.nan, 0.0),
        (2 | 16, np.inf, 0.0),
    ],
)
def test_the_time_between_phases_is_known_with_its_unit_only(
    tmp_path: Path, units: int, step: float, seconds: float
) -> None:
    pixdim = [1, 1, 1, 1, step, 0, 0, 0]
    path = nifti(tmp_path / "heart.nii", xyzt_units=units, pixdim=pixdim)
    assert read_volume(path).phase_duration == pytest.approx(seconds)


def test_one_phase_has_no_duration(tmp_path: Path) -> None:
    path = nifti(tmp_path / "heart.nii", voxels(SHAPE[1:]))
    assert read_volume(path).phase_duration == 0.0
