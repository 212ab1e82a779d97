"""Corrected images with one fault each, and damaged sources."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset

from cmr_node.dicom.reading import parse
from cmr_node.errors import BadInstance, GeometryNotKept, RefusedStack
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.corrected_proof import prove_correction
from tests.enhanced import enhanced_mr
from tests.outputs.making import corrected, made, stored
from tests.outputs.test_damage import DAMAGE, damaged
from tests.outputs.test_proof import altered, noise, setting
from tests.samples import mr, part10_bytes

OPERATION = Orientation.ROT90CW
CORNERS = {  # of [[1, 2], [3, 4]]: Zhang & Zhuang 2020, Table 1, Image column
    Orientation.IDENTITY: [1, 2, 3, 4],
    Orientation.FLIP_LR: [2, 1, 4, 3],
    Orientation.FLIP_UD: [3, 4, 1, 2],
    Orientation.ROT180: [4, 3, 2, 1],
    Orientation.TRANSPOSE: [1, 3, 2, 4],
    Orientation.ROT90CW: [3, 1, 4, 2],
    Orientation.ROT90CCW: [2, 4, 1, 3],
    Orientation.ANTITRANSPOSE: [4, 2, 3, 1],
}


WHOLE = [
    part10_bytes(mr(rows=6, columns=7, PixelSpacing=["1", "1"])),
    part10_bytes(mr(rows=6, columns=7, ImageOrientationPatient=None, FrameOfReferenceUID=None)),
    part10_bytes(enhanced_mr(rows=4, columns=5, slices=1, phases=2)),
]


@pytest.mark.parametrize("operation", Orientation)
def test_the_picture_of_each_operation_is_that_of_the_paper(operation: Orientation) -> None:
    words = np.array([1, 2, 3, 4], np.uint16)
    source = stored(mr(rows=2, columns=2, PixelSpacing=["1", "1"], PixelData=words.tobytes()))
    out = corrected(source, operation)
    prove_correction(out, source, operation)
    assert parse(out).pixel_array.ravel().tolist() == CORNERS[operation]


@pytest.mark.parametrize("made_by", Orientation)
def test_pixels_turned_by_another_operation_are_found(made_by: Orientation) -> None:
    source = stored(noise())
    out = corrected(source, made_by)
    for operation in Orientation:
        if operation != made_by:
            with pytest.raises(GeometryNotKept, match="values are not where they should be"):
                prove_correction(out, source, operation)


@pytest.mark.parametrize(("at", "bit"), [(-100, 1), (-1, 0x80)])
def test_one_changed_value_is_found_above_the_bits_stored_too(at: int, bit: int) -> None:
    source = stored(noise())
    out = bytearray(corrected(source, OPERATION))
    out[at] ^= bit
    with pytest.raises(GeometryNotKept, match="frame 1: 1 of 576 values"):
        prove_correction(bytes(out), source, OPERATION)


def test_a_re_oriented_image_is_no_corrected_one() -> None:
    source = stored(noise())
    with pytest.raises(GeometryNotKept, match="ImageOrientationPatient is not that of the source"):
        prove_correction(made(source, OPERATION), source, OPERATION)
    with pytest.raises(GeometryNotKept, match="FrameOfReferenceUID is that of the source"):
        prove_correction(made(source, Orientation.IDENTITY), source, Orientation.IDENTITY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setting(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"]), "ImageOrientationPat"),
        (setting(ImagePositionPatient=["1", "2", "3"]), "ImagePositionPatient is not that of"),
        (lambda ds: delattr(ds, "ImagePositionPatient"), "ImagePositionPatient is not that of"),
        (setting(PixelSpacing=["1.5", "1.50"]), "PixelSpacing is not that of the source"),
        (setting(PatientOrientation=["L", "P"]), "PatientOrientation is not that of the source"),
        (setting(AcquisitionMatrix=[24, 0, 0, 24]), "AcquisitionMatrix is not that of"),
        (setting(InPlanePhaseEncodingDirection="ROW"), "InPlanePhaseEncodingDirection is not"),
        (setting(TagAngleFirstAxis=30.0), "TagAngleFirstAxis is not that of the source"),
        (setting(FrameOfReferenceUID="SOURCE"), "FrameOfReferenceUID is that of the source"),
        (setting(FrameOfReferenceUID=""), "FrameOfReferenceUID is that of the source, lost"),
        (setting(DerivationDescription="turned"), "does not say"),
        (lambda ds: delattr(ds, "DerivationDescription"), "does not say"),
        (
            lambda ds: setting(SpatialLocationsPreserved="REORIENTED_ONLY")(
                ds.SourceImageSequence[0]
            ),
            "REORIENTED_ONLY.*allowed: NO",
        ),
        (lambda ds: delattr(ds, "SourceImageSequence"), "allowed: NO"),
        (lambda ds: delattr(ds, "PixelData"), "cannot be read back"),
        (setting(Rows=18, Columns=32), r"\(1, 18, 32\) words; the source makes \(1, 24, 24\)"),
        (setting(SOPInstanceUID="SOURCE"), "SOPInstanceUID is that of the source"),
        (setting(SeriesInstanceUID="SOURCE"), "SeriesInstanceUID is that of the source"),
        (setting(PatientID="X"), "PatientID is not that of the source"),
        (setting(PixelRepresentation=1), "PixelRepresentation is not that of the source"),
        (setting(ImageType=["ORIGINAL", "PRIMARY"]), "DERIVED first"),
    ],
)
def test_each_other_fault_is_named(change: Callable[[FileDataset], object], message: str) -> None:
    source = stored(noise())

    def applied(ds: FileDataset) -> None:
        change(ds)
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            if ds[keyword].value == "SOURCE":
                ds[keyword].value = source[keyword].value

    with pytest.raises(GeometryNotKept, match=message) as caught:
        prove_correction(altered(corrected(source, OPERATION), applied), source, OPERATION)
    assert "CANARY" not in str(caught.value)


def test_a_plane_or_a_space_that_the_source_does_not_have_is_found() -> None:
    source = stored(mr(ImagePositionPatient=None, FrameOfReferenceUID=None))
    out = corrected(source, Orientation.FLIP_LR)
    for invented, message in (
        ({"ImagePositionPatient": ["1", "2", "3"]}, "ImagePositionPatient is not that of"),
        ({"FrameOfReferenceUID": "1.2.3"}, "invented"),
    ):
        with pytest.raises(GeometryNotKept, match=message):
            prove_correction(altered(out, setting(**invented)), source, Orientation.FLIP_LR)


def exchanged(ds: FileDataset) -> None:
    frames = ds.PerFrameFunctionalGroupsSequence
    frames[0], frames[3] = frames[3], frames[0]


def plane_of_its_own(ds: FileDataset) -> None:
    shared, *_ = ds.SharedFunctionalGroupsSequence
    ds.PerFrameFunctionalGroupsSequence[
        2
    ].PlaneOrientationSequence = shared.PlaneOrientationSequence


def angle_turned(ds: FileDataset) -> None:
    shared, *_ = ds.SharedFunctionalGroupsSequence
    shared.MRImagingModifierSequence[0].TagAngleFirstAxis = 31.0


def claim_in_a_frame(ds: FileDataset) -> None:
    shared, *_ = ds.SharedFunctionalGroupsSequence
    frame = ds.PerFrameFunctionalGroupsSequence[1]
    frame.DerivationImageSequence = shared.DerivationImageSequence
    shared.DerivationImageSequence[0].SourceImageSequence[0].SpatialLocationsPreserved = "YES"


def frame_lost(ds: FileDataset) -> None:
    ds.PerFrameFunctionalGroupsSequence.pop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (exchanged, r"Sequence\[1\].PlanePositionSequence\[1\].ImagePositionPatient is not"),
        (plane_of_its_own, r"Sequence\[3\].PlaneOrientationSequence\[1\].ImageOrientation"),
        (angle_turned, r"Shared.*MRImagingModifierSequence\[1\].TagAngleFirstAxis is not"),
        (frame_lost, r"Sequence\[6\].PlanePositionSequence\[1\].ImagePositionPatient is not"),
        (claim_in_a_frame, "YES.*allowed: NO"),
    ],
)
def test_a_fault_in_any_frame_is_found(change: Callable[[FileDataset], None], message: str) -> None:
    source = stored(enhanced_mr())
    out = corrected(source, Orientation.ROT180)
    with pytest.raises(GeometryNotKept, match=message):
        prove_correction(altered(out, change), source, Orientation.ROT180)


def test_cut_bytes_are_no_proof() -> None:
    source = stored(noise())
    with pytest.raises(GeometryNotKept, match="cannot be read back"):
        prove_correction(corrected(source, OPERATION)[:-6], source, OPERATION)


def test_the_source_is_read_without_decoding_its_text() -> None:
    source = stored(noise())
    prove_correction(corrected(source, OPERATION), source, OPERATION)
    assert source.get_item("PatientName").is_raw


@pytest.mark.filterwarnings("ignore")  # a damaged value may draw pydicom's; none may escape ours
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(WHOLE), DAMAGE, st.sampled_from(list(Orientation)))
def test_damaged_bytes_give_a_proved_instance_or_an_error_of_ours(
    whole: bytes, damage: list[tuple[float, int, bytes]], operation: Orientation
) -> None:
    try:
        source = parse(damaged(whole, damage))
        out = corrected(source, operation)
    except (BadInstance, RefusedStack):
        return
    prove_correction(out, source, operation)
