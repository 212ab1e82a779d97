"""What both formats promise: no file is written to, nothing half done remains."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from cmr_node.errors import GeometryNotKept, RefusedStack
from cmr_node.geometry.orientation import Orientation
from cmr_node.volumes import files, metaimage_proof, nifti_proof
from cmr_node.volumes.files import is_split_volume, is_volume, read_volume, reorient_volume
from tests.volumes.making import NOTE, affine, metaimage, nifti

NAMES = ("heart.nii", "heart.nii.gz", "heart.mha", "packed.mha")


def noise(name: str, folder: Path) -> Path:
    values = np.random.default_rng(7).integers(0, 4096, (2, 5, 64, 48)).astype(np.int16)
    if name.endswith(".mha"):
        return metaimage(folder / name, values, compressed=name.startswith("packed"))
    return nifti(folder / name, values, sform=affine(), qform=affine())


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """As on a full disk: the system refuses the write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("name", "whole", "split"),
    [
        ("heart.nii", True, False),
        ("HEART.NII.GZ", True, False),
        ("heart.Mha", True, False),
        ("heart.mhd", False, True),
        ("heart.HDR", False, True),
        ("heart.img", False, True),
        ("heart.img.gz", False, True),
        ("heart.gz", False, False),
        ("heart.nii.bak", False, False),
        ("nii", False, False),
        ("heart.dcm", False, False),
    ],
)
def test_a_name_says_what_a_file_is(name: str, whole: bool, split: bool) -> None:
    assert is_volume(Path(name)) is whole
    assert is_split_volume(Path(name)) is split


def test_another_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "heart.mhd"
    path.touch()
    with pytest.raises(RefusedStack, match=r"'\.mhd'; allowed: \.nii, \.nii\.gz, \.mha"):
        read_volume(path)
    with pytest.raises(RefusedStack, match="allowed"):
        reorient_volume(path, tmp_path / "part", Orientation.FLIP_LR, NOTE)
    assert not (tmp_path / "part").exists()


@pytest.mark.parametrize("name", NAMES)
def test_two_runs_write_the_same_bytes_and_the_source_is_never_written_to(
    tmp_path: Path, name: str
) -> None:
    source = noise(name, tmp_path)
    content, before = source.read_bytes(), source.stat()
    source.chmod(0o400)
    parts = [tmp_path / "part-0001", tmp_path / "another" / "part.tmp"]
    parts[1].parent.mkdir()
    for part in parts:
        reorient_volume(source, part, Orientation.ROT90CCW, NOTE)
    assert parts[0].read_bytes() == parts[1].read_bytes()
    assert NOTE.encode() not in content
    assert source.read_bytes() == content
    assert source.stat().st_mtime_ns == before.st_mtime_ns
    assert source.stat().st_ino == before.st_ino


@pytest.mark.parametrize("name", NAMES)
def test_no_file_is_overwritten_not_even_the_source(tmp_path: Path, name: str) -> None:
    source = noise(name, tmp_path)
    content = source.read_bytes()
    with pytest.raises(FileExistsError):
        reorient_volume(source, source, Orientation.FLIP_LR, NOTE)
    assert source.read_bytes() == content


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size_bytes", [0, 100, 5000, 20000])
def test_a_full_disk_is_told_and_nothing_remains(
    tmp_path: Path, name: str, size_bytes: int
) -> None:
    source = noise(name, tmp_path)
    assert source.stat().st_size > 20000
    with files_no_larger_than(size_bytes), pytest.raises(OSError, match="File too large"):
        reorient_volume(source, tmp_path / "part", Orientation.FLIP_LR, NOTE)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_remains_of_what_is_not_proved_or_was_interrupted(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = noise(name, tmp_path)
    for error in (GeometryNotKept("moved"), KeyboardInterrupt()):

        def fail(*_: object, error: BaseException = error, **__: object) -> float:
            assert (tmp_path / "part").stat().st_size > 20000
            raise error

        monkeypatch.setattr(nifti_proof, "prove", fail)
        monkeypatch.setattr(metaimage_proof, "prove", fail)
        with pytest.raises(type(error)):
            reorient_volume(source, tmp_path / "part", Orientation.FLIP_LR, NOTE)
        assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_missing_source_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_volume(tmp_path / "heart.nii")
    with pytest.raises(FileNotFoundError):
        reorient_volume(tmp_path / "a.nii.gz", tmp_path / "part", Orientation.FLIP_LR, NOTE)
    assert not list(tmp_path.iterdir())


def test_a_turned_file_turned_back_has_the_voxels_of_the_source(tmp_path: Path) -> None:
    for name in NAMES:
        source = noise(name, tmp_path)
        for operation in Orientation:
            there, back = tmp_path / f"there-{name}", tmp_path / f"back-{name}"
            reorient_volume(source, there, operation, NOTE)
            reorient_volume(there, back, operation.inverse, NOTE)
            before, after = files.read_volume(source), files.read_volume(back)
            np.testing.assert_array_equal(before.voxels, after.voxels)
            assert before.planes is not None
            assert after.planes is not None
            for old, new in zip(before.planes, after.planes, strict=True):
                np.testing.assert_allclose(old.corners, new.corners, atol=1e-3)
            there.unlink()
            back.unlink()
