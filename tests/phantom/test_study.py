"""The oracle of most tests: PS3.3 C.7.6.2.1.1 written out again, and the anatomy itself."""

import json
import shutil
import subprocess
from functools import cache
from io import BytesIO

import numpy as np
import pydicom
import pytest
from scipy.ndimage import map_coordinates

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View, implied_orientation
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.groups import Group
from cmr_node.phantom.body.tissues import Tissue
from cmr_node.phantom.dicom.enhanced import multi_frame
from cmr_node.phantom.scanner.acquire import Receive
from cmr_node.phantom.scanner.planes import view_planes
from cmr_node.phantom.scanner.render import Cine, cine_contrast, render_cine
from cmr_node.phantom.study import Plan, simulate_study, truth, write_study

SMALL = {"slices": 3, "phases": 2, "rows": 50, "columns": 60, "pixel_spacing": 4.0, "gap": 24.0}
EVEN = Cine(receive=Receive(coils=0.0, shim_hz=0.0, ghost=0.0))
ALL = [View.SAX, View.TWO_CHAMBER, View.FOUR_CHAMBER]


def small(seed: int = 1, **changes: object) -> Plan:
    return Plan(seed, **(SMALL | changes))


@cache
def scanned(seed: int, orientation: Orientation) -> tuple[pydicom.FileDataset, ...]:
    """A small study under even coils, every view stored turned by ``orientation``."""
    plan = small(seed, stored_as=dict.fromkeys(ALL, orientation), protocol=EVEN)
    return tuple(simulate_study(plan))


def places(ds: pydicom.Dataset) -> np.ndarray:
    """(rows, columns, 3), mm: where the header says each pixel is."""
    along_row, down_column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = map(float, ds.PixelSpacing)
    row, column = np.indices((ds.Rows, ds.Columns))[..., None]
    return (
        np.array(ds.ImagePositionPatient, float)
        + row * between_rows * down_column
        + column * between_columns * along_row
    )


def plane(ds: pydicom.Dataset) -> Plane:
    return Plane.from_dicom(
        ds.ImageOrientationPatient, ds.ImagePositionPatient, ds.PixelSpacing, ds.Rows, ds.Columns
    )


def expected(patient: Patient, points: np.ndarray, phase: float) -> np.ndarray:
    signal, _ = cine_contrast(patient, Cine())
    return np.abs(signal)[patient.labels(np.moveaxis(points, -1, 0).astype(np.float32), phase)]


@pytest.mark.parametrize("orientation", Orientation)
def test_each_pixel_shows_the_tissue_at_the_place_its_header_names(orientation):
    patient = Patient.draw(1, Group.NORMAL)
    for ds in scanned(1, orientation)[::2]:  # the first phase of each slice
        there = expected(patient, places(ds), 0.0)
        agreement = np.corrcoef(there.ravel(), ds.pixel_array.ravel())[0, 1]
        assert agreement > 0.75  # the coils brighten what is near them
        turned = ds.pixel_array[::-1, ::-1]
        assert agreement > np.corrcoef(there.ravel(), turned.ravel())[0, 1] + 0.3


@pytest.mark.parametrize("orientation", Orientation)
def test_however_it_is_stored_each_value_keeps_its_place_in_the_patient(orientation):
    for straight, turned in zip(
        scanned(1, Orientation.IDENTITY), scanned(1, orientation), strict=True
    ):
        assert np.array_equal(orientation.apply(straight.pixel_array), turned.pixel_array)
        moved = orientation.apply(np.moveaxis(places(straight), -1, 0))
        np.testing.assert_allclose(np.moveaxis(moved, 0, -1), places(turned), atol=1e-6)


@pytest.mark.parametrize("orientation", Orientation)
def test_the_left_ventricle_lies_where_anatomy_has_it(orientation):
    heart = Patient.draw(1, Group.NORMAL).heart
    middle = heart.place(0, 0, 0.47 * heart.length)
    ds = scanned(1, orientation)[2]  # the second of three short-axis slices
    where = places(ds)
    near = np.linalg.norm(where - middle, axis=-1) < 30
    bright = ds.pixel_array > 0.75 * np.percentile(ds.pixel_array[near], 95)
    lumen = where[near & bright & (((where - middle) @ heart.septal) < heart.left.cavity_radius)]
    assert np.linalg.norm(lumen.mean(axis=0) - middle) < 8


