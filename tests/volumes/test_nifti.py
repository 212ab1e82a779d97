"""Turned NIfTI files, as nibabel and SimpleITK see them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK

from cmr_node.errors import GeometryNotKept, RefusedStack, UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.volumes import nifti_proof
from cmr_node.volumes.files import read_volume, reorient_volume
from tests.volumes.making import NOTE, SHAPE, SPACING, TYPES, affine, nifti, voxels

SHAPES = (SHAPE, SHAPE[1:], (1, *SHAPE[2:]), SHAPE[2:])


def turned(source: Path, operation: Orientation, **options: Any) -> Path:
    target = source.with_name(f"{operation}-{source.name}")
    part = source.with_name("part")
    assert 0 <= reorient_volume(source, part, operation, NOTE, **options) <= 0.01
    return part.rename(target)


def assert_values_keep_their_place(
    before: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    after: tuple[npt.NDArray[Any], npt.NDArray[Any]],
) -> None:
    """(values by (i, j, k, ..), affine): ask the place of each result voxel for its value."""
    (old, old_affine), (new, new_affine) = before, after
    old, new = (
        values.reshape((*values.shape, 1, 1)[: max(3, values.ndim)]) for values in (old, new)
    )
    index = np.indices(new.shape[:3]).reshape(3, -1)
    points = new_affine[:3, :3] @ index + new_affine[:3, 3:]
    found = np.linalg.solve(old_affine[:3, :3], points - old_affine[:3, 3:])
    i, j, k = np.rint(found).astype(int)
    moved = old_affine[:3, :3] @ (found - np.rint(found))
    assert np.abs(moved).max() < 0.01  # mm
    assert min(i.min(), j.min(), k.min()) == 0
    np.testing.assert_array_equal(old[i, j, k], new[tuple(index)])
    assert new.size == old.size


def as_nibabel(path: Path, form: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    image: Any = nibabel.load(path)
    return image.get_fdata(), getattr(image, f"get_{form}")()


def as_itk(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    image = SimpleITK.ReadImage(str(path))
    place = np.eye(4)
    for axis in range(3):
        step = [0] * image.GetDimension()
        origin = image.TransformIndexToPhysicalPoint(step)[:3]
        step[axis] = 1
        place[:3, axis] = np.subtract(image.TransformIndexToPhysicalPoint(step)[:3], origin)
        place[:3, 3] = origin
    return SimpleITK.GetArrayFromImage(image).T, place


@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("left_handed", [False, True])
def test_every_value_keeps_its_place_to_both_readers(
    tmp_path: Path, operation: Orientation, shape: tuple[int, ...], left_handed: bool
) -> None:
    """Both forms, scaled values; the types take turns."""
    dtype = TYPES[(len(shape) * 3 + operation.code + left_handed) % len(TYPES)]
    place = affine(left_handed=left_handed)
    scaled = {"scl_slope": 0.5, "scl_inter": -7.0}
    source = nifti(
        tmp_path / "heart.nii.gz", voxels(shape, dtype), sform=place, qform=place, **scaled
    )
    target = turned(source, operation)
    for form in ("sform", "qform"):
        assert_values_keep_their_place(as_nibabel(source, form), as_nibabel(target, form))
    if len(shape) > 2:
        assert_values_keep_their_place(as_itk(source), as_itk(target))


@pytest.mark.parametrize("dtype", [*TYPES, "uint32", "int64", "uint64"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [1, 2])
def test_type_byte_order_version_and_extensions_stay(
    tmp_path: Path, dtype: str, order: str, version: int
) -> None:
    extensions = ((4, b"<xml/>"), (6, b"an older comment"), (40, b"\1\0\2 unknown"))
    source = nifti(
        tmp_path / "heart.nii",
        voxels(dtype=dtype),
        order=order,
        version=version,
        qform=affine(),
        extensions=extensions,
        descrip=b"5.0\0 after the end",
        cal_max=3.5,
        slice_start=1,
        slice_end=2,
        slice_duration=0.25,
        toffset=2.5,
        intent_code=1001,
        intent_name=b"label",
        scl_slope=np.nan,
        dim_info=0b11_10_01,
    )
    before: Any = nibabel.load(source)
    after: Any = nibabel.load(turned(source, Orientation.ROT90CW))
    assert type(after) is type(before)
    assert after.header.endianness == order
    assert after.get_data_dtype() == before.get_data_dtype()
    assert [(e.get_code(), e.content) for e in after.header.extensions] == [
        *extensions,
        (6, NOTE.encode()),
    ]
    changed = {
        name
        for name in before.header
        if before.header[name].tobytes() != after.header[name].tobytes()
    }
    quaternion = {"quatern_b", "quatern_c", "quatern_d"}
    offset = {"qoffset_x", "qoffset_y", "qoffset_z"}
    assert changed == {"dim", "pixdim", "dim_info"} | quaternion | offset
    assert after.header.get_dim_info() == (1, 0, 2)
    across, down, *rest = before.header["pixdim"].tolist()[1:5]
    assert after.header["pixdim"].tolist()[1:5] == [down, across, *rest]
    assert after.header["dim"].tolist()[:5] == [4, 5, 7, 4, 3]
    assert_values_keep_their_place(
        as_nibabel(source, "qform"), as_nibabel(Path(after.get_filename()), "qform")
    )


@pytest.mark.parametrize(
    ("slope", "inter"), [(0.0, 0.0), (np.nan, np.nan), (-2.0, 5.0), (1e-3, -1024.0), (1.0, 0.0)]
)
def test_scaling_stays_bit_by_bit(tmp_path: Path, slope: float, inter: float) -> None:
    source = nifti(tmp_path / "heart.nii", sform=affine(), scl_slope=slope, scl_inter=inter)
    target = turned(source, Orientation.TRANSPOSE)
    assert source.read_bytes()[112:120] == target.read_bytes()[112:120]
    assert_values_keep_their_place(as_nibabel(source, "sform"), as_nibabel(target, "sform"))


@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize("form", ["sform", "qform"])
def test_an_absent_form_stays_absent(tmp_path: Path, operation: Orientation, form: str) -> None:
    forms: dict[str, Any] = {form: affine()}
    source = nifti(tmp_path / "heart.nii", **forms)
    before: Any = nibabel.load(source)
    after: Any = nibabel.load(turned(source, operation))
    for name in ("sform", "qform"):
        assert after.header[f"{name}_code"] == before.header[f"{name}_code"]
    absent = ("srow_x", "srow_y", "srow_z") if form == "qform" else ("quatern_b", "qoffset_x")
    for name in absent:
        assert after.header[name].tobytes() == before.header[name].tobytes()


@pytest.mark.parametrize("operation", Orientation)
def test_a_file_without_position_is_turned_and_its_spacing_with_it(
    tmp_path: Path, operation: Orientation
) -> None:
    source = nifti(tmp_path / "heart.nii")
    target = turned(source, operation)
    np.testing.assert_array_equal(
        read_volume(target).voxels, operation.apply(read_volume(source).voxels)
    )
    across, down, _ = SPACING
    after: Any = nibabel.load(target)
    expected = (down, across) if operation.transposes else (across, down)
    assert after.header.get_zooms()[:2] == expected


def test_the_identity_changes_a_comment_and_no_more(tmp_path: Path) -> None:
    source = nifti(tmp_path / "heart.nii", sform=affine(), qform=affine())
    before, after = source.read_bytes(), turned(source, Orientation.IDENTITY).read_bytes()
    assert after[:108] == before[:108]
    assert after[112:348] == before[112:348]
    assert after[352 + 32 :] == before[352:]


@pytest.mark.parametrize("operation", Orientation)
def test_kept_geometry_stays_bit_by_bit_while_the_pixels_turn(
    tmp_path: Path, operation: Orientation
) -> None:
    even = affine(spacing=(1.5, 1.5, 8))
    source = nifti(tmp_path / "heart.nii.gz", sform=even, qform=even, dim_info=0b11_10_01)
    target = turned(source, operation, keep_geometry=True)
    before: Any = nibabel.load(source)
    after: Any = nibabel.load(target)
    for name in set(before.header) - {"dim", "vox_offset"}:
        assert before.header[name].tobytes() == after.header[name].tobytes(), name
    np.testing.assert_array_equal(
        read_volume(target).voxels, operation.apply(read_volume(source).voxels)
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "pixdim is 1.25 between columns and 1.75 between rows"),
        ({"pixdim": [1, 2, 2, 8, 1, 1, 1, 1]}, "sform is 1.25 between columns"),
        ({"pixdim": [1, np.nan, np.nan, 8, 1, 1, 1, 1]}, "which axis cannot be known"),
    ],
)
def test_kept_unequal_spacing_forbids_to_exchange_rows_and_columns(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    source = nifti(tmp_path / "heart.nii", sform=affine(), **fields)
    with pytest.raises(RefusedStack, match=message):
        reorient_volume(source, tmp_path / "part", Orientation.ROT90CW, NOTE, keep_geometry=True)
    assert [path.name for path in tmp_path.iterdir()] == ["heart.nii"]
    turned(source, Orientation.ROT180, keep_geometry=True)


def test_a_form_of_no_numbers_can_be_left_but_not_turned(tmp_path: Path) -> None:
    source = nifti(tmp_path / "heart.nii", sform=affine(), srow_x=[np.nan, 0, 0, 0])
    with pytest.raises(UnusableGeometry, match="sform has a value that is not finite"):
        reorient_volume(source, tmp_path / "part", Orientation.FLIP_LR, NOTE)
    turned(source, Orientation.FLIP_LR, keep_geometry=True)


def test_a_qfac_of_0_counts_as_1(tmp_path: Path) -> None:
    source = nifti(tmp_path / "heart.nii", qform=affine())
    clean = read_volume(turned(source, Orientation.FLIP_UD)).planes
    nifti(source, qform=affine(), pixdim=[0, *SPACING, 1, 1, 1, 1])
    assert read_volume(turned(source, Orientation.ROT180)).planes is not None
    assert read_volume(turned(source, Orientation.FLIP_UD)).planes == clean


@pytest.mark.parametrize("tilt_deg", [0.0, 0.2, 0.5, 1.0])
def test_half_a_turn_within_a_degree_survives_a_32_bit_quaternion(
    tmp_path: Path, tilt_deg: float
) -> None:
    """Rounded plainly, a scan of 2 x 2 dm would move by more than the limit here."""
    tilt = np.radians(tilt_deg)
    place = affine((tilt, -0.6 * tilt, 0.3), (1.5, 1.5, 8))
    values = np.arange(130 * 130, dtype=np.int16).reshape(1, 130, 130)
    source = nifti(tmp_path / "heart.nii", values, qform=place)
    for operation in Orientation:
        assert_values_keep_their_place(
            as_nibabel(source, "qform"), as_nibabel(turned(source, operation), "qform")
        )
        if tilt_deg:
            assert_values_keep_their_place(
                as_itk(source), as_itk(tmp_path / f"{operation}-heart.nii")
            )


def test_what_a_32_bit_quaternion_cannot_say_is_refused(tmp_path: Path) -> None:
    """Half a turn but for 0.05 degrees: every reader would take it for a whole half turn."""
    place = affine((np.radians(0.05), 0.0, 0.0), (1.5, 1.5, 8))
    source = nifti(tmp_path / "heart.nii", np.zeros((1, 130, 130), np.int16), qform=place)
    with pytest.raises(GeometryNotKept, match=r"qform: voxels moved by 0\.\d+ mm \(limit 0.01\)"):
        reorient_volume(source, tmp_path / "part", Orientation.FLIP_UD, NOTE)
    assert [path.name for path in tmp_path.iterdir()] == ["heart.nii"]


@pytest.mark.parametrize(
    ("position", "message"),
    [
        (0, "cannot be read back: sizeof_hdr is 58 01 00 00"),
        (4, "header field data_type is not that of the source"),
        (-1, "1 of 420 voxels are not where they were"),
        (150, "header field descrip is not that of the source"),
        (282, "sform: voxels moved by"),
        (70, "cannot be read back"),
        (42, "cannot be read back"),
    ],
)
def test_the_proof_finds_one_wrong_byte(tmp_path: Path, position: int, message: str) -> None:
    source = nifti(tmp_path / "heart.nii", sform=affine(), descrip=b"5.0 cine")
    target = turned(source, Orientation.ROT90CW)
    content = bytearray(target.read_bytes())
    content[position] ^= 4
    target.write_bytes(content)
    with pytest.raises(GeometryNotKept, match=message):
        nifti_proof.prove(source, target, Orientation.ROT90CW, keep_geometry=False)


def test_the_proof_takes_no_other_operation_for_the_right_one(tmp_path: Path) -> None:
    square = np.random.default_rng(5).integers(0, 4096, (2, 6, 6)).astype(np.uint16)
    even = affine(spacing=(1.5, 1.5, 8))
    source = nifti(tmp_path / "heart.nii.gz", square, sform=even)
    target = turned(source, Orientation.ROT90CW)
    for other in set(Orientation) - {Orientation.ROT90CW}:
        with pytest.raises(GeometryNotKept):
            nifti_proof.prove(source, target, other, keep_geometry=False)


def test_a_cut_result_is_no_proof(tmp_path: Path) -> None:
    source = nifti(tmp_path / "heart.nii.gz", sform=affine())
    target = turned(source, Orientation.ROT90CW)
    for content in (target.read_bytes()[:-9], target.read_bytes()[:200], b"", gzip.compress(b"")):
        target.write_bytes(content)
        with pytest.raises(GeometryNotKept, match="cannot be read back"):
            nifti_proof.prove(source, target, Orientation.ROT90CW, keep_geometry=False)
