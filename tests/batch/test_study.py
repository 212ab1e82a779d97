from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from cmr_node.assemble.sequence import CardiacSequence
from cmr_node.batch.plan import Doing, Plan, Work
from cmr_node.batch.study import plan_study
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.outputs.reoriented import reorient_instance
from cmr_node.phantom.study import Plan as Phantom
from cmr_node.phantom.study import simulate_study
from tests.batch.contexts import (
    ABSENT,
    ACCEPTED,
    PRODUCER,
    UNTRUSTED,
    context_of,
    look_through,
    plans_of,
    write,
)
from tests.samples import mr, uid

TURNED = Orientation.ROT90CW


@pytest.fixture(scope="module")
def turned_sax() -> list[FileDataset]:
    plan = Phantom(
        seed=0, views=(View.SAX,), slices=3, phases=2, rows=60, columns=72, pixel_spacing=4.0,
        stored_as={View.SAX: TURNED},
    )  # fmt: skip
    return list(simulate_study(plan))


def names(images: list[FileDataset], folder: str = "") -> dict[str, FileDataset]:
    return {f"{folder}{number}.dcm": ds for number, ds in enumerate(images)}


def all_files(plans: list[Plan]) -> list[str]:
    return sorted(name for plan in plans for name in plan.record.files)


def test_a_turned_stack_is_planned_to_be_undone(
    tmp_path: Path, turned_sax: list[FileDataset]
) -> None:
    write(tmp_path, names(turned_sax))
    (plan,) = plans_of(context_of(tmp_path))
    record = plan.record
    assert (record.decision, record.sequence, record.view) == ("act", "cine", "sax")
    assert record.header is not None
    assert record.header.orientation is TURNED
    assert record.operation is TURNED.inverse
    assert record.study == turned_sax[0].StudyInstanceUID
    assert {(one.doing, one.operation) for one in plan.work} == {(Doing.REORIENT, TURNED.inverse)}
    assert len(record.files) == len(plan.work) == 6


def test_the_same_image_twice_is_one_image_in_two_files(
    tmp_path: Path, turned_sax: list[FileDataset]
) -> None:
    write(tmp_path, names(turned_sax) | names(turned_sax, "copy/"))
    (plan,) = plans_of(context_of(tmp_path))
    assert plan.record.decision == "act"
    assert len(plan.work) == 12
    assert plan.record.evidence.findings == ()


def test_two_images_under_one_uid_are_none_and_their_stack_is_not_turned(
    tmp_path: Path, turned_sax: list[FileDataset]
) -> None:
    other = mr(SOPInstanceUID=turned_sax[0].SOPInstanceUID)
    other.StudyInstanceUID = turned_sax[0].StudyInstanceUID
    other.SeriesInstanceUID = turned_sax[0].SeriesInstanceUID
    write(tmp_path, names(turned_sax) | {"other.dcm": other})
    plans = plans_of(context_of(tmp_path))
    assert {plan.record.decision for plan in plans} == {"refused"}
    twice = next(plan for plan in plans if plan.record.evidence.kind == "twice")
    assert twice.record.files == ("0.dcm", "other.dcm")
    assert "2 files with different content" in twice.record.reason
    assert {one.doing for plan in plans for one in plan.work} == {Doing.COPY}
    assert len(all_files(plans)) == 7


def test_a_uid_that_another_study_has_too_is_no_image(
    tmp_path: Path, turned_sax: list[FileDataset]
) -> None:
    write(tmp_path, names(turned_sax))
    context = context_of(tmp_path)
    found = look_through(context)
    rows = [(one.entry.path, one.header) for one in found]
    plans = plan_study(context, found[0].unit, rows, frozenset({found[0].uid}))
    assert {plan.record.decision for plan in plans} == {"refused"}
    assert any("another study" in plan.record.reason for plan in plans)


