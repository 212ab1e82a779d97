"""Images whose pixels alone are turned: what changes, what stays, and what they say of it."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cmr_node.dicom.raw import raw_bytes
from cmr_node.dicom.reading import parse, read
from cmr_node.dicom.words import stored_words
from cmr_node.errors import RefusedStack, UndecodablePixels
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.corrected import correct_instance
from cmr_node.outputs.corrected_proof import prove_correction
from cmr_node.outputs.uids import Producer
from tests.enhanced import enhanced_mr, item
from tests.outputs.making import PRODUCER, corrected, made, stored
from tests.outputs.test_overlays import painted, with_overlay
from tests.samples import mr, part10_bytes

ROTATED = Orientation.ROT90CW
MIRRORED = [operation for operation in Orientation if operation.chirality < 0]
SQUARE = ["1.5", "1.50"]
PLANE: dict[str, Any] = {
    "PixelSpacing": SQUARE,
    "PatientOrientation": ["PLF", "HPL"],
    "AcquisitionMatrix": [0, 256, 208, 0],
    "InPlanePhaseEncodingDirection": "ROW",
    "PixelAspectRatio": ["1", "1"],
    "TagAngleFirstAxis": 30.0,
    "TagAngleSecondAxis": 120,
}
PHASE = ["ORIGINAL", "PRIMARY", "P", "ND"]


def square_mr(**attributes: Any) -> FileDataset:
    """A sample whose rows and columns are spaced alike, so that any operation is allowed."""
    return mr(**{"PixelSpacing": SQUARE, **attributes})


def square_enhanced(**attributes: Any) -> FileDataset:
    ds = enhanced_mr(**attributes)
    ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = SQUARE
    return ds


def proved(ds: Dataset, operation: Orientation) -> Any:
    """The corrected instance of a sample, proved and read back."""
    source = stored(ds)
    out = corrected(source, operation)
    prove_correction(out, source, operation)
    return parse(out)


@pytest.mark.parametrize("operation", Orientation)
def test_the_pixels_are_turned_and_the_plane_keeps_its_bytes(operation: Orientation) -> None:
    ds = mr(**PLANE)
    source, turned = stored(ds), proved(ds, operation)
    assert np.array_equal(turned.pixel_array, operation.apply(ds.pixel_array))
    assert (turned.Rows, turned.Columns) == operation.turned_shape((24, 32))
    for keyword in (*PLANE, "ImageOrientationPatient", "ImagePositionPatient", "SliceLocation"):
        assert raw_bytes(turned, keyword) == raw_bytes(source, keyword), keyword


@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize(
    "attributes",
    [
        {"ImageOrientationPatient": None},
        {"ImageOrientationPatient": None, "ImagePositionPatient": None, "PixelSpacing": None},
        {"ImageOrientationPatient": "", "ImagePositionPatient": ""},
        {"ImageOrientationPatient": ["0"] * 6, "ImagePositionPatient": ["0"] * 3},
        {"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]},
        {"ImageOrientationPatient": ["1", "0", "0"]},
        {"PixelSpacing": ["0", "0"]},
    ],
)
def test_an_image_without_a_plane_is_corrected_and_gets_none(
    attributes: dict[str, Any], operation: Orientation
) -> None:
    source, turned = stored(square_mr(**attributes)), proved(square_mr(**attributes), operation)
    for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"):
        assert (keyword in turned) == (keyword in source)
        assert raw_bytes(turned, keyword) == raw_bytes(source, keyword)


@pytest.mark.parametrize(
    "attributes",
    [
        {"PixelSpacing": ["1.25", "1.5"]},
        {"PixelSpacing": ["1.5", ""]},
        {"ImagerPixelSpacing": ["1", "2"]},
        {"PixelAspectRatio": ["2", "3"], "PixelSpacing": None},
    ],
)
def test_rows_and_columns_spaced_unequally_are_not_exchanged(attributes: dict[str, Any]) -> None:
    for operation in Orientation:
        if operation.transposes:
            with pytest.raises(RefusedStack, match="which spacing belongs to which axis"):
                corrected(stored(square_mr(**attributes)), operation)
        else:
            proved(square_mr(**attributes), operation)


@pytest.mark.parametrize("per_frame", [False, True])
def test_nor_are_those_of_any_frame(per_frame: bool) -> None:
    source = stored(enhanced_mr(pixel_measures_per_frame=per_frame))
    with pytest.raises(RefusedStack, match=r"PixelSpacing 1.25 and 1.5 would have to be exchanged"):
        corrected(source, ROTATED)
    proved(enhanced_mr(pixel_measures_per_frame=per_frame), Orientation.ROT180)


@pytest.mark.parametrize("operation", Orientation)
def test_every_frame_is_turned_and_its_plane_stays(operation: Orientation) -> None:
    ds = square_enhanced()
    turned = proved(ds, operation)
    assert np.array_equal(stored_words(turned), operation.apply(stored_words(ds)))
    shared, frames = turned.SharedFunctionalGroupsSequence[0], turned[0x52009230].value
    for sequence in ("PlaneOrientationSequence", "PixelMeasuresSequence", "MRFOVGeometrySequence"):
        assert shared[sequence].value[0] == ds.SharedFunctionalGroupsSequence[0][sequence].value[0]
    for mine, its in zip(frames, ds.PerFrameFunctionalGroupsSequence, strict=True):
        assert mine.PlanePositionSequence[0] == its.PlanePositionSequence[0]
        assert mine.FrameContentSequence[0] == its.FrameContentSequence[0]


def test_frames_without_planes_are_corrected_and_get_none() -> None:
    ds = square_enhanced()
    del ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    for frame in ds.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence
    turned = proved(ds, ROTATED)
    assert "PlaneOrientationSequence" not in turned.SharedFunctionalGroupsSequence[0]
    assert not any("PlanePositionSequence" in f for f in turned.PerFrameFunctionalGroupsSequence)


@pytest.mark.parametrize("operation", Orientation)
def test_overlays_and_embedded_bits_stay_on_their_pixels(operation: Orientation) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (5, 7)).astype(np.uint8)
    ds = with_overlay(bits, origin=(3, 9))
    words = np.arange(24 * 32, dtype=np.uint16) | (np.arange(24 * 32) % 5 == 0) * np.uint16(0x8000)
    ds.PixelSpacing, ds.PixelData = SQUARE, words.tobytes()
    turned = proved(ds, operation)
    assert np.array_equal(painted(turned), operation.apply(painted(ds)))
    assert np.array_equal(stored_words(turned)[0], operation.apply(words.reshape(24, 32)))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_encoding_of_an_uncompressed_source_is_kept(syntax: str) -> None:
    turned = proved(square_mr(transfer_syntax=syntax), ROTATED)
    assert turned.file_meta.TransferSyntaxUID == syntax


@pytest.mark.skipif(shutil.which("dcmcrle") is None, reason="DCMTK is missing")
@pytest.mark.parametrize("program", ["dcmcrle", "dcmcjpls", "dcmcjpeg", "dcmconv +tb"])
def test_any_other_source_becomes_explicit_little_endian_with_the_same_pixels(
    tmp_path: Path, program: str
) -> None:
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    plain.write_bytes(part10_bytes(square_mr()))
    subprocess.run([*program.split(), str(plain), str(packed)], check=True, timeout=60)
    out = corrected(read(packed), ROTATED)
    prove_correction(out, read(plain), ROTATED)  # against the uncompressed original
    assert parse(out).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


@pytest.mark.parametrize("make", [square_mr, square_enhanced])
@pytest.mark.parametrize("operation", Orientation)
def test_the_same_work_gives_the_same_bytes(make: Any, operation: Orientation) -> None:
    first = corrected(stored(make()), operation)
    used = stored(make())
    before = part10_bytes(used)
    used.walk(lambda ds, element: None)  # a reader in between decodes every element
    assert corrected(used, operation) == first == corrected(stored(make()), operation)
    prove_correction(first, used, operation)
    assert part10_bytes(used) == before


@pytest.mark.parametrize("operation", Orientation)
def test_it_stands_beside_what_re_orientation_makes(operation: Orientation) -> None:
    source = stored(square_mr())
    one, other = parse(corrected(source, operation)), parse(made(source, operation))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription"):
        assert len({str(ds[keyword].value) for ds in (one, other, source)}) == 3, keyword


def test_another_operation_or_producer_makes_another_instance() -> None:
    source = stored(square_mr())
    copies = [correct_instance(source, operation, PRODUCER) for operation in Orientation]
    copies.append(correct_instance(source, ROTATED, Producer("node-2", "HOST1")))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert len({ds[keyword].value for ds in copies}) == 9


def test_slices_of_one_frame_of_reference_share_a_new_one() -> None:
    new = {
        proved(square_mr(slice_number=n, series=series), operation).FrameOfReferenceUID
        for n, series in enumerate("aab")
        for operation in (ROTATED, Orientation.FLIP_LR)
    }
    assert len(new) == 1
    assert mr().FrameOfReferenceUID not in new
    assert proved(square_mr(study="other"), ROTATED).FrameOfReferenceUID not in new


@pytest.mark.parametrize("value", [None, ""])
def test_where_the_source_has_no_frame_of_reference_none_is_invented(value: str | None) -> None:
    assert not proved(square_mr(FrameOfReferenceUID=value), ROTATED).get("FrameOfReferenceUID")


@pytest.mark.parametrize("operation", Orientation)
def test_the_image_says_in_words_and_codes_that_its_geometry_is_not_vouched_for(
    operation: Orientation,
) -> None:
    turned = proved(square_mr(), operation)
    assert turned.DerivationDescription.startswith(
        f"In-plane correction {operation.value} of the pixels alone"
    )
    assert "PATIENT GEOMETRY IS NOT VOUCHED FOR" in turned.DerivationDescription
    assert len(turned.DerivationDescription) <= 1024
    assert "PATIENT GEOMETRY IS NOT VOUCHED FOR" in turned.ImageComments
    assert turned.SeriesDescription == f"GEOMETRY NOT VOUCHED FOR, {operation.value} / cine sax"
    assert turned.SeriesNumber == 3010
    assert turned.DerivationCodeSequence[0].CodeValue == "CORRECT_PIXELS"
    assert turned.DerivationCodeSequence[0].CodingSchemeDesignator == "99CMRNODE"
    (reference,) = turned.SourceImageSequence
    assert reference.SpatialLocationsPreserved == "NO"
    assert "PatientOrientation" not in reference
    node = turned.ContributingEquipmentSequence[-1]
    assert "patient geometry not vouched for" in node.ContributionDescription


def test_a_frame_s_derivation_says_so_too() -> None:
    turned = proved(square_enhanced(), ROTATED)
    (step,) = turned.SharedFunctionalGroupsSequence[0].DerivationImageSequence
    assert "PATIENT GEOMETRY IS NOT VOUCHED FOR" in step.DerivationDescription
    assert step.SourceImageSequence[0].SpatialLocationsPreserved == "NO"
    assert "PATIENT GEOMETRY IS NOT VOUCHED FOR" in turned.ImageComments


@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize("make", [square_mr, square_enhanced])
def test_it_never_claims_that_locations_are_kept(make: Any, operation: Orientation) -> None:
    history = item(SpatialLocationsPreserved="REORIENTED_ONLY", PatientOrientation=["L", "P"])
    ds = make()
    if "SharedFunctionalGroupsSequence" in ds:
        for frame in ds.PerFrameFunctionalGroupsSequence:
            frame.DerivationImageSequence = [item(SourceImageSequence=[history])]
    else:
        ds.SourceImageSequence = [history]
    source = stored(ds)
    assert b"REORIENTED_ONLY" in part10_bytes(source)
    assert b"REORIENTED_ONLY" not in corrected(source, operation)


def test_a_comment_of_the_source_keeps_its_bytes() -> None:
    ds = square_mr(ImageComments="breathing artefact  x")
    assert raw_bytes(proved(ds, ROTATED), "ImageComments") == b"breathing artefact  x"
    assert "NOT VOUCHED" in proved(square_mr(ImageComments="  "), ROTATED).ImageComments


def test_a_long_series_description_is_cut_to_64_characters() -> None:
    ds = square_mr(SeriesDescription="x" * 64)
    text = proved(ds, Orientation.ANTITRANSPOSE).SeriesDescription
    assert text == "GEOMETRY NOT VOUCHED FOR, antitranspose / " + "x" * 22


def test_private_elements_go_and_what_is_no_plane_stays() -> None:
    ds = square_mr(RescaleSlope="2.0", TriggerTime="30.5", SliceLocation="-12.5")
    ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", b"ab")
    turned = proved(ds, ROTATED)
    assert not [element for element in turned.iterall() if element.tag.is_private]
    for keyword in ("RescaleSlope", "TriggerTime", "SliceLocation", "PatientPosition"):
        assert turned[keyword].value == ds[keyword].value


@pytest.mark.parametrize("direction", [None, [0.0, 0.0, 1.0]])
@pytest.mark.parametrize("operation", Orientation)
def test_a_phase_image_is_rotated_but_not_mirrored_even_if_it_says_its_direction(
    direction: list[float] | None, operation: Orientation
) -> None:
    ds = square_mr(ImageType=PHASE)
    if direction:
        ds.VelocityEncodingDirection = direction
    if operation in MIRRORED:
        with pytest.raises(RefusedStack, match="phase image would be mirrored"):
            corrected(stored(ds), operation)
    else:
        assert proved(ds, operation).ImageType[2:] == PHASE[2:]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "MOSAIC"),
        ({"BurnedInAnnotation": "YES"}, "BurnedInAnnotation YES"),
        ({"NumberOfFrames": 2}, "2 frames without functional groups"),
        ({"Manufacturer": "CMR Node", "ManufacturerModelName": "cmr-node"}, "this product"),
    ],
)
def test_what_must_not_be_turned_is_refused_by_name(
    attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RefusedStack, match=message):
        corrected(stored(square_mr(**attributes)), ROTATED)


def test_its_own_product_is_not_corrected_again() -> None:
    turned = parse(corrected(stored(square_mr()), ROTATED))
    for again in (corrected, made):
        with pytest.raises(RefusedStack, match="this product"):
            again(turned, ROTATED)


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(UndecodablePixels, match="no PixelData"):
        corrected(stored(square_mr(PixelData=None)), ROTATED)
