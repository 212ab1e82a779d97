"""The truth beside a study: held against the files themselves, read by another library."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread

from cmr_node.geometry.orientation import Orientation
from cmr_node.phantom.body.tissues import Tissue
from cmr_node.phantom.case import Case, write_case
from cmr_node.phantom.dicom.vendors import Vendor
from cmr_node.phantom.schedule import schedule
from cmr_node.phantom.truth import apparent_orientation, study_truth
from tests.phantom.examinations import small

FAULTS = ("logged:antitranspose@cine_sax", "unlogged:flip_lr@t2_sax", "late@lge_sax")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    plan = small(Vendor.GE, *FAULTS, rows=68, columns=80, pixel_spacing=4.0)
    return write_case(tmp_path_factory.mktemp("case"), plan)


@pytest.fixture(scope="module")
def facts(case: Case) -> dict:
    return json.loads((case.folder / "truth" / "truth.json").read_text())


def series_of(facts: dict, name: str) -> dict:
    return next(one for one in facts["series"] if one["name"] == name)


@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize("kind", ["logged", "unlogged"])
def test_n_and_h_of_all_eight_operations(kind: str, operation: Orientation) -> None:
    for seed in (1, 2, 3):
        plan = small(Vendor.GE, f"{kind}:{operation}@all", slices=1, phases=1, seed=seed)
        planned = schedule(plan)
        for series in planned.series[1:]:  # the first is the localizer
            shown, _, turn = apparent_orientation(planned.patient, series)
            assert shown is operation
            assert abs(turn) < 25
    for one in study_truth(plan)["series"][1:]:
        assert one["n"] == one["stored_as"] == operation
        assert one["chirality"] == operation.chirality
        assert one["h"]["orientation"] == (operation if kind == "logged" else "identity")
        assert one["h"]["margin_deg"] == pytest.approx(45 - abs(one["h"]["residual_deg"]), abs=1e-5)


def test_a_short_axis_planned_turned_shows_another_orientation_than_its_operation() -> None:
    facts = study_truth(small(Vendor.GE, slices=1, phases=1, turn_deg=90))
    sax = series_of(facts, "cine_sax")
    assert sax["stored_as"] == "identity"
    assert sax["n"] == sax["h"]["orientation"] == "rot90cw"
    assert sax["angle_deg"] == pytest.approx(-90, abs=20)


def test_the_septum_lies_where_the_angle_says(case: Case, facts: dict) -> None:
    """From the middle of the left to that of the right ventricle, in the labels as stored."""
    sax = series_of(facts, "cine_sax")
    labels = sitk.GetArrayFromImage(
        sitk.ReadImage(str(case.folder / "truth" / facts["maps"]["cine_sax"]["labels_ed"]))
    )
    middle = labels[len(labels) // 2]
    left, right = (
        np.argwhere(middle == tissue).mean(axis=0) for tissue in (Tissue.LV_BLOOD, Tissue.RV_BLOOD)
    )
    down, across = right - left
    seen = np.degrees(np.arctan2(down, across))
    assert abs((seen - sax["angle_deg"] + 180) % 360 - 180) < 25


def test_labels_lie_where_simpleitk_puts_the_series(case: Case, facts: dict) -> None:
    for series in facts["series"]:
        if series["name"] not in facts["maps"]:
            continue
        files = sorted((case.folder / series["folder"]).glob("*.dcm"))
        first_phase = {}
        for file in files:
            ds = dcmread(file, stop_before_pixels=True)
            first_phase.setdefault(tuple(ds.ImagePositionPatient), (ds, file))
        normal = np.cross(*np.reshape(ds.ImageOrientationPatient, (2, 3)).astype(float))
        ordered = sorted(
            first_phase.values(), key=lambda one: normal @ np.array(one[0].ImagePositionPatient)
        )
        image = sitk.ReadImage([str(file) for _, file in ordered])
        told = facts["maps"][series["name"]]
        for what in set(told) - {"phase"}:
            mask = sitk.ReadImage(str(case.folder / "truth" / told[what]))
            assert mask.GetSize() == image.GetSize()
            for corner in ((0, 0, 0), tuple(size - 1 for size in image.GetSize())):
                np.testing.assert_allclose(
                    mask.TransformIndexToPhysicalPoint(corner),
                    image.TransformIndexToPhysicalPoint(corner),
                    atol=0.01,
                )


def test_maps_lie_on_the_pixels_even_where_the_header_is_wrong(case: Case, facts: dict) -> None:
    """What a perfect T1 map shows against the T1 map; the body's outline under a turned T2."""
    shown, apparent, labels = on_each_other(case, facts, "t1_sax", "apparent", "labels")
    plain = np.isin(labels, (Tissue.LIVER, Tissue.LV_BLOOD, Tissue.RV_BLOOD, Tissue.MYOCARDIUM))
    assert plain.sum() > 300
    # Pixels of 5 mm mix tissues at every border.
    off, off_if_mirrored = (
        np.median(np.abs(one - apparent)[plain]) for one in (shown, shown[..., ::-1])
    )
    assert off < 120
    assert off < 0.6 * off_if_mirrored
    shown, labels = on_each_other(case, facts, "t2_sax", "labels")
    body = ~np.isin(labels, (Tissue.AIR, Tissue.LUNG))

    def contrast(mask: np.ndarray) -> float:
        return float(shown[mask].mean() / shown[~mask].mean())

    assert contrast(body) > 2.5
    assert contrast(body) > 1.3 * contrast(body[..., ::-1])


