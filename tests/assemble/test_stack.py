from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset

from cmr_node.assemble.frames import Frames, frames_from
from cmr_node.assemble.records import Assembly, FindingKind, Refusal, Stack
from cmr_node.assemble.sequence import CardiacSequence
from cmr_node.assemble.stack import assemble
from cmr_node.dicom.header import Header, scan
from cmr_node.dicom.reading import read_header
from cmr_node.errors import BadInstance, StoreBroken
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.study import Plan, simulate_study
from tests.assemble.headers import AXIAL, ENHANCED_MR_IMAGE, SHORT_AXIS, cine, header
from tests.samples import data_set_bytes

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def no_file(one: Header) -> FileDataset:
    raise AssertionError(f"the file of {one.sop_instance_uid} was opened")


SINGLE: Frames = frames_from(no_file)


def put_together(headers: Sequence[Header], frames: Frames = SINGLE) -> Assembly:
    """``assemble``, and nothing got lost or doubled on the way."""
    assembly = assemble(headers, frames)
    placed = [(c.instance.sop_instance_uid, c.frame) for s in assembly.stacks for c in s.cells]
    refused = [one.instance.sop_instance_uid for one in assembly.refused]
    assert len(set(placed)) == len(placed)
    assert {uid for uid, _ in placed} | set(refused) == {h.sop_instance_uid for h in headers}
    assert not {uid for uid, _ in placed} & set(refused)
    return assembly


def one_stack(headers: Sequence[Header], frames: Frames = SINGLE) -> Stack:
    assembly = put_together(headers, frames)
    assert not assembly.refused
    (stack,) = assembly.stacks
    return stack


def kinds(stack: Stack) -> set[FindingKind]:
    return {finding.kind for finding in stack.findings}


def shape(stack: Stack) -> tuple[int, int]:
    return len(stack.slices), stack.phases


def shapes(assembly: Assembly) -> list[tuple[int, int]]:
    return [shape(stack) for stack in assembly.stacks]


def test_a_series_becomes_a_stack_in_order_of_place_and_beat() -> None:
    images = cine(slices=5, phases=10)
    random.Random(1).shuffle(images)
    stack = one_stack(images)
    assert shape(stack) == (5, 10)
    assert stack.findings == ()
    assert stack.phase_order == "TriggerTime"
    assert [one.position for one in stack.slices] == pytest.approx([0, 10, 20, 30, 40], abs=1e-4)
    along = [one.plane.position @ stack.plane.normal for one in stack.slices]
    assert along == sorted(along)
    for one in stack.slices:
        assert [cell.header.number("TriggerTime") for cell in one.cells] == [
            30.0 * p for p in range(10)
        ]
    assert stack.sequence is CardiacSequence.CINE
    assert stack.frame_of_reference_uid == "1.2.3"


def test_one_series_per_slice_becomes_the_same_stack_as_one_series() -> None:
    whole = one_stack(cine(slices=5, phases=10))
    apart = one_stack(
        [
            header(series=f"slice {s}", slice_number=s, phase=p, SeriesNumber=10 + s)
            for s in range(5)
            for p in range(10)
        ]
    )
    assert apart.findings == ()
    assert len(apart.series_instance_uids) == 5
    assert [one.plane for one in apart.slices] == [one.plane for one in whole.slices]
    assert shape(apart) == shape(whole)


@cache
def simulated(**form: Any) -> tuple[Assembly, tuple[Header, ...]]:
    plan = Plan(seed=3, slices=5, phases=8, rows=24, columns=32, pixel_spacing=9.0, **form)
    data_sets = {str(ds.SOPInstanceUID): ds for ds in simulate_study(plan)}
    headers = tuple(
        scan(data_set_bytes(ds), ds.file_meta.TransferSyntaxUID) for ds in data_sets.values()
    )
    frames = frames_from(lambda one: data_sets[one.sop_instance_uid])
    return put_together(headers, frames), headers


