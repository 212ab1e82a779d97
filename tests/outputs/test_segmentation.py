"""Segmentations of true outlines, read by others and held against the images in the patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from scipy.spatial import cKDTree

from cmr_node.dicom.raw import put_raw
from cmr_node.dicom.reading import parse
from cmr_node.errors import RefusedStack
from cmr_node.geometry.orientation import Orientation
from cmr_node.measures.masks import Structure
from cmr_node.outputs.reoriented import reorient_instance
from cmr_node.outputs.segmentation import Encoding, Phase, Segmented, segment
from cmr_node.outputs.sources import SourceFrame
from cmr_node.outputs.structures import SEGMENTS, tracking_uid
from cmr_node.outputs.turned import encode
from cmr_node.phantom.dicom.vendors import Vendor
from tests.dciodvfy import complaints, needs_dciodvfy
from tests.dcmqi import needs_dcmqi, segments
from tests.outputs.making import PRODUCER
from tests.outputs.outlined import ALGORITHM, ED, ES, outlined
from tests.phantom.examinations import VENDORS

NEAR_MM = 0.01


def made(
    vendor: Vendor, at: int = ED, encoding: Encoding = Encoding.BINARY, **changes: object
) -> Segmented:
    truth = outlined(vendor)
    arguments = {
        "sources": truth.sources(at),
        "labels": truth.labels[:, at],
        "stack": truth.sources(0)[0].key,
        "phase": Phase(at + 1),
        "algorithm": ALGORITHM,
        "series_number": 3002,
        "producer": PRODUCER,
        "encoding": encoding,
    }
    return segment(**(arguments | changes))  # type: ignore[arg-type]


def part10(result: Segmented) -> bytes:
    assert result.instance is not None, result.reason
    return encode(result.instance)


def truth_mm(vendor: Vendor, phase: int) -> dict[Structure, np.ndarray]:
    """Where in the patient each voxel of each structure lies, from the images' own headers."""
    truth = outlined(vendor)
    found = {}
    for structure in SEGMENTS:
        points = []
        for one, labels in zip(truth.stack.slices, truth.labels[:, phase], strict=True):
            points.append(one.plane.to_patient(np.argwhere(labels == structure)))
        found[structure] = np.concatenate(points)
    return found


def same_places(found: np.ndarray, true: np.ndarray) -> None:
    assert len(found) == len(true) > 0
    assert cKDTree(found).query(true)[0].max() < NEAR_MM


def frame_points(ds: Dataset, values: np.ndarray, number: int) -> np.ndarray:
    """Places of one segment, from the functional groups and nothing else."""
    shared = ds.SharedFunctionalGroupsSequence[0]
    iop = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    points = []
    for group, frame in zip(ds.PerFrameFunctionalGroupsSequence, values, strict=True):
        start = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        if ds.SegmentationType == "BINARY":
            if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
                continue
            frame = frame == 1
        else:
            frame = frame == number
        rows, columns = np.nonzero(frame)
        points.append(
            start
            + rows[:, None] * between_rows * iop[3:]
            + columns[:, None] * between_columns * iop[:3]
        )
    return np.concatenate(points)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("phase", [ED, ES])
def test_every_voxel_lies_where_its_pixel_lies(
    vendor: Vendor, encoding: Encoding, phase: int
) -> None:
    result = made(vendor, phase, encoding)
    ds = parse(part10(result))
    for structure, points in truth_mm(vendor, phase).items():
        same_places(frame_points(ds, ds.pixel_array, result.numbers[structure]), points)


@pytest.mark.parametrize("vendor", VENDORS)
def test_highdicom_reads_the_same_volume(vendor: Vendor) -> None:
    result = made(vendor)
    seg = hd.seg.Segmentation.from_dataset(parse(part10(result)))
    volume = seg.get_volume(combine_segments=True, allow_missing_positions=True)
    for structure, points in truth_mm(vendor, ED).items():
        indices = np.argwhere(volume.array == result.numbers[structure])
        same_places(volume.map_indices_to_reference(indices), points)


