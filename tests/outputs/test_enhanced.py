from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cmr_node.dicom.words import stored_words
from cmr_node.errors import RefusedStack, UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.proof import prove
from tests.enhanced import enhanced_mr, item
from tests.outputs.making import derived, made, stored
from tests.samples import uid

ROTATED = Orientation.ROT90CW
OTHER_IOP = ["1", "0", "0", "0", "1", "0"]


def frame_places(ds: Dataset, frame: int) -> dict[int, Any]:
    """Pixel value -> patient position, worked out here, of one frame."""
    shared, own = ds.SharedFunctionalGroupsSequence[0], ds.PerFrameFunctionalGroupsSequence[frame]

    def macro(sequence: str) -> Dataset:
        return (own if sequence in own else shared)[sequence].value[0]

    iop = np.array(macro("PlaneOrientationSequence").ImageOrientationPatient, float)
    start = np.array(macro("PlanePositionSequence").ImagePositionPatient, float)
    between_rows, between_columns = map(float, macro("PixelMeasuresSequence").PixelSpacing)
    words = stored_words(ds)[frame]
    return {
        int(words[r, c]): start + r * between_rows * iop[3:] + c * between_columns * iop[:3]
        for r, c in np.ndindex(words.shape)
    }


@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize("per_frame", [False, True])
def test_every_value_of_every_frame_keeps_its_place(
    operation: Orientation, per_frame: bool
) -> None:
    source = stored(enhanced_mr(pixel_measures_per_frame=per_frame))
    turned = derived(enhanced_mr(pixel_measures_per_frame=per_frame), operation)
    assert stored_words(turned).shape[1:] == operation.turned_shape((20, 28))
    for frame in range(6):
        before, after = frame_places(source, frame), frame_places(turned, frame)
        assert before.keys() == after.keys()
        assert max(np.linalg.norm(before[v] - after[v]) for v in before) < 1e-9


@pytest.mark.parametrize("operation", Orientation)
def test_the_same_work_gives_the_same_bytes_and_they_prove_right(operation: Orientation) -> None:
    source = stored(enhanced_mr())
    out = made(source, operation)
    assert out == made(stored(enhanced_mr()), operation)
    assert prove(out, source) < 1e-9


def test_frames_with_planes_of_their_own_are_turned_each_by_its_own() -> None:
    ds = enhanced_mr()
    shared, frames = ds.SharedFunctionalGroupsSequence[0], ds.PerFrameFunctionalGroupsSequence
    common = shared.PlaneOrientationSequence
    del shared.PlaneOrientationSequence
    for number, frame in enumerate(frames):
        own = deepcopy(common[0])
        if number >= 3:
            own.ImageOrientationPatient = OTHER_IOP
        frame.PlaneOrientationSequence = [own]
    source = stored(ds)
    assert prove(made(source, ROTATED), source) < 1e-9
    reference = derived(ds, ROTATED).SharedFunctionalGroupsSequence[0].DerivationImageSequence[0]
    assert "PatientOrientation" not in reference.SourceImageSequence[0]


def test_a_frame_s_own_plane_outweighs_the_shared_one() -> None:
    ds = enhanced_mr()
    own = item(ImageOrientationPatient=OTHER_IOP)
    ds.PerFrameFunctionalGroupsSequence[0].PlaneOrientationSequence = [own]
    source = stored(ds)
    assert prove(made(source, ROTATED), source) < 1e-9
    frames = derived(ds, ROTATED).PerFrameFunctionalGroupsSequence
    assert frames[0].PlaneOrientationSequence[0].ImageOrientationPatient == [0, -1, 0, 1, 0, 0]


def test_a_shared_position_that_would_need_two_values_is_refused() -> None:
    ds = enhanced_mr()
    position = item(ImagePositionPatient=["1", "2", "3"])
    ds.SharedFunctionalGroupsSequence[0].PlanePositionSequence = [position]
    for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        del frame.PlanePositionSequence
        if number:
            continue
        frame.PlaneOrientationSequence = [item(ImageOrientationPatient=OTHER_IOP)]
    with pytest.raises(RefusedStack, match="its own PlanePositionSequence, which is shared"):
        derived(ds, ROTATED)


def test_a_shared_position_is_turned_once_for_all_frames() -> None:
    ds = enhanced_mr(slices=1)
    positions = ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence
    for frame in ds.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence
    ds.SharedFunctionalGroupsSequence[0].PlanePositionSequence = positions
    source = stored(ds)
    assert prove(made(source, Orientation.ROT180), source) < 1e-9


@pytest.mark.parametrize(
    ("sequence", "keyword"),
    [
        ("PlaneOrientationSequence", "ImageOrientationPatient"),
        ("PixelMeasuresSequence", "PixelSpacing"),
    ],
)
def test_a_frame_without_a_whole_plane_is_refused(sequence: str, keyword: str) -> None:
    ds = enhanced_mr()
    delattr(ds.SharedFunctionalGroupsSequence[0], sequence)
    with pytest.raises(UnusableGeometry, match=f"frame 1 has no {keyword}"):
        derived(ds, ROTATED)