FORMS = [
    {},
    {"series_per_slice": True},
    {"multi_frame": True},
    {"multi_frame": True, "series_per_slice": True},
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("described", [True, False])
def test_a_simulated_study_gives_the_same_stacks_in_whatever_form_it_comes(
    form: dict[str, bool], described: bool
) -> None:
    assembly, _ = simulated(**form, described=described)
    plain, _ = simulated()
    by_shape = sorted(assembly.stacks, key=lambda s: -len(s.slices))
    views = {stack.view for stack in assembly.stacks}
    assert sorted(shapes(assembly)) == sorted(shapes(plain)) == [(1, 8), (1, 8), (5, 8)]
    assert all(stack.sequence is CardiacSequence.CINE for stack in assembly.stacks)
    assert all(stack.findings == () for stack in assembly.stacks)
    assert by_shape[0].view is View.SAX
    assert by_shape[0].recognised.certain
    assert views == (
        {View.SAX, View.TWO_CHAMBER, View.FOUR_CHAMBER} if described else {View.SAX, View.OTHER}
    )
    reference = max(plain.stacks, key=lambda s: len(s.slices))
    for mine, theirs in zip(by_shape[0].slices, reference.slices, strict=True):
        np.testing.assert_allclose(mine.plane.corners, theirs.plane.corners, atol=1e-6)
        assert len(mine.cells) == len(theirs.cells)


def test_the_cells_of_a_multi_frame_object_name_its_frames() -> None:
    assembly, headers = simulated(multi_frame=True)
    assert len(headers) == len(assembly.stacks)
    for stack in assembly.stacks:
        assert len(stack.instances) == 1
        frames = sorted(cell.frame for cell in stack.cells)
        assert frames == list(range(len(stack.slices) * stack.phases))
        for one in stack.slices:
            times = [cell.header.number("TriggerTime") for cell in one.cells]
            assert times == sorted(times)
            assert len(set(times)) == stack.phases


def test_the_order_of_arrival_does_not_matter() -> None:
    images = [
        *cine(slices=4, phases=3, series="cine"),
        *cine(slices=2, phases=3, series="again", AcquisitionTime="120000"),
        *cine(slices=3, phases=1, series="axial", iop=AXIAL, SeriesDescription="scout"),
        header(series="tilted", iop=SHORT_AXIS),
        *cine(slices=2, phases=3, series="colour", SamplesPerPixel=3),
    ]
    expected = put_together(images)
    for seed in range(5):
        random.Random(seed).shuffle(images)
        assert put_together(images) == expected


def test_stacks_are_numbered_as_the_scanner_numbered_the_series() -> None:
    images = [
        header(series=f"s{n}", SeriesNumber=n, FrameOfReferenceUID=f"1.{n}") for n in (30, 4, 100)
    ]
    stacks = put_together(images).stacks
    assert [stack.instances[0].number("SeriesNumber") for stack in stacks] == [4, 30, 100]


def test_phases_whose_positions_differ_by_rounding_are_one_slice() -> None:
    images = [
        header(slice_number=s, phase=p, **_moved(10.0 * s + 0.004 * p))
        for s in range(3)
        for p in range(10)
    ]
    stack = one_stack(images)
    assert shape(stack) == (3, 10)
    assert stack.findings == ()


def test_a_missing_slice_is_a_gap_and_says_where() -> None:
    images = [one for one in cine(slices=6, phases=2) if one.number("InstanceNumber") // 100 != 2]
    stack = one_stack(images)
    assert kinds(stack) == {FindingKind.GAP}
    assert stack.findings[0].text == "20.0 mm after slice 2; the usual step is 10.0 mm"


def test_uneven_steps_are_no_gap() -> None:
    images = cine(slices=4, phases=2) + cine(slices=1, phases=2, name="x", **_moved(43.0))
    assert kinds(one_stack(images)) == {FindingKind.UNEVEN_STEPS}


def _moved(along: float, iop: list[float] | None = None) -> dict[str, Any]:
    here = header() if iop is None else header(iop=iop)
    cosines = here.numbers("ImageOrientationPatient")
    normal = np.cross(cosines[:3], cosines[3:])
    moved = np.array(here.numbers("ImagePositionPatient")) + along * normal
    return {"ImagePositionPatient": [float(v) for v in moved]}


def test_two_slices_in_one_place_are_named() -> None:
    images = cine(slices=4, phases=2) + cine(slices=1, phases=2, name="x", **_moved(10.4))
    stack = one_stack(images)
    assert FindingKind.DUPLICATE_POSITIONS in kinds(stack)
    assert any("slices 2 and 3 are less than 1 mm apart" in f.text for f in stack.findings)


def test_two_images_of_one_moment_are_named_where_nothing_tells_acquisitions_apart() -> None:
    images = cine(slices=2, phases=10)
    again = cine(slices=1, phases=10, name="again", InstanceNumber=900)
    stack = one_stack(images + again)
    assert kinds(stack) == {FindingKind.DUPLICATE_POSITIONS, FindingKind.MISSING_PHASES}


def test_a_slice_that_is_tilted_stays_in_the_stack_and_is_named() -> None:
    tilted = _turned(SHORT_AXIS, 3.0)
    images = cine(slices=4, phases=2, iop=SHORT_AXIS)
    images += cine(slices=1, phases=2, name="x", iop=tilted, **_moved(40.0, SHORT_AXIS))
    stack = one_stack(images)
    assert FindingKind.TILTED_SLICES in kinds(stack)
    assert any("slice 5 by 3.0 deg" in f.text for f in stack.findings)


def test_a_slice_that_is_tilted_further_is_another_stack() -> None:
    tilted = _turned(SHORT_AXIS, 8.0)
    images = cine(slices=4, phases=2, iop=SHORT_AXIS) + cine(slices=1, phases=2, iop=tilted, name=1)
    assert sorted(shapes(put_together(images))) == [(1, 2), (4, 2)]


def _turned(iop: list[float], angle_deg: float) -> list[float]:
    """``iop`` with its plane turned about its rows."""
    row, column = np.array(iop[:3]), np.array(iop[3:])
    normal, angle = np.cross(row, column), np.radians(angle_deg)
    return [*iop[:3], *(float(v) for v in np.cos(angle) * column + np.sin(angle) * normal)]


@pytest.mark.parametrize("turn", ["ccw", "flip"])
def test_pictures_of_the_same_plane_that_lie_differently_are_two_stacks(turn: str) -> None:
    row, column = SHORT_AXIS[:3], SHORT_AXIS[3:]
    back = [-v for v in row]
    other = [*column, *back] if turn == "ccw" else [*back, *column]
    images = cine(slices=3, phases=2, iop=SHORT_AXIS) + cine(slices=3, phases=2, iop=other, name=1)
    assert shapes(put_together(images)) == [(3, 2), (3, 2)]


def test_sizes_and_spacings_that_differ_within_a_series_are_named() -> None:
    images = cine(slices=3, phases=2) + cine(
        slices=1, phases=2, name="x", **_moved(30.0), Rows=48, PixelSpacing=[0.625, 1.5]
    )
    stack = one_stack(images)
    assert kinds(stack) == {FindingKind.MIXED_SIZES, FindingKind.MIXED_SPACINGS}


def test_series_that_differ_in_size_are_not_joined() -> None:
    images = cine(slices=3, phases=2) + cine(
        slices=1, phases=2, series="other", **_moved(30.0), Rows=48
    )
    assert sorted(shapes(put_together(images))) == [(1, 2), (3, 2)]


def test_a_slice_short_of_phases_is_named() -> None:
    stack = one_stack(cine(slices=3, phases=10)[:-4])
    assert kinds(stack) == {FindingKind.MISSING_PHASES}
    assert stack.findings[0].text == "slice 3 has 6; the most is 10 phases"


def test_a_slice_that_was_repeated_goes_with_the_others_and_the_first_try_stands_apart() -> None:
    images = [
        header(series=f"s{s}", slice_number=s, phase=p, SeriesNumber=s, AcquisitionTime=f"1200{s}0")
        for s in range(4)
        for p in range(3)
    ]
    again = [
        header(series="s1 again", slice_number=1, phase=p, SeriesNumber=9, AcquisitionTime="121000")
        for p in range(3)
    ]
    assembly = put_together(images + again)
    first_try, main = (
        assembly.stacks
        if len(assembly.stacks[0].slices) == 1
        else (assembly.stacks[1], assembly.stacks[0])
    )
    assert shape(main) == (4, 3)
    assert again[0].series_instance_uid in main.series_instance_uids
    assert first_try.series_instance_uids == (images[3].series_instance_uid,)
    assert kinds(main) == kinds(first_try) == {FindingKind.REPEATED}


def test_a_stack_acquired_twice_is_two_stacks_not_one_interleaved() -> None:
    rest = [
        header(series=f"rest {s}", slice_number=s, phase=p, AcquisitionTime=f"1200{s}0")
        for s in range(4)
        for p in range(3)
    ]
    stress = [
        header(series=f"stress {s}", slice_number=s, phase=p, AcquisitionTime=f"1300{s}0")
        for s in range(4)
        for p in range(3)
    ]
    assembly = put_together(rest + stress)
    assert shapes(assembly) == [(4, 3), (4, 3)]
    for stack in assembly.stacks:
        assert len({h.text("AcquisitionTime")[:2] for h in stack.instances}) == 1


def test_a_slice_acquired_again_in_the_same_series_is_told_by_its_acquisition() -> None:
    images = cine(slices=3, phases=10)
    again = [header(slice_number=1, phase=p, name="x", AcquisitionNumber=2) for p in range(10)]
    assembly = put_together(images + again)
    assert sorted(shapes(assembly)) == [(1, 10), (3, 10)]
    (main,) = [stack for stack in assembly.stacks if len(stack.slices) == 3]
    assert {h.number("AcquisitionNumber") for h in main.instances} == {1, 2}


def test_an_lge_slice_acquired_again_is_not_a_second_phase() -> None:
    lge = {"SeriesDescription": "LGE sax", "CardiacNumberOfImages": 1}
    images = [header(slice_number=s, **lge) for s in range(5)]
    again = header(slice_number=2, name="x", TriggerTime=7.5, AcquisitionNumber=2, **lge)
    assert sorted(shapes(put_together([*images, again]))) == [(1, 1), (5, 1)]


def test_magnitude_and_phase_images_of_one_series_are_two_stacks() -> None:
    images = [
        one
        for kind in ("M", "P")
        for one in cine(slices=2, phases=4, name=kind, ImageType=["ORIGINAL", "PRIMARY", kind])
    ]
    assert shapes(put_together(images)) == [(2, 4), (2, 4)]


def test_other_frames_of_reference_are_other_stacks() -> None:
    images = cine(slices=3, phases=2) + cine(
        slices=3, phases=2, series="moved", FrameOfReferenceUID="1.2.4"
    )
    assert shapes(put_together(images)) == [(3, 2), (3, 2)]


def test_a_frame_of_reference_for_every_image_is_none_and_is_named() -> None:
    images = [
        header(slice_number=s, phase=p, FrameOfReferenceUID=f"1.2.{s}.{p}")
        for s in range(3)
        for p in range(2)
    ]
    stack = one_stack(images)
    assert kinds(stack) == {FindingKind.FRAME_OF_REFERENCE}
    assert stack.frame_of_reference_uid == ""


def test_series_without_a_frame_of_reference_are_not_joined() -> None:
    images = [
        header(series=f"s{s}", slice_number=s, phase=p, FrameOfReferenceUID=None)
        for s in range(3)
        for p in range(2)
    ]
    assembly = put_together(images)
    assert shapes(assembly) == [(1, 2)] * 3
    assert all(kinds(s) == {FindingKind.FRAME_OF_REFERENCE} for s in assembly.stacks)


def test_series_of_an_unknown_sequence_are_not_joined() -> None:
    images = [
        header(series=f"s{s}", slice_number=s, SeriesDescription="x", SequenceVariant="SK")
        for s in range(3)
    ]
    assert shapes(put_together(images)) == [(1, 1)] * 3


def test_phases_without_trigger_times_are_put_in_order_by_what_there_is() -> None:
    by_position = cine(slices=2, phases=3, TriggerTime=None)
    numbered = [
        _with(one, TemporalPositionIdentifier=3 - n % 3) for n, one in enumerate(by_position)
    ]
    stack = one_stack(numbered)
    assert stack.phase_order == "TemporalPositionIdentifier"
    assert [c.header.number("InstanceNumber") for c in stack.slices[0].cells] == [3, 2, 1]
    assert one_stack(by_position).phase_order == "InstanceNumber"


def _with(one: Header, **attributes: Any) -> Header:
    return Header(
        one.sop_instance_uid,
        one.sop_class_uid,
        one.transfer_syntax_uid,
        one.study_instance_uid,
        one.series_instance_uid,
        {**one.attributes, **attributes},
    )


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.88.33"}, Refusal.NOT_MR_IMAGE),
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2"}, Refusal.NOT_MR_IMAGE),
        ({"Rows": None}, Refusal.NO_PIXELS),
        ({"Columns": 0}, Refusal.NO_PIXELS),
        ({"SamplesPerPixel": 3}, Refusal.COLOUR),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, Refusal.MOSAIC),
        ({"ImageOrientationPatient": None}, Refusal.GEOMETRY),
        ({"ImageOrientationPatient": [1.0, 0, 0, 0, 1.5, 0]}, Refusal.GEOMETRY),
        ({"ImageOrientationPatient": [1.0, 0, 0, 1.0, 0, 0]}, Refusal.GEOMETRY),
        ({"ImageOrientationPatient": "left"}, Refusal.GEOMETRY),
        ({"ImagePositionPatient": None}, Refusal.GEOMETRY),
        ({"ImagePositionPatient": [1.0, 2.0]}, Refusal.GEOMETRY),
        ({"PixelSpacing": [0.0, 1.0]}, Refusal.GEOMETRY),
    ],
)
def test_what_cannot_lie_in_a_stack_is_refused_and_the_rest_is_not(
    attributes: dict[str, Any], reason: Refusal
) -> None:
    odd = header(name="odd", slice_number=1, **attributes)
    assembly = put_together([*cine(slices=2, phases=2), odd])
    assert shapes(assembly) == [(2, 2)]
    (refused,) = assembly.refused
    assert (refused.instance, refused.reason) == (odd, reason)
    assert refused.text