def test_without_asked_leaves_out_what_is_undecided_and_keeps_the_rest(
    tmp_path: Path, turned_sax: list[FileDataset]
) -> None:
    crooked = mr(study="b", ImageOrientationPatient=["1", "0", "0", "0", "0", "0"])
    report = mr(study="b", slice_number=3, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    write(tmp_path, names(turned_sax) | {"crooked.dcm": crooked, "report.dcm": report})
    work = {
        plan.record.files[0]: plan.work
        for plan in plans_of(context_of(tmp_path, without_asked=True))
    }
    assert work["crooked.dcm"] == ()
    assert work["report.dcm"] == (Work(b"report.dcm"),)
    assert len(work["0.dcm"]) == 6


def test_what_this_product_made_is_not_made_again(
    tmp_path: Path, turned_sax: list[FileDataset]
) -> None:
    made = [reorient_instance(ds, TURNED.inverse, PRODUCER) for ds in turned_sax]
    write(tmp_path, names(made))
    (plan,) = plans_of(context_of(tmp_path))
    assert (plan.record.decision, plan.record.evidence.kind) == ("leave", "own_product")
    assert {one.doing for one in plan.work} == {Doing.COPY}


def test_images_without_a_place_are_asked_with_what_their_words_say(tmp_path: Path) -> None:
    images = [
        mr(slice_number=n, ImagePositionPatient=None, ImageOrientationPatient=None)
        for n in range(3)
    ]
    write(tmp_path, names(images))
    (plan,) = plans_of(context_of(tmp_path))
    record = plan.record
    assert (record.decision, record.view, record.header) == ("ask", "sax", None)
    assert record.evidence.kind == "no_geometry"
    assert len(record.files) == 3


def test_images_of_which_nothing_is_known_are_asked(tmp_path: Path) -> None:
    image = mr(
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        SeriesDescription="",
        ScanOptions="",
    )
    write(tmp_path, names([image]))
    (plan,) = plans_of(context_of(tmp_path))
    assert plan.record.decision == "ask"
    assert "Neither the view nor the place" in plan.record.reason


@pytest.mark.parametrize(
    ("trusting", "decision", "doing"),
    [
        (UNTRUSTED, "ask", Doing.COPY),
        (ACCEPTED, "act", Doing.CORRECT),
        (ABSENT, "act", Doing.CORRECT),
    ],
)
def test_a_header_that_is_not_believed_leaves_it_to_the_network(
    tmp_path: Path, turned_sax: list[FileDataset], trusting: object, decision: str, doing: Doing
) -> None:
    write(tmp_path, names(turned_sax))
    (plan,) = plans_of(context_of(tmp_path, trusting=trusting))
    assert plan.record.decision == decision
    assert plan.record.network is not None
    assert plan.record.network.orientation is Orientation.ROT90CW
    assert {one.doing for one in plan.work} == {doing}
    if decision == "act":
        assert "patient geometry is not vouched for" in plan.record.reason
        assert plan.record.operation is Orientation.ROT90CCW


def test_an_absent_header_needs_no_geometry_to_be_corrected(tmp_path: Path) -> None:
    images = [
        mr(slice_number=n, ImagePositionPatient=None, ImageOrientationPatient=None)
        for n in range(3)
    ]
    write(tmp_path, names(images))
    (plan,) = plans_of(context_of(tmp_path, trusting=ABSENT))
    assert plan.record.decision == "act"
    assert plan.record.header is None


def test_what_is_stated_counts_only_where_the_header_is_silent(
    tmp_path: Path, turned_sax: list[FileDataset]
) -> None:
    silent = mr(study="b", SeriesDescription="", ScanOptions="", SequenceVariant="")
    write(tmp_path, names(turned_sax) | {"silent.dcm": silent})
    context = context_of(tmp_path, sequence=CardiacSequence.T2, view=View.SAX)
    record = {plan.record.files[0]: plan.record for plan in plans_of(context)}
    assert record["0.dcm"].sequence == "cine"
    assert (record["silent.dcm"].sequence, record["silent.dcm"].view) == ("t2", "sax")
    whats = {vote.what for vote in record["silent.dcm"].evidence.recognised}
    assert {"--sequence", "--view"} <= whats


def test_a_view_that_geometry_contradicts_is_not_certain_because_it_was_stated(
    tmp_path: Path,
) -> None:
    axial = mr(iop=[1, 0, 0, 0, 1, 0], SeriesDescription="")
    write(tmp_path, {"axial.dcm": axial})
    context = context_of(tmp_path, sequence=CardiacSequence.CINE, view=View.SAX)
    (plan,) = plans_of(context)
    assert not plan.record.evidence.certain
    assert plan.record.decision == "ask"


@pytest.mark.parametrize("colour", [True, False])
def test_what_is_no_grey_mr_image_is_left_with_its_reason(tmp_path: Path, colour: bool) -> None:
    ds = mr(SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    if colour:
        ds = mr(SamplesPerPixel=3)
    write(tmp_path, {"a.dcm": ds})
    (plan,) = plans_of(context_of(tmp_path))
    assert plan.record.decision == "leave"
    assert plan.record.evidence.kind == ("colour" if colour else "not_mr_image")


def test_a_plan_is_the_same_whatever_order_files_are_met_in(
    tmp_path: Path, turned_sax: list[FileDataset]
) -> None:
    write(tmp_path, names(turned_sax))
    context = context_of(tmp_path)
    found = look_through(context)
    rows = [(one.entry.path, one.header) for one in found]
    rng = np.random.default_rng(1)
    keys = {plan_study(context, found[0].unit, rows, frozenset())[0].key}
    rng.shuffle(rows)
    keys.add(plan_study(context, found[0].unit, rows, frozenset())[0].key)
    assert len(keys) == 1


def test_a_study_of_odd_uids_is_planned_whole(tmp_path: Path) -> None:
    images = [mr(slice_number=n, SOPInstanceUID=f"1.02.0{n}") for n in range(3)]
    images.append(mr(slice_number=9, series="b", SOPInstanceUID=uid("b")))
    write(tmp_path, names(images))
    assert all_files(plans_of(context_of(tmp_path))) == ["0.dcm", "1.dcm", "2.dcm", "3.dcm"]
