"""What the folder tool makes, read by programs that are not ours.

dcm2niix, nibabel and SimpleITK are shown source and result: each value must lie where it lay in
the patient.  Then the real studies, where they lie beside the checkout.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.study import simulate_study
from tests.dciodvfy import needs_dciodvfy, new_errors
from tests.folder_trees import (
    PLAN,
    TURNED,
    Record,
    contents,
    is_standard,
    nifti,
    numbered,
    record_of,
    reported,
    run,
    write,
)
from tests.geometry.real_slices import DATA, needs_data
from tests.samples import part10_bytes

pytestmark = pytest.mark.system

needs_dcm2niix = pytest.mark.skipif(
    shutil.which("dcm2niix") is None, reason="dcm2niix is not installed"
)
PLACE_MM = 1e-3


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def converted(folder: Path, out: Path) -> list[Any]:
    """The volumes that dcm2niix makes of a folder of images, in the order of their times."""
    out.mkdir()
    subprocess.run(
        ["dcm2niix", "-b", "n", "-z", "n", "-f", "%s_%d", "-o", out, folder],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return [nibabel.load(path) for path in sorted(out.iterdir())]


def same_places(first: Any, second: Any) -> None:
    """Every voxel of two volumes has the same value at the same point of the patient."""
    one, two = (nibabel.as_closest_canonical(image) for image in (first, second))
    np.testing.assert_allclose(one.affine, two.affine, atol=PLACE_MM)
    np.testing.assert_array_equal(one.get_fdata(), two.get_fdata())


@needs_dcm2niix
@pytest.mark.parametrize("stored", [o for o in Orientation if o is not Orientation.IDENTITY])
def test_dcm2niix_finds_every_value_where_it_was(tmp_path: Path, stored: Orientation) -> None:
    plan = replace(
        PLAN, seed=1, slices=4, phases=1, views=(View.SAX,), stored_as={View.SAX: stored}
    )
    files = [part10_bytes(ds) for ds in simulate_study(plan)]
    write(tmp_path / "source", files, numbered)
    code, (record,) = reported(
        tmp_path / "r.json", "standardise", tmp_path / "source", tmp_path / "target"
    )
    assert (code, record["decision"]) == (0, "act")
    before = converted(tmp_path / "source", tmp_path / "before")
    after = converted(tmp_path / "target", tmp_path / "after")
    assert len(before) == len(after) == 1
    assert before[0].shape[2] == 4
    same_places(before[0], after[0])


# NIfTI


@dataclass(frozen=True)
class Volumes:
    """NIfTI files of one heart in all eight orientations, before and after."""

    source: Path
    target: Path
    records: list[Record]


FORMS: dict[str, dict[str, Any]] = {
    "cine_sax_float.nii": {"dtype": "float32", "scl_slope": 2.5, "scl_inter": -7},
    "cine_sax_scaled.nii.gz": {"scl_slope": 0.5, "scl_inter": 1000},
    "cine_sax_big_endian.nii": {"order": ">"},
    "cine_sax_two.nii": {"version": 2},
    "cine_sax_sform_only.nii": {"qform": None, "pixdim": [1, 4, 4, 10, 35.5, 1, 1, 1]},
    "cine_sax_qform_only.nii": {"sform": None},
}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Volumes:
    folder = tmp_path_factory.mktemp("volumes")
    source = folder / "source"
    source.mkdir()
    for stored in Orientation:
        nifti(source / f"cine_sax_{stored}.nii.gz", 1, stored)
    for name, fields in FORMS.items():
        nifti(source / name, 1, TURNED, **fields)
    code, records = reported(folder / "r.json", "standardise", source, folder / "target")
    assert code == 0
    return Volumes(source, folder / "target", records)


NAMES = [f"cine_sax_{stored}.nii.gz" for stored in Orientation] + list(FORMS)


@pytest.mark.parametrize("stored", Orientation)
def test_the_orientation_of_a_volume_is_found_and_undone(
    volumes: Volumes, stored: Orientation
) -> None:
    name = f"cine_sax_{stored}.nii.gz"
    record = record_of(volumes.records, name)
    assert record["study"] is None
    assert record["header"]["orientation"] == str(stored)
    assert record["operation"] == str(stored.inverse)
    assert record["decision"] == ("leave" if stored is Orientation.IDENTITY else "act")
    one = nibabel.load(volumes.target / name)
    standard = nibabel.load(volumes.source / f"cine_sax_{Orientation.IDENTITY}.nii.gz")
    np.testing.assert_array_equal(one.dataobj, standard.dataobj)
    np.testing.assert_allclose(one.affine, standard.affine, atol=PLACE_MM)


@pytest.mark.parametrize("name", NAMES)
def test_nibabel_finds_every_value_where_it_was_by_both_forms(volumes: Volumes, name: str) -> None:
    before, after = (nibabel.load(root / name) for root in (volumes.source, volumes.target))
    same_places(before, after)
    for form in ("sform", "qform"):
        old, old_code = getattr(before, f"get_{form}")(coded=True)
        new, new_code = getattr(after, f"get_{form}")(coded=True)
        assert old_code == new_code
        if old is not None:
            same_places(
                nibabel.Nifti1Image(before.get_fdata(), old),
                nibabel.Nifti1Image(after.get_fdata(), new),
            )
    assert after.header.get_xyzt_units() == before.header.get_xyzt_units()
    assert after.get_data_dtype() == before.get_data_dtype()
    assert after.header.get_slope_inter() == before.header.get_slope_inter()
    columns, rows, *others = before.header.get_zooms()
    turned = before.shape[:2] != after.shape[:2]
    expected = (rows, columns, *others) if turned else (columns, rows, *others)
    np.testing.assert_allclose(after.header.get_zooms(), expected, rtol=1e-6)
    assert after.header["pixdim"][4] == 35.5


@pytest.mark.parametrize("name", [name for name in NAMES if "two" not in name])
def test_simpleitk_finds_every_value_where_it_was(volumes: Volumes, name: str) -> None:
    before, after = (
        SimpleITK.ReadImage(str(root / name)) for root in (volumes.source, volumes.target)
    )
    assert before.GetSize()[3] == after.GetSize()[3] == PLAN.phases
    assert before.GetSpacing()[3] == after.GetSpacing()[3]
    for phase in range(PLAN.phases):
        one, two = (SimpleITK.DICOMOrient(image[..., phase], "LPS") for image in (before, after))
        np.testing.assert_allclose(one.GetOrigin(), two.GetOrigin(), atol=PLACE_MM)
        np.testing.assert_allclose(one.GetDirection(), two.GetDirection(), atol=1e-6)
        np.testing.assert_allclose(one.GetSpacing(), two.GetSpacing(), rtol=1e-6)
        np.testing.assert_array_equal(
            SimpleITK.GetArrayViewFromImage(one), SimpleITK.GetArrayViewFromImage(two)
        )


def test_volumes_that_were_turned_are_left_the_next_time(volumes: Volumes, tmp_path: Path) -> None:
    assert run("standardise", volumes.target, tmp_path / "again") == 0
    assert contents(tmp_path / "again") == contents(volumes.target)


# Real studies


@dataclass(frozen=True)
class Real:
    """All the real data, through the tool."""

    target: Path
    code: int
    records: list[Record]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    folder = tmp_path_factory.mktemp("real")
    code, records = reported(
        folder / "r.json", "standardise", DATA, folder / "target", "--workers", "2"
    )
    return Real(folder / "target", code, records)


EXPECTED = [
    ("sunnybrook-cine/SC-HF-I-01/sax", "act", "rot90cw", 240),
    ("sunnybrook-cine/SC-HF-I-04/sax", "leave", "identity", None),
    ("sunnybrook-cine/SC-HF-I-01/localizer", "leave", "identity", None),
    ("sunnybrook-cine/SC-HF-I-04/localizer", "leave", "identity", None),
    ("pig-cine/sax", "ask", "identity", None),
    ("lge-t1/lge-psir", "ask", "identity", None),
    ("lge-t1/t1map-molli", "ask", "identity", None),
    ("lge-t1/t1map-wideband", "ask", "identity", None),
]


@needs_data
@pytest.mark.parametrize(("series", "decision", "operation", "count"), EXPECTED)
def test_a_real_series_is_decided_as_a_reader_would(
    real: Real, series: str, decision: str, operation: str, count: int | None
) -> None:
    names = {f"{series}/{path.name}" for path in (DATA / series).iterdir()}
    found = [record for record in real.records if names & set(record["files"])]
    assert {file for record in found for file in record["files"]} == names
    assert {(record["decision"], record["operation"]) for record in found} == {
        (decision, operation)
    }
    assert len(names) == (count or len(names))


@needs_data
def test_every_real_file_that_was_acted_on_is_standard_and_no_other_is_changed(real: Real) -> None:
    assert real.code == 1
    for record in real.records:
        for file in record["files"]:
            if record["decision"] == "act":
                assert is_standard(real.target / file)
            elif record["decision"] != "refused":
                assert (real.target / file).read_bytes() == (DATA / file).read_bytes()


@needs_data
@needs_dciodvfy
def test_dciodvfy_finds_no_error_that_the_source_has_not(real: Real) -> None:
    acted = [file for one in real.records if one["decision"] == "act" for file in one["files"]]
    for file in random.Random(1).sample(sorted(acted), 4):
        assert not new_errors(real.target / file, DATA / file)


@needs_data
def test_recognise_says_of_real_studies_what_standardise_does(real: Real, tmp_path: Path) -> None:
    code, records = reported(tmp_path / "r.json", "recognise", DATA, "--workers", "2")
    assert (code, records) == (real.code, real.records)