def test_a_multi_frame_object_that_cannot_be_read_is_refused_with_the_reason() -> None:
    def broken(one: Header) -> FileDataset:
        raise BadInstance("no functional groups")

    odd = header(sop_class_uid=ENHANCED_MR_IMAGE, NumberOfFrames=3)
    assembly = put_together([odd], frames_from(broken))
    assert [(r.reason, r.text) for r in assembly.refused] == [
        (Refusal.FRAMES, "no functional groups")
    ]


def test_a_store_that_fails_for_the_moment_refuses_nothing() -> None:
    def broken(one: Header) -> FileDataset:
        raise StoreBroken("input/output error")

    with pytest.raises(StoreBroken):
        assemble([header(sop_class_uid=ENHANCED_MR_IMAGE)], frames_from(broken))


def test_nothing_gives_nothing() -> None:
    assert assemble([], SINGLE) == Assembly((), ())


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "SamplesPerPixel", "NumberOfFrames"])
@pytest.mark.parametrize("value", ["INF", "-inf", "nan", "1e999"])
def test_a_number_that_is_not_finite_is_none(keyword: str, value: str) -> None:
    put_together([header(**{keyword: value})])


junk = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.integers(-(2**31), 2**31),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.floats(-2, 2), max_size=7),
    st.lists(st.text(max_size=3), max_size=3),
)


