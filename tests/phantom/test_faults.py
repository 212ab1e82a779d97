"""Every fault does what it says, and nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset

from cmr_node.geometry.orientation import Orientation
from cmr_node.phantom.dicom.vendors import Vendor
from cmr_node.phantom.faults import Fault
from cmr_node.phantom.plan import Plan
from cmr_node.phantom.schedule import Scanner, schedule
from cmr_node.phantom.study import simulate_study, write_study
from tests.phantom.examinations import assembled, scanned, small


def only_sax(*faults: str, **changes: object) -> Plan:
    """GE gives the short axis no description, so it is the only one without."""
    return small(Vendor.GE, *faults, stills=(), phases=2, **changes)


@cache
def scanner() -> Scanner:
    return Scanner(schedule(only_sax()).patient)


def scan(plan: Plan) -> list[FileDataset]:
    return list(simulate_study(plan, scanner=scanner()))


def sax(images: list[FileDataset]) -> list[FileDataset]:
    return [ds for ds in images if "SeriesDescription" not in ds]


def others(images: list[FileDataset]) -> list[bytes]:
    return [ds.PixelData for ds in images if "SeriesDescription" in ds]


@pytest.fixture(scope="module")
def plain() -> list[FileDataset]:
    return scan(only_sax())


@pytest.mark.parametrize("orientation", Orientation)
def test_an_unlogged_operation_turns_pixels_and_no_header(
    plain: list[FileDataset], orientation: Orientation
) -> None:
    turned = scan(only_sax(f"unlogged:{orientation}"))
    for before, after in zip(sax(plain), sax(turned), strict=True):
        assert np.array_equal(orientation.apply(before.pixel_array), after.pixel_array)
        for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"):
            assert before[keyword].value == after[keyword].value
    assert others(plain) == others(turned)


@pytest.mark.parametrize("orientation", Orientation)
def test_a_logged_operation_is_the_same_as_being_stored_so(orientation: Orientation) -> None:
    logged = scan(only_sax(f"logged:{orientation}"))
    stored = scan(only_sax(stored_as={"sax": orientation}))
    for one, other in zip(logged, stored, strict=True):
        assert one.PixelData == other.PixelData
        assert one.ImageOrientationPatient == other.ImageOrientationPatient
        assert one.ImagePositionPatient == other.ImagePositionPatient


def test_a_logged_turn_after_an_unlogged_one_turns_what_it_finds() -> None:
    first, then = Orientation.FLIP_LR, Orientation.ROT90CW
    both = schedule(only_sax(f"unlogged:{first}", f"logged:{then}"))
    series = next(one for one in both.series if one.name == "cine_sax")
    assert series.stored_as is then.after(first)
    assert series.logged is then


def test_dropped_slices_are_gone_and_named(plain: list[FileDataset]) -> None:
    plan = only_sax("dropped:2")
    left = sax(scan(plan))
    assert len(left) == 3 * 2
    assert {ds.ImagesInAcquisition for ds in left} == {6}
    (record,) = schedule(plan).records
    kept = [ds.PixelData for place, ds in enumerate(sax(plain)) if place // 2 not in record.slices]
    assert [ds.PixelData for ds in left] == kept
    assert len(record.slices) == 2


def test_duplicated_slices_are_the_same_places_again_later(plain: list[FileDataset]) -> None:
    plan = only_sax("duplicated:2")
    images = sax(scan(plan))
    once, again = images[:10], images[10:]
    assert [ds.PixelData for ds in once] == [ds.PixelData for ds in sax(plain)]
    assert len(again) == 4
    (uid,) = {ds.SeriesInstanceUID for ds in again}
    assert uid not in {ds.SeriesInstanceUID for ds in once}
    by_place = {tuple(ds.ImagePositionPatient): ds for ds in reversed(once)}
    for ds in again[::2]:
        first = by_place[tuple(ds.ImagePositionPatient)]
        assert first.ImageOrientationPatient == ds.ImageOrientationPatient
        assert first.AcquisitionTime < ds.AcquisitionTime
        assert first.PixelData != ds.PixelData  # the same tissue under other noise
        assert np.corrcoef(first.pixel_array.ravel(), ds.pixel_array.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("vendor", [Vendor.SIEMENS, Vendor.PHILIPS])
def test_the_node_keeps_slices_scanned_twice_apart(vendor: Vendor) -> None:
    assembly = assembled(scanned(vendor, "duplicated:1"))
    shapes = sorted((len(s.slices), s.phases) for s in assembly.stacks if s.phases > 1)
    assert shapes == [(1, 8)] * 4 + [(5, 8)]


@pytest.mark.parametrize("vendor", [Vendor.GE, Vendor.PHILIPS])
def test_an_unplaced_series_has_no_place_and_is_refused(vendor: Vendor) -> None:
    images = scanned(vendor, "unplaced@t2_sax")
    refused = {r.instance.series_instance_uid for r in assembled(images).refused}
    lost = {str(ds.SeriesInstanceUID) for ds in images if "T2" in ds.get("SeriesDescription", "")}
    assert refused == lost
    assert len(lost) == 1
    for ds in images:
        if str(ds.SeriesInstanceUID) in lost:
            assert not any("ImagePositionPatient" in one for one in (ds, *_items(ds)))
            assert not any("ImageOrientationPatient" in one for one in (ds, *_items(ds)))


def _items(ds: FileDataset) -> list[FileDataset]:
    groups = [
        *(ds.get("SharedFunctionalGroupsSequence") or []),
        *(ds.get("PerFrameFunctionalGroupsSequence") or []),
    ]
    return [item for group in groups for sequence in group for item in sequence.value]


def test_a_late_series_lies_apart_and_is_otherwise_whole(tmp_path: Path) -> None:
    plan = small(Vendor.PHILIPS, "late@lge_sax")
    write_study(tmp_path / "study", plan, late=tmp_path / "late")
    (late,) = (tmp_path / "late").rglob("*.dcm")
    assert dcmread(late).SeriesDescription == "LGE_TFE_SAX"
    assert len(list((tmp_path / "study").rglob("*.dcm"))) == 8


def test_faults_combine() -> None:
    plan = small(Vendor.SIEMENS, "dropped:1@all", "unplaced@t1_sax", "unlogged@lge_sax")
    planned = schedule(plan)
    assert [record.series for record in planned.records][-2:] == ["t1_sax", "lge_sax"]
    assert planned.records[-1].orientation is not Orientation.IDENTITY
    assert "localizer" not in {record.series for record in planned.records}
    names = [series.name for series in planned.series]
    assert names.count("cine_sax") == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flipped", "allowed are unlogged, logged"),
        ("unlogged:sideways", "allowed are identity"),
        ("dropped:none", "allowed is 1 or more"),
        ("dropped:0", "allowed is 1 or more"),
        ("late:2", "takes no value"),
        ("late@", "names no series"),
    ],
)
def test_a_fault_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Fault.parse(text)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("late@flow", "it has cine_2ch"),
        ("dropped:5", "needed are 6"),
        ("dropped@cine_2ch", "needed are 2"),
        ("duplicated:6", "has 5 slices"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(fault: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        schedule(small(Vendor.GE, fault))


def test_a_fault_says_how_it_was_ordered() -> None:
    for text in ("unlogged:rot90cw@lge_sax", "late@psir_sax", "dropped:2@cine_sax"):
        assert str(Fault.parse(text)) == text
    assert str(Fault.parse("unplaced")) == "unplaced@cine_sax"
