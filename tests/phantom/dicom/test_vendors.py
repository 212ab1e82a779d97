"""What scanners of three vendors write: held against dciodvfy and against the node's readers."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset

from cmr_node.geometry.consistency import Slice, crossing_evidence
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.dicom.vendors import Vendor
from cmr_node.phantom.plan import STILLS, Plan
from cmr_node.phantom.study import simulate_study
from tests.dciodvfy import complaints, needs_dciodvfy
from tests.phantom.examinations import VENDORS, assembled, scanned, small

EXPECTED = Counter(
    {
        ("localizer", "other", 1, 1): 3,
        ("cine", "2ch", 1, 8): 1,
        ("cine", "3ch", 1, 8): 1,
        ("cine", "4ch", 1, 8): 1,
        ("cine", "sax", 5, 8): 1,
        ("t2", "sax", 5, 1): 1,
        ("t1_map", "sax", 3, 1): 1,
        ("lge", "sax", 5, 1): 2,
    }
)
"""(sequence, view, slices, phases) of the stacks of an examination."""

FIELDS = [(Vendor.PLAIN, 1.5), *((v, t) for v in VENDORS for t in (1.5, 3.0))]


@pytest.mark.parametrize(("vendor", "tesla"), FIELDS)
def test_the_node_recognises_every_series_of_every_vendor(vendor: Vendor, tesla: float) -> None:
    images = scanned(vendor, tesla=tesla)
    assert len(images) == small(vendor).instances
    assembly = assembled(images)
    assert not assembly.refused
    found = Counter(
        (str(s.sequence), str(s.view), len(s.slices), s.phases) for s in assembly.stacks
    )
    assert found == EXPECTED
    assert all(stack.recognised.certain for stack in assembly.stacks)
    assert not any(stack.findings for stack in assembly.stacks)


@needs_dciodvfy
@pytest.mark.parametrize("vendor", Vendor)
def test_dciodvfy_finds_no_error_in_any_object(tmp_path: Path, vendor: Vendor) -> None:
    """The first and the last instance of each series."""
    by_series: dict[str, list[FileDataset]] = {}
    for ds in scanned(vendor, tesla=3.0):
        by_series.setdefault(str(ds.SeriesInstanceUID), []).append(ds)
    checked = {id(ds): ds for series in by_series.values() for ds in (series[0], series[-1])}
    for number, ds in enumerate(checked.values()):
        path = tmp_path / f"{number}.dcm"
        ds.save_as(path, enforce_file_format=True)
        found = complaints(path)
        assert not {one for one in found if one.startswith("Error")}, ds.get("SeriesDescription")


@pytest.mark.parametrize("vendor", [Vendor.SIEMENS, Vendor.PHILIPS])
def test_the_same_plan_gives_the_same_bytes(vendor: Vendor) -> None:
    def encoded(ds: FileDataset) -> bytes:
        buffer = BytesIO()
        ds.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    again = simulate_study(small(vendor))
    assert [encoded(ds) for ds in scanned(vendor)] == [encoded(ds) for ds in again]


@pytest.mark.parametrize("vendor", Vendor)
def test_no_private_element_is_written_and_the_patient_is_said_to_be_made_up(
    vendor: Vendor,
) -> None:
    for ds in scanned(vendor)[::7]:
        assert not any(element.tag.is_private for element in ds.iterall())
        assert ds.PatientComments == "Simulated: no such person"


def test_each_vendor_has_its_form() -> None:
    siemens, ge, philips = (scanned(vendor) for vendor in VENDORS)
    descriptions = [ds.get("SeriesDescription", "") for ds in siemens]
    assert descriptions.count("cine_trufi_sax") == 5 * 8
    sax = [ds for ds in siemens if ds.SeriesDescription == "cine_trufi_sax"]
    assert len({ds.SeriesInstanceUID for ds in sax}) == 5
    assert len({ds.SeriesInstanceUID for ds in siemens}) == 3 + 1 + 5 + 4
    assert not any("ImagesInAcquisition" in ds for ds in siemens)
    assert sax[0].SequenceName.startswith("*tfi")
    t1 = next(ds for ds in siemens if "T1 MAP" in ds.ImageType)
    assert (t1.BitsAllocated, t1.PixelRepresentation) == (16, 0)
    nameless = [ds for ds in ge if "SeriesDescription" not in ds]
    assert len(nameless) == nameless[0].ImagesInAcquisition == 5 * 8
    assert {ds.ProtocolName for ds in ge} == {"CARDIAC"}
    assert all("CG" in ds.ScanOptions for ds in (*siemens, *ge))
    assert [ds.NumberOfFrames for ds in philips] == [3, 8, 8, 8, 40, 5, 3, 5, 5]


def values(ds: Dataset) -> np.ndarray:
    """What the stored values of a multi-frame instance stand for."""
    shown = ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    return ds.pixel_array * float(shown.RescaleSlope) + float(shown.RescaleIntercept)


def test_rescaled_values_are_those_of_the_single_frames() -> None:
    single: dict[int, list[FileDataset]] = {}
    for ds in scanned(Vendor.GE):
        single.setdefault(ds.SeriesNumber, []).append(ds)
    scales = set()
    for ds in scanned(Vendor.PHILIPS):
        expected = np.stack([one.pixel_array for one in single[ds.SeriesNumber]]).astype(float)
        if "PSIR" in ds.SeriesDescription:
            expected -= 2048
            assert ds.ComplexImageComponent == "REAL"
        shown = ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
        scales.add((shown.RescaleSlope, shown.RescaleIntercept))
        # Rounded once more; half of the largest slope met here.
        np.testing.assert_allclose(values(ds), expected, atol=0.51)
    assert len(scales) > 5
    assert any(float(intercept) < 0 for _, intercept in scales)


def test_times_go_forward_from_breath_hold_to_breath_hold() -> None:
    images = scanned(Vendor.SIEMENS)
    begun: dict[tuple[str, str], str] = {}
    for ds in images:
        position = str(ds.ImagePositionPatient), str(ds.ImageOrientationPatient)
        begun.setdefault((str(ds.SeriesInstanceUID), position[0] + position[1]), ds.AcquisitionTime)
        assert ds.StudyTime < ds.AcquisitionTime < ds.ContentTime
    psir = {str(ds.SeriesInstanceUID) for ds in images if "PSIR" in ds.ImageType}
    times = [time for (series, _), time in begun.items() if series not in psir]
    assert times == sorted(times)
    assert len(set(times)) == len(times)


def test_headers_say_what_was_simulated() -> None:
    plan = small(Vendor.GE, tesla=3.0)
    kinds = {}
    for ds in scanned(Vendor.GE, tesla=3.0):
        kinds.setdefault(ds.get("SeriesDescription", "cine"), ds)
    assert {float(ds.MagneticFieldStrength) for ds in kinds.values()} == {3.0}
    cine, late, t2 = kinds["cine"], kinds["SAX MDE"], kinds["SAX T2 DBL IR FSE FS"]
    assert float(cine.FlipAngle) == plan.protocol.flip_deg
    assert float(cine.RepetitionTime) == 2 * float(cine.EchoTime) == plan.protocol.repetition_ms
    assert 250 < float(late.InversionTime) < 550
    assert float(late.RepetitionTime) == pytest.approx(2 * late.NominalInterval, abs=1.1)
    assert float(t2.EchoTime) == plan.t2.echo_ms
    assert 0.6 < float(t2.TriggerTime) / t2.NominalInterval < 0.8
    assert float(kinds["SAX T1 MAP"].SpacingBetweenSlices) == 14.0


@pytest.mark.parametrize("turned", [None, Orientation.ROT90CW, Orientation.FLIP_UD])
def test_crossing_planes_betray_an_unlogged_operation_and_only_it(
    turned: Orientation | None,
) -> None:
    """Logged turns leave nothing to betray, so every view is stored turned as well."""
    faults = [] if turned is None else [f"unlogged:{turned}@cine_sax"]
    plan = small(
        Vendor.GE,
        "logged:rot180@all",
        *faults,
        rows=84,
        columns=100,
        pixel_spacing=3.2,
        phases=1,
        stills=(),
    )
    stacks: dict[bool, list[Slice]] = {True: [], False: []}
    for ds in simulate_study(plan):
        if "LOC" not in ds.get("SeriesDescription", ""):
            plane = Plane.from_dicom(
                ds.ImageOrientationPatient,
                ds.ImagePositionPatient,
                ds.PixelSpacing,
                ds.Rows,
                ds.Columns,
            )
            is_sax = "SeriesDescription" not in ds
            stacks[is_sax].append(Slice(ds.pixel_array, plane))
    evidence = crossing_evidence(stacks[True], stacks[False])
    assert evidence is not None
    best = max(evidence.scores, key=lambda o: evidence.scores[o])
    assert best == (turned or Orientation.IDENTITY)
    assert evidence.scores[best] > 0.5


def test_stills_other_than_those_known_are_refused() -> None:
    with pytest.raises(ValueError, match="allowed are t2, t1, lge"):
        Plan(1, stills=("cine",))
    assert set(STILLS) < {"t2", "t1", "lge", "psir"}
    assert View.OTHER in small().views