def on_each_other(case: Case, facts: dict, name: str, *maps: str) -> list[np.ndarray]:
    """Pixels of a series and its maps, (slices, rows, columns), from the base."""
    found = [np.stack(pixels(case, series_of(facts, name)))]
    for what in maps:
        path = case.folder / "truth" / facts["maps"][name][what]
        # Maps run along F1 x F2: here from the apex.
        found.append(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[::-1])
    return found


def pixels(case: Case, series: dict) -> list[np.ndarray]:
    files = sorted((case.folder / series["folder"]).glob("*.dcm"))
    return [dcmread(file).pixel_array.astype(float) for file in files]


def test_the_numbers_of_the_patient_agree_with_the_labels(case: Case, facts: dict) -> None:
    patient = facts["patient"]
    for chamber in ("left", "right"):
        found = patient[chamber]
        assert found["ef"] == pytest.approx(1 - found["esv_ml"] / found["edv_ml"], abs=1e-4)
    assert patient["field_strength_t"] == 1.5
    image = sitk.ReadImage(str(case.folder / "truth" / facts["maps"]["cine_sax"]["labels_ed"]))
    values = sitk.GetArrayFromImage(image)
    cavity = np.isin(values, (Tissue.LV_BLOOD, Tissue.PAPILLARY)).sum()
    millilitres = cavity * np.prod(image.GetSpacing()) / 1000
    assert millilitres == pytest.approx(patient["left"]["edv_ml"], rel=0.35)  # five thick slices
    assert patient["tissues"]["scar"]["label"] == Tissue.SCAR


def test_shifts_are_those_of_each_breath_hold(facts: dict) -> None:
    shifts = [one["shift_mm"] for one in series_of(facts, "cine_sax")["slices"]]
    assert len({tuple(shift["lps"]) for shift in shifts}) == 5
    for shift in shifts:
        length = np.linalg.norm([shift[axis] for axis in ("right", "down", "through")])
        assert length == pytest.approx(np.linalg.norm(shift["lps"]), abs=0.01)
    enhanced = [one["shift_mm"]["lps"] for one in series_of(facts, "lge_sax")["slices"]]
    assert enhanced != [shift["lps"] for shift in shifts]
    assert enhanced == [one["shift_mm"]["lps"] for one in series_of(facts, "psir_sax")["slices"]]


def test_the_truth_names_every_series_and_where_its_files_are(case: Case, facts: dict) -> None:
    for series in facts["series"]:
        files = list((case.folder / series["folder"]).glob("*.dcm"))
        assert files
        assert {str(dcmread(file).SeriesInstanceUID) for file in files} == {series["uid"]}
    assert [one["fault"] for one in facts["faults"]] == list(FAULTS)
    assert series_of(facts, "lge_sax")["folder"].startswith("late/")
    localizer = series_of(facts, "localizer")
    assert localizer["h"] is None
    assert "n" not in localizer


def test_the_same_plan_gives_the_same_files(tmp_path: Path) -> None:
    plan = small(Vendor.PHILIPS, "duplicated", phases=2, seed=9)

    def digests(folder: Path) -> dict[str, str]:
        write_case(folder, plan)
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }

    first = digests(tmp_path / "first")
    assert first == digests(tmp_path / "again")
    assert "truth/truth.json" in first
    assert replace(plan, seed=10).key != plan.key