@needs_dcmqi
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("encoding", Encoding)
def test_dcmqi_reads_the_same_volume(vendor: Vendor, encoding: Encoding, tmp_path: Path) -> None:
    result = made(vendor, ES, encoding)
    path = tmp_path / "seg.dcm"
    path.write_bytes(part10(result))
    found = segments(path, tmp_path / "itk")
    for structure, points in truth_mm(vendor, ES).items():
        number = result.numbers[structure]
        # Of a label map it makes one image, else one a segment; both hold the numbers.
        image = sitk.ReadImage(str(found.get(number, found[1])))
        values = sitk.GetArrayFromImage(image)
        indices = np.argwhere(values == number)[:, ::-1]
        same_places(
            np.array([image.TransformIndexToPhysicalPoint(one.tolist()) for one in indices]), points
        )


@needs_dciodvfy
@pytest.mark.parametrize("vendor", VENDORS)
def test_the_validator_has_nothing_to_say(vendor: Vendor, tmp_path: Path) -> None:
    path = tmp_path / "seg.dcm"
    path.write_bytes(part10(made(vendor)))
    assert complaints(path) == set()


@pytest.mark.parametrize("vendor", VENDORS)
def test_it_names_the_instances_and_frames_it_shows(vendor: Vendor) -> None:
    truth = outlined(vendor)
    ds = parse(part10(made(vendor, ES)))
    shown = {source.uid for source in truth.sources(ES)}
    named = {
        item.ReferencedSOPInstanceUID
        for series in ds.ReferencedSeriesSequence
        for item in series.ReferencedInstanceSequence
    }
    assert named == shown
    assert {s.SeriesInstanceUID for s in ds.ReferencedSeriesSequence} == set(
        truth.stack.series_instance_uids
    )
    sources = {(s.uid, s.frame + 1): s for s in truth.sources(ES)}
    for group in ds.PerFrameFunctionalGroupsSequence:
        item = group.DerivationImageSequence[0].SourceImageSequence[0]
        source = sources[item.ReferencedSOPInstanceUID, item.get("ReferencedFrameNumber", 1)]
        assert ("ReferencedFrameNumber" in item) is (vendor is Vendor.PHILIPS)
        position = group.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position, source.plane().plane.position, atol=1e-6)


@pytest.mark.parametrize("encoding", Encoding)
def test_the_same_work_gives_the_same_bytes_and_other_work_another_uid(encoding: Encoding) -> None:
    first = made(Vendor.GE, encoding=encoding)
    assert part10(first) == part10(made(Vendor.GE, encoding=encoding))
    labels = outlined(Vendor.GE).labels[:, ED].copy()
    labels[labels == Structure.LV_MYOCARDIUM] = Structure.LV_BLOOD
    others = [
        made(Vendor.GE, encoding=encoding, labels=labels),
        made(Vendor.GE, ES, encoding),
        made(Vendor.GE, encoding=encoding, phase=Phase(ED + 1, "end diastole")),
        made(Vendor.GE, encoding=encoding, algorithm=replace(ALGORITHM, version="1.0.1")),
        made(Vendor.GE, encoding=encoding, algorithm=replace(ALGORITHM, weights_digest="cd" * 32)),
        made(Vendor.GE, encoding=encoding, producer=replace(PRODUCER, software_version="9")),
    ]
    uids = [parse(part10(one)).SOPInstanceUID for one in (first, *others)]
    assert len(set(uids)) == len(uids)


def test_the_phases_of_a_stack_are_one_series_and_track_one_heart() -> None:
    first, last = (parse(part10(made(Vendor.SIEMENS, phase))) for phase in (ED, ES))
    assert first.SeriesInstanceUID == last.SeriesInstanceUID
    assert first.SeriesDescription == last.SeriesDescription
    assert (first.InstanceNumber, last.InstanceNumber) == (ED + 1, ES + 1)
    tracked = [[item.TrackingUID for item in ds.SegmentSequence] for ds in (first, last)]
    assert tracked[0] == tracked[1]
    stack = outlined(Vendor.SIEMENS).sources(0)[0].key
    assert tracked[0] == [tracking_uid(first.StudyInstanceUID, stack, one) for one in SEGMENTS]
    assert first.DimensionOrganizationSequence[0].DimensionOrganizationUID.startswith("2.25.")


