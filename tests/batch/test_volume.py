from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from cmr_node.assemble.sequence import CardiacSequence
from cmr_node.batch.plan import Doing, Plan, Work
from cmr_node.batch.volume import plan_volume
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View, implied_orientation
from cmr_node.volumes.files import read_volume, reorient_volume
from tests.batch.contexts import ABSENT, ACCEPTED, context_of
from tests.samples import orthonormal

SHORT_AXIS = [-0.1046, 0.3464, -0.9322, -0.7332, -0.6602, -0.1630]


def write(
    path: Path, *, shape: tuple[int, ...] = (32, 24, 6), codes: int = 1, **header: object
) -> None:
    """A short axis volume: double oblique, of unequal spacing."""
    iop = np.array(orthonormal(SHORT_AXIS))
    axes = np.stack([iop[:3] * 1.5, iop[3:] * 1.25, np.cross(iop[:3], iop[3:]) * 10], axis=1)
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ axes
    affine[:3, 3] = [80, 120, 60]
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", "sec")
    for name, value in header.items():
        image.header[name] = value
    image.set_sform(affine, code=codes)
    image.set_qform(affine, code=codes)
    nibabel.save(image, path)


def planned(folder: Path, name: str, **options: object) -> Plan:
    return plan_volume(context_of(folder, **options), b"volume\0x", name.encode())


def test_the_words_of_the_file_name_tell_what_it_is(tmp_path: Path) -> None:
    write(tmp_path / "p1_lge_sax.nii.gz")
    record = planned(tmp_path, "p1_lge_sax.nii.gz").record
    assert (record.sequence, record.view, record.evidence.certain) == ("lge", "sax", True)
    assert {vote.what for vote in record.evidence.recognised} == {"file name", "affine"}
    assert record.study is None


def test_the_affine_stands_for_the_header(tmp_path: Path) -> None:
    write(tmp_path / "cine_sax.nii")
    plan = planned(tmp_path, "cine_sax.nii")
    planes = read_volume(tmp_path / "cine_sax.nii").planes
    assert planes is not None
    implied = implied_orientation(planes[0], View.SAX)
    assert implied is not None
    assert plan.record.header is not None
    assert plan.record.header.orientation is implied.orientation


def test_a_film_of_one_beat_is_a_cine(tmp_path: Path) -> None:
    write(tmp_path / "x.nii", shape=(32, 24, 6, 20), pixdim=[1, 1.5, 1.25, 10, 0.04, 0, 0, 0])
    record = planned(tmp_path, "x.nii").record
    assert (record.sequence, record.view) == ("cine", "sax")
    assert "time step" in {vote.what for vote in record.evidence.recognised}


def test_a_nameless_volume_is_what_it_is_stated_to_be(tmp_path: Path) -> None:
    write(tmp_path / "x.nii")
    silent = planned(tmp_path, "x.nii").record
    assert (silent.sequence, silent.decision) == ("other", "ask")
    assert "--sequence" in silent.reason
    stated = planned(tmp_path, "x.nii", sequence=CardiacSequence.LGE).record
    assert (stated.sequence, stated.view, stated.evidence.certain) == ("lge", "sax", True)


@pytest.mark.parametrize("orientation", Orientation)
def test_all_eight_are_recognised_and_undone(tmp_path: Path, orientation: Orientation) -> None:
    write(tmp_path / "cine_sax.nii")
    header = planned(tmp_path, "cine_sax.nii").record.header
    assert header is not None
    standard = tmp_path / "standard_cine_sax.nii"
    reorient_volume(tmp_path / "cine_sax.nii", standard, header.orientation.inverse, "made")
    stored = tmp_path / "stored_cine_sax.nii"
    reorient_volume(standard, stored, orientation, "stored")
    plan = planned(tmp_path, stored.name)
    assert plan.record.operation is orientation.inverse
    if orientation is Orientation.IDENTITY:
        assert (plan.record.decision, plan.work) == ("leave", (Work(stored.name.encode()),))
    else:
        assert plan.record.decision == "act"
        assert plan.work[0].doing is Doing.REORIENT


def test_without_a_place_in_the_patient_a_person_is_asked(tmp_path: Path) -> None:
    write(tmp_path / "cine_sax.nii", codes=0)
    record = planned(tmp_path, "cine_sax.nii").record
    assert (record.decision, record.header) == ("ask", None)
    assert "qform_code and sform_code are 0" in record.reason


@pytest.mark.parametrize("trusting", [ABSENT, ACCEPTED])
def test_a_header_that_is_not_believed_leaves_it_to_the_network(
    tmp_path: Path, trusting: object
) -> None:
    write(tmp_path / "cine_sax.nii")
    plan = planned(tmp_path, "cine_sax.nii", trusting=trusting)
    assert plan.record.decision == "act"
    assert plan.work[0].doing is Doing.CORRECT
    assert "not vouched for" in plan.record.reason


def test_what_cannot_be_read_is_named_and_not_copied(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"no gz at all")
    plan = planned(tmp_path, "a.nii.gz")
    assert plan.record.decision == "refused"
    assert plan.work == ()
    assert plan.record.reason


def test_a_sound_volume_that_is_not_taken_is_copied(tmp_path: Path) -> None:
    colour = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colour, np.eye(4)), tmp_path / "rgb.nii")
    plan = planned(tmp_path, "rgb.nii")
    assert plan.record.decision == "refused"
    assert plan.work == (Work(b"rgb.nii"),)
    assert planned(tmp_path, "rgb.nii", without_asked=True).work == ()