@settings(max_examples=150, deadline=None, database=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(sorted(header().attributes)), junk, max_size=5),
        min_size=1,
        max_size=8,
    )
)
def test_no_header_however_odd_breaks_assembling_or_gets_lost(
    odd: list[dict[str, Any]],
) -> None:
    put_together([header(name=n, slice_number=n % 3, **each) for n, each in enumerate(odd)])


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(st.lists(st.floats(-300, 300), min_size=3, max_size=3), max_size=30))
def test_slices_anywhere_are_in_order_along_the_normal(positions: list[list[float]]) -> None:
    images = [header(name=n, ImagePositionPatient=p) for n, p in enumerate(positions)]
    for stack in put_together(images).stacks:
        along = [float(one.plane.position @ stack.plane.normal) for one in stack.slices]
        assert along == sorted(along)


@cache
def real(folder: str) -> Assembly:
    return put_together([read_header(path) for path in sorted((SHARED / folder).rglob("*.dcm"))])


def table(assembly: Assembly) -> list[tuple[str, str, bool, int, int]]:
    return sorted(
        (str(s.sequence), str(s.view), s.recognised.certain, *shape(s)) for s in assembly.stacks
    )


needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared data are not here")


@needs_shared
@pytest.mark.parametrize(("patient", "slices"), [("SC-HF-I-01", 12), ("SC-HF-I-04", 10)])
def test_sunnybrook_merged_under_one_uid_and_without_a_word(patient: str, slices: int) -> None:
    assembly = real(f"sunnybrook-cine/{patient}")
    assert table(assembly) == [
        ("cine", "sax", True, slices, 20),
        *[("localizer", "other", True, 5, 1)] * 3,
    ]
    assert not assembly.refused
    assert {kind for stack in assembly.stacks for kind in kinds(stack)} == {
        FindingKind.FRAME_OF_REFERENCE
    }


@needs_shared
def test_animals_are_put_in_order_and_no_view_of_theirs_is_certain() -> None:
    assert table(real("pig-cine")) == [
        ("cine", "other", True, 14, 20),  # "LAx": which of the three is not said
        ("cine", "sax", False, 20, 20),
    ]
    assert table(real("lge-t1")) == [
        ("lge", "sax", False, 20, 1),
        ("t1_map", "other", False, 10, 1),
        ("t1_map", "sax", False, 20, 1),
    ]
    for folder in ("pig-cine", "lge-t1"):
        assert all(stack.findings == () for stack in real(folder).stacks)
