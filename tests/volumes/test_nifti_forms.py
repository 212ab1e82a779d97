"""Which form says where a NIfTI volume is, and what turning makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cmr_node.errors import GeometryNotKept, RefusedStack
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import reorient
from cmr_node.volumes.affines import corners
from cmr_node.volumes.files import read_volume, reorient_volume
from tests.volumes.making import NOTE, SHAPE, SPACING, affine, nifti, voxels

_LPS = np.array([-1, -1, 1])


def moved(mm: float) -> Any:
    out = affine()
    out[0, 3] += mm
    return out


def fault(path: Path) -> str:
    volume = read_volume(path)
    assert volume.planes is None
    return volume.geometry_fault


@pytest.mark.parametrize("form", ["sform", "qform"])
@pytest.mark.parametrize(("unit", "scale"), [(0, 1.0), (1, 1e-3), (2, 1.0), (3, 1e3), (7, 1.0)])
def test_a_plane_lies_where_nibabel_puts_its_slice(
    tmp_path: Path, form: str, unit: int, scale: float
) -> None:
    place = affine()
    place[:3] *= scale
    forms: dict[str, Any] = {form: place}
    volume = read_volume(nifti(tmp_path / "heart.nii", xyzt_units=unit | 16, **forms))
    assert volume.geometry_fault == ""
    assert volume.planes is not None
    assert len(volume.planes) == SHAPE[1]
    for k, plane in enumerate(volume.planes):
        assert plane.shape == SHAPE[2:]
        assert plane.pixel_spacing == pytest.approx((SPACING[1], SPACING[0]))
        for row, column in ((0, 0), (4, 0), (0, 6), (2, 5)):
            expected = (affine() @ (column, row, k, 1))[:3] * _LPS
            np.testing.assert_allclose(plane.to_patient([row, column]), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("sform_code", "qform_code", "apart_mm", "position_of"),
    [
        (1, 0, 50.0, "sform"),
        (4, 0, 50.0, "sform"),
        (0, 1, 50.0, "qform"),
        (0, 2, 50.0, "qform"),
        (1, 1, 0.9, "sform"),
        (2, 2, 0.9, "sform"),
        (2, 1, 0.9, "qform"),
        (2, 4, 0.9, "sform"),
        (1, 1, 1.1, ""),
        (2, 2, 12.3, ""),
        (1, 2, 50.0, "sform"),
        (4, 1, 50.0, "qform"),
        (4, 2, 50.0, ""),
    ],
)
def test_the_codes_decide_which_form_is_the_patients(
    tmp_path: Path, sform_code: int, qform_code: int, apart_mm: float, position_of: str
) -> None:
    path = nifti(
        tmp_path / "heart.nii",
        sform=affine(),
        sform_code=sform_code,
        qform=moved(apart_mm),
        qform_code=qform_code,
    )
    if not position_of:
        assert f"disagree by {apart_mm:.3g} mm (limit 1)" in fault(path)
        return
    planes = read_volume(path).planes
    assert planes is not None
    expected = affine() if position_of == "sform" else moved(apart_mm)
    np.testing.assert_allclose(planes[0].position, expected[:3, 3] * _LPS, atol=1e-4)


def test_no_code_is_no_position(tmp_path: Path) -> None:
    path = nifti(tmp_path / "heart.nii", sform=affine(), sform_code=0)
    assert fault(path) == "qform_code and sform_code are 0: no position in the patient"


def sheared() -> Any:
    out = affine()
    out[:3, 0] += 0.1 * out[:3, 1]
    return out


def along(axis: int, length: float) -> Any:
    out = affine()
    out[:3, axis] *= length
    return out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sform": sheared()}, "the cosine between"),
        ({"sform": along(0, 0)}, "pixels along a row are 0 mm apart"),
        ({"sform": along(1, 0)}, "pixels along a column are 0 mm apart"),
        ({"sform": along(2, 0)}, "4 slices are 0 mm apart"),
        ({"sform": along(0, 1e4)}, "PixelSpacing"),
        ({"sform": affine(), "srow_y": [0, np.nan, 0, 0]}, "sform has a value that is not finite"),
        ({"sform": affine(), "srow_y": [0, np.inf, 0, 0]}, "sform has a value that is not finite"),
        ({"sform": affine(), "srow_y": [0, 3e38, 0, 0]}, "sform has a value that is not finite"),
        ({"sform": affine(), "srow_y": [0, 1, 0, 2e6]}, "out of the patient"),
        ({"qform": affine(), "pixdim": [1, np.nan, 1, 1, 1, 1, 1, 1]}, r"pixdim\[1..3\]"),
        ({"qform": affine(), "pixdim": [1, 0, 1, 1, 1, 1, 1, 1]}, r"pixdim\[1..3\]"),
        ({"qform": affine(), "pixdim": [1, 1, -1, 1, 1, 1, 1, 1]}, r"pixdim\[1..3\]"),
        ({"qform": affine(), "pixdim": [3, 1, 1, 1, 1, 1, 1, 1]}, r"pixdim\[0\] \(qfac\) is 3"),
        ({"qform": affine(), "pixdim": [np.nan, 1, 1, 1, 1, 1, 1, 1]}, "qfac"),
        ({"qform": affine(), "quatern_b": np.nan}, "quaternion"),
        ({"qform": affine(), "quatern_b": 3e38}, "quaternion"),
        ({"qform": affine(), "quatern_b": 1.5}, "a length of 1 at most"),
        ({"qform": affine(), "qoffset_x": np.nan}, "qform has a value that is not finite"),
    ],
)
def test_each_unusable_geometry_is_named_and_no_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: dict[str, Any], message: str
) -> None:
    path = nifti(tmp_path / "heart.nii", **options)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(fault(path))
    assert capfd.readouterr() == ("", "")


def test_a_signalling_nan_is_one_like_any_other(tmp_path: Path) -> None:
    signalling = np.frombuffer(bytes.fromhex("0000a07f"), "<f4")[0]
    values = np.full((1, 5, 7), 3, np.float32)
    values.view(np.uint32)[0, 0, 0] = 0x7FA00000
    path = nifti(tmp_path / "heart.nii", values, qform=affine())
    content = bytearray(path.read_bytes())
    for start, code in ((80, 254), (280, 254)):  # pixdim[1] beside the qform; srow_x
        changed = content.copy()
        changed[start : start + 4] = signalling.tobytes()
        changed[code : code + 2] = b"\1\0"
        path.write_bytes(changed)
        assert fault(path)
        assert read_volume(path).picture(0)[0, 0] == 3
        with pytest.raises(RefusedStack):
            reorient_volume(path, tmp_path / "p", Orientation.ROT90CW, NOTE, keep_geometry=True)


def test_a_slice_axis_off_the_normal_is_fine(tmp_path: Path) -> None:
    leaning = affine()
    leaning[:3, 2] += 0.4 * leaning[:3, 0]
    path = nifti(tmp_path / "heart.nii", sform=leaning)
    planes = read_volume(path).planes
    assert planes is not None
    np.testing.assert_allclose(
        np.subtract(planes[1].position, planes[0].position), leaning[:3, 2] * _LPS, atol=1e-5
    )


def test_a_flat_picture_may_have_no_thickness(tmp_path: Path) -> None:
    path = nifti(tmp_path / "heart.nii", voxels(SHAPE[2:]), qform=affine())
    nifti(path, voxels(SHAPE[2:]), qform=affine(), pixdim=[1, 1.25, 1.75, 0, 0, 0, 0, 0])
    assert read_volume(path).planes is not None
    assert reorient_volume(path, tmp_path / "part", Orientation.ROT90CW, NOTE) <= 0.01


@pytest.mark.parametrize("operation", Orientation)
def test_planes_turn_as_those_of_dicom_do(tmp_path: Path, operation: Orientation) -> None:
    path = nifti(tmp_path / "heart.nii", sform=affine(), qform=affine())
    target = tmp_path / "part.nii"
    reorient_volume(path, target, operation, NOTE)
    before, after = read_volume(path).planes, read_volume(target).planes
    assert before is not None
    assert after is not None
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new.corners, reorient(old, operation).corners, atol=1e-4)


angle = st.floats(-3.2, 3.2)
length = st.floats(0.3, 12.0)
offset = st.floats(-400.0, 400.0)


@settings(max_examples=150, deadline=None)
@given(
    turn=st.tuples(angle, angle, angle),
    spacing=st.tuples(length, length, length),
    offsets=st.tuples(offset, offset, offset),
    left_handed=st.booleans(),
    version=st.sampled_from([1, 2]),
    operation=st.sampled_from(list(Orientation)),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)),
)
def test_no_corner_moves_in_any_space(
    tmp_path_factory: pytest.TempPathFactory,
    turn: tuple[float, float, float],
    spacing: tuple[float, float, float],
    offsets: tuple[float, float, float],
    left_handed: bool,
    version: int,
    operation: Orientation,
    sizes: tuple[int, int, int],
) -> None:
    folder = tmp_path_factory.mktemp("volume")
    place = affine(turn, spacing, left_handed=left_handed)
    place[:3, 3] = offsets
    source = nifti(
        folder / "heart.nii", voxels(sizes, "float32"), version=version, sform=place, qform=place
    )
    target = folder / "part.nii"
    try:
        reorient_volume(source, target, operation, NOTE)
    except GeometryNotKept as refusal:
        # A quaternion of 32 bits, see nifti_forms; anything else is a failure.
        if version != 1 or "qform: voxels moved" not in str(refusal):
            raise
        assume(False)
    before: Any = nibabel.load(source)
    after: Any = nibabel.load(target)
    for form in ("get_sform", "get_qform"):
        old, new = (getattr(image, form)() @ corners(image.shape) for image in (before, after))
        distance = np.linalg.norm(old[:, :, None] - new[:, None, :], axis=0)
        assert distance.min(axis=0).max() < 0.01
        assert distance.min(axis=1).max() < 0.01