def test_a_structure_that_is_not_there_has_no_segment_and_none_at_all_no_object() -> None:
    labels = outlined(Vendor.GE).labels[:, ED].copy()
    labels[labels == Structure.LV_MYOCARDIUM] = 0
    result = made(Vendor.GE, labels=labels)
    assert result.numbers == {Structure.LV_BLOOD: 1, Structure.RV_BLOOD: 2}
    ds = parse(part10(result))
    assert [item.SegmentLabel for item in ds.SegmentSequence] == ["LV blood pool", "RV blood pool"]
    nothing = made(Vendor.GE, labels=np.zeros_like(labels))
    assert nothing.instance is None
    assert "nothing is outlined in any of 5 slices" in nothing.reason


def test_on_images_that_were_turned_it_covers_the_same_places() -> None:
    truth = outlined(Vendor.GE)
    operation = Orientation.ROT90CW
    sources = [
        SourceFrame(parse(encode(reorient_instance(source.ds, operation, PRODUCER))))  # type: ignore[arg-type]
        for source in truth.sources(ED)
    ]
    labels = np.stack([operation.apply(one) for one in truth.labels[:, ED]])
    result = made(Vendor.GE, sources=sources, labels=labels)
    ds = parse(part10(result))
    assert {item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence} == {
        source.uid for source in sources
    }
    for structure, points in truth_mm(Vendor.GE, ED).items():
        same_places(frame_points(ds, ds.pixel_array, result.numbers[structure]), points)


def test_slices_without_thickness_take_the_step_between_them() -> None:
    sources = [SourceFrame(parse(encode(s.ds))) for s in outlined(Vendor.GE).sources(ED)]  # type: ignore[arg-type]
    for source in sources:
        del source.ds.SliceThickness
    ds = parse(part10(made(Vendor.GE, sources=sources)))
    thickness = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness
    assert float(thickness) == pytest.approx(14.0, abs=0.1)


def tilt(ds: FileDataset) -> None:
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]


def widen(ds: FileDataset) -> None:
    ds.PixelSpacing = ["1.5", "1.5"]


def put_away(ds: FileDataset) -> None:
    del ds.FrameOfReferenceUID


def move_to_another_frame(ds: FileDataset) -> None:
    ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", "1.2.4"


def lay_on_the_next(ds: FileDataset) -> None:
    following = outlined(Vendor.GE).sources(ED)[3].ds
    put_raw(
        ds, "ImagePositionPatient", "\\".join(map(str, following.ImagePositionPatient)).encode()
    )


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (tilt, "slice 3 has"),
        (widen, "slice 3 has"),
        (put_away, "FrameOfReferenceUID"),
        (move_to_another_frame, "2 FrameOfReferenceUID"),
        (lay_on_the_next, "one place"),
    ],
)
def test_slices_that_make_no_volume_are_refused(
    damage: Callable[[FileDataset], None], said: str
) -> None:
    sources = [SourceFrame(parse(encode(s.ds))) for s in outlined(Vendor.GE).sources(ED)]  # type: ignore[arg-type]
    damage(sources[2].ds)  # type: ignore[arg-type]
    with pytest.raises(RefusedStack, match=said):
        made(Vendor.GE, sources=sources)


def test_slices_of_one_series_that_each_name_a_frame_of_reference_take_the_first() -> None:
    sources = [SourceFrame(parse(encode(s.ds))) for s in outlined(Vendor.GE).sources(ED)]  # type: ignore[arg-type]
    for number, source in enumerate(sources):
        source.ds.FrameOfReferenceUID = f"1.2.{number}"
    assert parse(part10(made(Vendor.GE, sources=sources))).FrameOfReferenceUID == "1.2.0"


def test_labels_that_do_not_fit_are_refused() -> None:
    labels = outlined(Vendor.GE).labels[:, ED]
    for wrong in (labels[:-1], labels[:, :-1], labels.astype(np.int16), labels[0]):
        with pytest.raises(ValueError, match=r"allowed|for images of"):
            made(Vendor.GE, labels=wrong)
    with pytest.raises(ValueError, match="label 4; allowed: 0 to 3"):
        made(Vendor.GE, labels=np.where(labels == 3, np.uint8(4), labels))
    with pytest.raises(ValueError, match="frame 1 of an instance of 1"):
        SourceFrame(outlined(Vendor.GE).sources(ED)[0].ds, 1)


def test_pydicom_reads_it_from_disk_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "seg.dcm"
    path.write_bytes(part10(made(Vendor.PHILIPS)))
    assert dcmread(path).Modality == "SEG"
