from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, LegacyConvertedEnhancedMRImageStorage

from cmr_node.dicom.reading import parse
from cmr_node.errors import RefusedStack, UndecodablePixels, UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from tests.enhanced import enhanced_mr, item
from tests.outputs.making import derived, made
from tests.samples import mr, part10_bytes

MIRRORED = [operation for operation in Orientation if operation.chirality < 0]
ROTATED = [operation for operation in Orientation if operation.chirality > 0]
PHASE_TYPES = [
    ["ORIGINAL", "PRIMARY", "P", "ND"],
    ["ORIGINAL", "PRIMARY", "VELOCITY MAP", "P", "PCA"],
    ["ORIGINAL", "PRIMARY", "PHASE MAP"],
    ["DERIVED", "PRIMARY", "VELOCITY"],
    ["ORIGINAL", "PRIMARY", "P_SE"],
]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"SOPClassUID": CTImageStorage}, "SOP class"),
        ({"SOPClassUID": LegacyConvertedEnhancedMRImageStorage}, "SOP class"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}, "MOSAIC"),
        ({"TotalPixelMatrixColumns": 64}, "tiled"),
        ({"BurnedInAnnotation": "YES"}, "BurnedInAnnotation YES"),
        ({"BitsAllocated": 1}, "BitsAllocated 1"),
        ({"NumberOfFrames": 2}, "2 frames without functional groups"),
        ({"SharedFunctionalGroupsSequence": [Dataset()]}, "with functional groups"),
        ({"Manufacturer": "CMR Node", "ManufacturerModelName": "cmr-node"}, "this product"),
    ],
)
def test_what_must_not_be_turned_is_refused_by_name(
    attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RefusedStack, match=message):
        derived(mr(**attributes), Orientation.ROT90CW)


@pytest.mark.parametrize(
    "attributes",
    [
        {"ImageOrientationPatient": None},
        {"ImageOrientationPatient": ""},
        {"ImagePositionPatient": None},
        {"PixelSpacing": None},
        {"PixelSpacing": ["0", "1"]},
        {"ImageOrientationPatient": ["1", "0", "0", "0", "0.9", "0"]},
        {"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]},
        {"ImageOrientationPatient": ["1", "0", "0"]},
        {"ImageOrientationPatient": ["0", "0", "0", "0", "0", "0"]},
    ],
)
@pytest.mark.parametrize("operation", [Orientation.IDENTITY, Orientation.ROT90CW])
def test_an_image_without_a_plane_is_refused(
    attributes: dict[str, Any], operation: Orientation
) -> None:
    with pytest.raises(UnusableGeometry):
        derived(mr(**attributes), operation)


def test_a_number_that_is_none_is_refused_with_its_text() -> None:
    ds = mr(ImagePositionPatient=["1", "2", "333333"])
    source = parse(part10_bytes(ds).replace(b"333333", b"3x3333"))
    with pytest.raises(UnusableGeometry, match="'3x3333'"):
        made(source, Orientation.ROT90CW)


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(UndecodablePixels, match="no PixelData"):
        derived(mr(PixelData=None), Orientation.ROT90CW)


@pytest.mark.parametrize("image_type", PHASE_TYPES)
@pytest.mark.parametrize("operation", MIRRORED)
def test_a_phase_image_is_not_mirrored_unless_it_says_its_direction(
    image_type: list[str], operation: Orientation
) -> None:
    with pytest.raises(RefusedStack, match="VelocityEncodingDirection"):
        derived(mr(ImageType=image_type), operation)
    said = mr(ImageType=image_type, VelocityEncodingDirection=[0.0, 0.0, 1.0])
    assert derived(said, operation).VelocityEncodingDirection == [0, 0, 1]


@pytest.mark.parametrize("image_type", PHASE_TYPES)
@pytest.mark.parametrize("operation", ROTATED)
def test_a_phase_image_may_be_rotated(image_type: list[str], operation: Orientation) -> None:
    assert derived(mr(ImageType=image_type), operation).ImageType[2:] == image_type[2:]


@pytest.mark.parametrize(
    "image_type", [["ORIGINAL", "PRIMARY", "M", "ND"], ["ORIGINAL", "PRIMARY", "MPR"]]
)
def test_a_magnitude_image_may_be_mirrored(image_type: list[str]) -> None:
    assert derived(mr(ImageType=image_type), Orientation.FLIP_LR).ImageType[0] == "DERIVED"


def test_an_enhanced_phase_image_is_known_by_its_frames() -> None:
    ds = enhanced_mr()
    shared = ds.SharedFunctionalGroupsSequence[0]
    shared.MRImageFrameTypeSequence[0].ComplexImageComponent = "PHASE"
    with pytest.raises(RefusedStack, match="VelocityEncodingDirection"):
        derived(ds, Orientation.FLIP_LR)
    shared.MRVelocityEncodingSequence = [item(VelocityEncodingDirection=[0.0, 0.0, 1.0])]
    assert derived(ds, Orientation.FLIP_LR).ImageType[0] == "DERIVED"


@pytest.mark.parametrize("frames", [None, 5, 7])
def test_an_enhanced_image_whose_groups_do_not_match_its_frames_is_refused(
    frames: int | None,
) -> None:
    with pytest.raises(RefusedStack, match="6 per-frame functional groups"):
        derived(enhanced_mr(NumberOfFrames=frames), Orientation.ROT90CW)