@pytest.mark.parametrize("orientation", Orientation)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_header_implies_the_orientation_that_the_truth_names(seed, orientation):
    plan = small(seed, stored_as=dict.fromkeys(ALL, orientation), phases=1, slices=1)
    facts = truth(plan)
    seen = set()
    for ds in simulate_study(plan):
        fact = facts[ds.SeriesInstanceUID]
        seen.add(fact["view"])
        evidence = implied_orientation(plane(ds), View(fact["view"]))
        assert evidence is not None
        assert evidence.orientation == fact["stored_as"] == orientation
        assert evidence.margin_deg > 15
        assert evidence.conditioning > 0.5
    assert seen == {"sax", "2ch", "4ch"}


def test_two_hundred_patients_are_all_clear_cases():
    """A demo with any seed shows a decision, not a doubt; see also the frames in planes.py."""
    for seed in range(200):
        plan = small(seed, views=(View.SAX,), slices=1)
        patient = Patient.draw(seed, Group.NORMAL)
        right, down = -patient.heart.septal, -patient.heart.anterior
        evidence = implied_orientation(
            Plane((0.0, 0.0, 0.0), tuple(right), tuple(down), (1.0, 1.0), (2, 3)), plan.views[0]
        )
        assert evidence is not None
        assert evidence.orientation is Orientation.IDENTITY
        assert evidence.margin_deg > 20


def test_planes_agree_where_they_cross():
    """Intensities of short axis and long axis along their common line, and a mirrored one's."""
    plan = small(2, rows=100, columns=120, pixel_spacing=2.0, phases=1, gap=14.0)
    images = list(simulate_study(plan))
    short, long = images[:3], images[3:]

    def along_line(ds: pydicom.Dataset, pixels: np.ndarray, line: np.ndarray) -> np.ndarray:
        index = plane(ds).to_indices(line).T
        return map_coordinates(pixels.astype(float), index, order=1, cval=np.nan)

    true, mirrored = [], []
    for a in short:
        for b in long:
            direction = np.cross(plane(a).normal, plane(b).normal)
            direction /= np.linalg.norm(direction)
            system = np.stack([plane(a).normal, plane(b).normal, direction])
            origin = np.linalg.solve(
                system,
                [
                    plane(a).normal @ plane(a).position,
                    plane(b).normal @ plane(b).position,
                    direction @ plane(a).centre,
                ],
            )
            line = origin + np.linspace(-90, 90, 181)[:, None] * direction
            other = along_line(b, b.pixel_array, line)
            for pixels, found in ((a.pixel_array, true), (a.pixel_array[::-1, ::-1], mirrored)):
                one = along_line(a, pixels, line)
                both = np.isfinite(one) & np.isfinite(other)
                assert both.sum() > 60
                found.append(np.corrcoef(one[both], other[both])[0, 1])
    assert np.mean(true) > 0.8
    assert np.mean(true) > np.mean(mirrored) + 0.4


def encoded(ds: pydicom.FileDataset) -> bytes:
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_the_same_plan_gives_the_same_bytes():
    plan = small(4, stored_as={View.SAX: Orientation.ROT90CW})
    first, again = ([encoded(ds) for ds in simulate_study(plan)] for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 5},
        {"stored_as": {View.SAX: Orientation.FLIP_UD}},
        {"series_per_slice": True},
        {"protocol": Cine(flip_deg=50)},
    ],
)
def test_another_plan_shares_no_uid(changes):
    def uids(plan: Plan) -> set[str]:
        return {
            ds[keyword].value
            for ds in simulate_study(plan)
            for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
        }

    base = {"seed": 4, "phases": 1}
    assert not uids(small(**base)) & uids(small(**(base | changes)))


