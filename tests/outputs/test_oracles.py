"""The derived images as other readers of the Standard understand them."""

from pathlib import Path

import highdicom
import numpy as np
import pytest
import SimpleITK

from cmr_node.geometry.orientation import Orientation
from tests.enhanced import enhanced_mr
from tests.outputs.making import derived, made, stored
from tests.samples import mr, part10_bytes


@pytest.mark.parametrize("operation", Orientation)
def test_highdicom_finds_the_same_volume_in_the_patient(operation: Orientation) -> None:
    slices = [mr(slice_number=k) for k in range(4)]
    for ds in slices:
        ds.PixelData = (ds.pixel_array + 700 * (ds.InstanceNumber // 2)).astype(np.uint16).tobytes()
    source = highdicom.get_volume_from_series([stored(ds) for ds in slices])
    turned = highdicom.get_volume_from_series([derived(ds, operation) for ds in slices])
    back = turned.match_geometry(source, tol=1e-9)
    assert np.array_equal(back.array, source.array)
    np.testing.assert_allclose(back.affine, source.affine, atol=1e-9)


@pytest.mark.parametrize("operation", Orientation)
def test_highdicom_finds_the_same_volume_in_an_enhanced_image(operation: Orientation) -> None:
    ds = enhanced_mr(slices=3, phases=1)
    source = highdicom.Image.from_dataset(stored(ds)).get_volume()
    turned = highdicom.Image.from_dataset(derived(ds, operation)).get_volume()
    back = turned.match_geometry(source, tol=1e-9)
    assert np.array_equal(back.array, source.array)
    np.testing.assert_allclose(back.affine, source.affine, atol=1e-9)


@pytest.mark.parametrize("operation", Orientation)
def test_itk_finds_every_value_at_the_same_point(operation: Orientation, tmp_path: Path) -> None:
    paths = tmp_path / "source.dcm", tmp_path / "derived.dcm"
    paths[0].write_bytes(part10_bytes(mr()))
    paths[1].write_bytes(made(stored(mr()), operation))
    points = []
    for path in paths:
        image = SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO")
        found = np.empty((24 * 32, 3))
        for column in range(image.GetWidth()):
            for row in range(image.GetHeight()):
                index = (column, row, 0)
                found[image[index]] = image.TransformIndexToPhysicalPoint(index)
        points.append(found)
    np.testing.assert_allclose(points[1], points[0], atol=1e-6)