def test_in_plane_attributes_of_the_groups_are_turned_once() -> None:
    shared = derived(enhanced_mr(), ROTATED).SharedFunctionalGroupsSequence[0]
    assert shared.MRFOVGeometrySequence[0].InPlanePhaseEncodingDirection == "ROW"
    tags = shared.MRImagingModifierSequence[0]
    assert (tags.TagAngleFirstAxis, tags.TagAngleSecondAxis) == (120.0, 30)
    assert shared.MRFOVGeometrySequence[0].MRAcquisitionFrequencyEncodingSteps == 28
    mirrored = derived(enhanced_mr(), Orientation.FLIP_LR).SharedFunctionalGroupsSequence[0]
    assert mirrored.MRFOVGeometrySequence[0].InPlanePhaseEncodingDirection == "COLUMN"
    assert mirrored.MRImagingModifierSequence[0].TagAngleSecondAxis == 60


def test_a_direction_that_is_neither_row_nor_column_stays() -> None:
    ds = enhanced_mr()
    geometry = ds.SharedFunctionalGroupsSequence[0].MRFOVGeometrySequence[0]
    geometry.InPlanePhaseEncodingDirection = "OTHER"
    shared = derived(ds, ROTATED).SharedFunctionalGroupsSequence[0]
    assert shared.MRFOVGeometrySequence[0].InPlanePhaseEncodingDirection == "OTHER"


def test_frames_are_neither_renumbered_nor_reordered() -> None:
    source, turned = enhanced_mr(), derived(enhanced_mr(), Orientation.FLIP_LR)
    for before, after in zip(
        source.PerFrameFunctionalGroupsSequence,
        turned.PerFrameFunctionalGroupsSequence,
        strict=True,
    ):
        assert after.FrameContentSequence == before.FrameContentSequence
        assert after.CardiacSynchronizationSequence == before.CardiacSynchronizationSequence
    assert turned.DimensionIndexSequence == source.DimensionIndexSequence


def test_the_derivation_is_told_where_enhanced_images_tell_it() -> None:
    ds = enhanced_mr()
    ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence = [Dataset()]
    turned = derived(ds, ROTATED)
    assert turned.ImageType == ["DERIVED", "PRIMARY", "CINE", "NONE"]
    shared = turned.SharedFunctionalGroupsSequence[0]
    assert shared.MRImageFrameTypeSequence[0].FrameType == ["DERIVED", "PRIMARY", "CINE", "NONE"]
    (derivation,) = shared.DerivationImageSequence
    assert "DerivationImageSequence" not in turned.PerFrameFunctionalGroupsSequence[0]
    assert "no interpolation" in derivation.DerivationDescription
    (reference,) = derivation.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == ds.SOPInstanceUID
    assert reference.SpatialLocationsPreserved == "REORIENTED_ONLY"
    assert reference.PatientOrientation == ["PLF", "HPL"]
    (study,) = turned.SourceImageEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == (
        uid("study"),
        uid("study", "enhanced"),
    )
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == ds.SOPInstanceUID
    assert "SourceImageSequence" not in turned
    assert "DerivationDescription" not in turned


def test_planes_beside_the_groups_are_dropped() -> None:
    ds = enhanced_mr(
        ImagePositionPatient=["1", "2", "3"],
        ImageOrientationPatient=OTHER_IOP,
        PixelSpacing=["1", "1"],
    )
    turned = derived(ds, ROTATED)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        assert keyword not in turned


def test_private_elements_and_shutters_inside_the_groups_are_removed() -> None:
    ds = enhanced_mr()
    for group in (ds.SharedFunctionalGroupsSequence[0], *ds.PerFrameFunctionalGroupsSequence):
        private = item()
        private.private_block(0x2005, "Philips", create=True).add_new(0x0E, "FL", 1.0)
        group.private_block(0x2005, "Philips", create=True).add_new(0x0F, "SQ", [private])
        group.FrameDisplayShutterSequence = [Dataset()]
    turned = derived(ds, ROTATED)
    assert not [element for element in turned.iterall() if element.tag.is_private]
    assert not [e for e in turned.iterall() if e.keyword == "FrameDisplayShutterSequence"]


def test_an_image_without_a_shared_group_names_its_derivation_too() -> None:
    ds = enhanced_mr()
    shared = ds.SharedFunctionalGroupsSequence[0]
    del ds.SharedFunctionalGroupsSequence
    for frame in ds.PerFrameFunctionalGroupsSequence:
        frame.update(deepcopy(shared))
    step = derived(ds, ROTATED).SharedFunctionalGroupsSequence[0].DerivationImageSequence[0]
    assert step.SourceImageSequence[0].ReferencedSOPInstanceUID == ds.SOPInstanceUID