def test_orientations_left_out_of_the_plan_mean_identity():
    said = small(stored_as=dict.fromkeys(ALL, Orientation.IDENTITY))
    assert truth(said) == truth(small())


def test_the_heart_beats_and_the_liver_does_not():
    fine = {"rows": 100, "columns": 120, "pixel_spacing": 2.0}
    plan = small(3, views=(View.SAX,), slices=1, phases=4, protocol=EVEN, **fine)
    first, second = list(simulate_study(plan))[:2]
    patient = Patient.draw(3, Group.NORMAL)
    change = np.abs(first.pixel_array.astype(float) - second.pixel_array)
    labels = patient.labels(np.moveaxis(places(first), -1, 0).astype(np.float32), 0.0)
    assert change[labels == Tissue.LIVER].mean() < 15  # noise
    assert change[labels == Tissue.LV_BLOOD].mean() > 40


def test_tags_say_how_many_phases_and_images_to_expect():
    study = scanned(1, Orientation.IDENTITY)
    sax = [ds for ds in study if ds.SeriesDescription == "cine_sax"]
    assert len(sax) == sax[0].ImagesInAcquisition == 6
    assert [ds.InstanceNumber for ds in sax] == [1, 2, 3, 4, 5, 6]
    assert {ds.CardiacNumberOfImages for ds in study} == {2}
    first, second = (float(ds.TriggerTime) for ds in sax[:2])
    assert first == 0
    assert second == pytest.approx(sax[0].NominalInterval / 2, abs=1)
    assert len({ds.FrameOfReferenceUID for ds in study}) == 1
    assert len({ds.SOPInstanceUID for ds in study}) == len(study) == small().instances
    assert sax[0].PatientName == "PHANTOM^1"
    assert sax[0].PatientID == "PHANTOM-1"


def test_short_axis_slices_are_parallel_and_a_gap_apart():
    sax = [ds for ds in scanned(1, Orientation.TRANSPOSE) if ds.SeriesDescription == "cine_sax"]
    positions = np.array([plane(ds).position for ds in sax[::2]])
    steps = np.diff(positions, axis=0)
    np.testing.assert_allclose(np.abs(steps @ plane(sax[0]).normal), 24.0, atol=1e-5)
    heart = Patient.draw(1, Group.NORMAL).heart
    assert np.all(steps @ heart.apical > 0)  # from base to apex


def test_phase_encoding_turns_with_a_transposed_image():
    straight, turned = (scanned(1, o)[0] for o in (Orientation.IDENTITY, Orientation.ANTITRANSPOSE))
    assert (straight.InPlanePhaseEncodingDirection, turned.InPlanePhaseEncodingDirection) == (
        "COL",
        "ROW",
    )
    assert list(straight.AcquisitionMatrix) == [0, 60, 50, 0]
    assert list(turned.AcquisitionMatrix) == [60, 0, 0, 50]


def test_one_series_per_slice_as_some_scanners_do():
    plan = small(1, series_per_slice=True, stored_as={View.SAX: Orientation.FLIP_LR})
    facts = truth(plan)
    assert [fact["view"] for fact in facts.values()] == ["sax", "sax", "sax", "2ch", "4ch"]
    assert [fact["stored_as"] for fact in facts.values()] == ["flip_lr"] * 3 + ["identity"] * 2
    study = list(simulate_study(plan))
    assert {ds.SeriesInstanceUID for ds in study} == set(facts)
    assert {ds.ImagesInAcquisition for ds in study} == {2}
    assert len({(ds.SeriesInstanceUID, ds.InstanceNumber) for ds in study}) == len(study)


