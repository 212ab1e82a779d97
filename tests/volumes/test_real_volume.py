"""A real cine beside the checkout, converted by dcm2niix, against its DICOM headers."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane, reorient
from cmr_node.volumes.files import read_volume, reorient_volume
from tests.geometry.real_slices import DATA, needs_data
from tests.volumes.making import NOTE

SERIES = DATA / "sunnybrook-cine/SC-HF-I-01/sax"
needs_dcm2niix = pytest.mark.skipif(not shutil.which("dcm2niix"), reason="dcm2niix is absent")


@needs_data
@needs_dcm2niix
def test_planes_agree_with_the_dicom_headers(tmp_path: Path) -> None:
    """dcm2niix reverses the rows; its phases are in the order of the instances."""
    subprocess.run(
        ["dcm2niix", "-b", "n", "-z", "y", "-f", "cine", "-o", tmp_path, SERIES],
        check=True,
        capture_output=True,
    )
    volume = read_volume(tmp_path / "cine.nii.gz")
    assert volume.planes is not None
    planes = [reorient(plane, Orientation.FLIP_UD) for plane in volume.planes]
    seen = np.zeros(volume.voxels.shape[:2], int)
    for path in SERIES.iterdir():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the files' own errors, see the data's README
            ds = pydicom.dcmread(path)
            stored = ds.pixel_array
        plane = Plane.from_dicom(
            ds.ImageOrientationPatient,
            ds.ImagePositionPatient,
            ds.PixelSpacing,
            ds.Rows,
            ds.Columns,
        )
        apart = [np.abs(found.corners - plane.corners).max() for found in planes]
        k = int(np.argmin(apart))
        assert apart[k] < 0.01
        same = [np.array_equal(phase[k, ::-1], stored) for phase in volume.voxels]
        assert any(same)
        seen[:, k] += same
    assert (seen == 1).all()
    part = tmp_path / "part.nii.gz"
    assert reorient_volume(tmp_path / "cine.nii.gz", part, Orientation.FLIP_UD, NOTE) <= 0.01
    turned = read_volume(part)
    assert turned.planes is not None
    for new, plane in zip(turned.planes, planes, strict=True):
        np.testing.assert_allclose(new.corners, plane.corners, atol=0.01)