@pytest.mark.parametrize("orientation", [Orientation.IDENTITY, Orientation.ROT90CCW])
def test_a_multi_frame_instance_holds_the_same_pixels_at_the_same_places(orientation):
    orientations = dict.fromkeys(ALL, orientation)
    plan = small(1, multi_frame=True, stored_as=orientations, protocol=EVEN)
    study = list(simulate_study(plan))
    assert [ds.NumberOfFrames for ds in study] == [6, 2, 2]
    assert len(study) == plan.instances == len(truth(plan))
    assert {str(ds.SeriesInstanceUID) for ds in study} == set(truth(plan))
    frames = iter(scanned(1, orientation))
    for ds in study:
        shared = ds.SharedFunctionalGroupsSequence[0]
        cosines = shared.PlaneOrientationSequence[0].ImageOrientationPatient
        spacing = shared.PixelMeasuresSequence[0].PixelSpacing
        for pixels, own in zip(ds.pixel_array, ds.PerFrameFunctionalGroupsSequence, strict=True):
            single = next(frames)
            assert np.array_equal(pixels, single.pixel_array)
            assert own.PlanePositionSequence[0].ImagePositionPatient == single.ImagePositionPatient
            assert cosines == single.ImageOrientationPatient
            assert spacing == single.PixelSpacing
            heartbeat = own.CardiacSynchronizationSequence[0]
            assert heartbeat.NominalCardiacTriggerDelayTime == float(single.TriggerTime)
    indices = [
        tuple(own.FrameContentSequence[0].DimensionIndexValues)
        for own in study[0].PerFrameFunctionalGroupsSequence
    ]
    assert indices == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]


def test_frames_of_two_series_do_not_become_one_instance():
    study = scanned(1, Orientation.IDENTITY)
    with pytest.raises(ValueError, match="one series of one size, found 3"):
        multi_frame(study)
    with pytest.raises(ValueError, match="found 0"):
        multi_frame([])


def test_descriptions_can_be_left_out():
    assert not any("SeriesDescription" in ds for ds in simulate_study(small(described=False)))


def test_every_view_can_be_scanned():
    views = (*ALL, View.THREE_CHAMBER, View.OTHER)
    facts = truth(small(views=views))
    assert [fact["view"] for fact in facts.values()] == ["sax", "2ch", "4ch", "3ch", "other"]


def test_files_are_written_with_progress_and_the_truth_beside_them(tmp_path):
    calls = []
    plan = small(7)
    facts = write_study(tmp_path, plan, lambda done, total: calls.append((done, total)))
    files = sorted(tmp_path.rglob("*.dcm"))
    assert calls == [(n, 10) for n in range(1, 11)]
    assert len(files) == 10
    assert json.loads(json.dumps(facts)) == facts
    assert {pydicom.dcmread(file).SeriesInstanceUID for file in files} == set(facts)
    assert not any("stored_as" in str(pydicom.dcmread(file)) for file in files)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"described": False},
        {"series_per_slice": True},
        {"multi_frame": True},
        {"multi_frame": True, "described": False, "stored_as": {View.SAX: Orientation.TRANSPOSE}},
        {"stored_as": {View.SAX: Orientation.ROT90CW}},
    ],
    ids=["plain", "undescribed", "series per slice", "multi-frame", "turned multi-frame", "turned"],
)
def test_dciodvfy_finds_no_error(tmp_path, changes):
    write_study(tmp_path, small(1, **changes))
    for file in sorted(tmp_path.rglob("*.dcm"))[::3]:
        done = subprocess.run(["dciodvfy", file], capture_output=True, text=True, timeout=20)
        sop_class = "EnhancedMRImage" if changes.get("multi_frame") else "MRImage"
        assert sop_class in (done.stderr + done.stdout).split()
        assert "Error" not in done.stderr + done.stdout


def test_a_slice_far_below_the_right_ventricle_divides_by_nothing() -> None:
    """Seed 2 once had a pixel where the right ventricle's outline divided by zero."""
    patient = Patient.draw(2, Group.NORMAL)
    planes = view_planes(
        patient.heart,
        View.SAX,
        shape=(208, 256),
        pixel_spacing=1.4,
        slices=10,
        gap=10.0,
        rng=np.random.default_rng([2, 0, list(View).index(View.SAX)]),
    )
    noise = np.random.default_rng([2, 1, 8])
    images = render_cine(patient, planes[8], 25, Cine(), noise)
    assert images.shape == (25, 208, 256)
