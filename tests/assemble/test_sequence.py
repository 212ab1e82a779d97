from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cmr_node.assemble.sequence import CardiacSequence, recognise_sequence
from cmr_node.assemble.view import recognise_view
from cmr_node.dicom.header import Header
from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View, tilt_from_nominal_deg
from tests.assemble.headers import AXIAL, CORONAL, SAGITTAL, SHORT_AXIS, cine, header

NOTHING_SAID = {"SeriesDescription": None, "ProtocolName": None}
INVERSION = {"ScanningSequence": ["GR", "IR"], "SequenceVariant": "MP"}


def stack(slices: int, iop: list[float] = SHORT_AXIS, **attributes: object) -> list[Header]:
    """One image per slice."""
    return [header(slice_number=s, iop=iop, **attributes) for s in range(slices)]


def planes(headers: Sequence[Header]) -> list[Plane]:
    return [
        Plane.from_dicom(
            h.numbers("ImageOrientationPatient"),
            h.numbers("ImagePositionPatient"),
            h.numbers("PixelSpacing"),
            24,
            32,
        )
        for h in headers
    ]


def view_of(headers: Sequence[Header], sequence: CardiacSequence = CardiacSequence.CINE):
    """(view, certain) of one image per slice."""
    view, certain, _ = recognise_view(sequence, headers, planes(headers))
    return view, certain


def test_a_film_of_one_beat_is_a_cine_without_a_word_being_said() -> None:
    sequence, certain, evidence = recognise_sequence(cine(phases=20, **NOTHING_SAID))
    assert (sequence, certain) == (CardiacSequence.CINE, True)
    (trigger,) = [one for one in evidence if one.what == "TriggerTime"]
    assert trigger.value == "20 per slice over 0.57 s"


def test_words_that_the_physics_contradict_are_not_certain() -> None:
    sequence, certain, evidence = recognise_sequence(cine(phases=20, SeriesDescription="LGE sax"))
    assert not certain
    assert {one.speaks_for for one in evidence} == {"cine", "lge"}
    assert sequence is CardiacSequence.CINE


def test_three_planes_at_right_angles_are_a_localizer_without_a_word() -> None:
    images = [
        header(iop=iop, slice_number=s, name=n, **NOTHING_SAID)
        for n, iop in enumerate((AXIAL, CORONAL, SAGITTAL))
        for s in range(5)
    ]
    assert recognise_sequence(images)[:2] == (CardiacSequence.LOCALIZER, True)


def test_three_planes_at_right_angles_that_move_are_no_localizer() -> None:
    images = [one for iop in (AXIAL, CORONAL, SAGITTAL) for one in cine(phases=20, iop=iop)]
    assert recognise_sequence(images)[0] is CardiacSequence.CINE


def test_one_inversion_recovery_image_per_slice_is_lge_without_a_word() -> None:
    images = stack(10, InversionTime=280.0, **INVERSION, **NOTHING_SAID)
    assert recognise_sequence(images)[:2] == (CardiacSequence.LGE, True)


def test_an_inversion_time_of_zero_as_ge_writes_it_says_nothing() -> None:
    images = stack(10, InversionTime=0.0, SequenceVariant=None, **NOTHING_SAID)
    assert recognise_sequence(images)[:2] == (CardiacSequence.OTHER, False)


def test_images_with_many_inversion_times_are_not_the_map_made_from_them() -> None:
    images = [
        header(phase=p, InversionTime=100.0 + 80 * p, SeriesDescription="MOLLI", **INVERSION)
        for p in range(8)
    ]
    sequence, certain, evidence = recognise_sequence(images)
    assert (sequence, certain) == (CardiacSequence.OTHER, False)
    assert "8 values in one slice" in {one.value for one in evidence}


def test_a_t1_map_is_known_by_its_image_type() -> None:
    kind = ["DERIVED", "PRIMARY", "T1 MAP", "ND"]
    images = stack(3, ImageType=kind, **INVERSION, **NOTHING_SAID)
    assert recognise_sequence(images)[:2] == (CardiacSequence.T1_MAP, True)


def test_an_echo_train_with_a_long_echo_is_t2_but_only_words_make_it_certain() -> None:
    physics = {"ScanningSequence": "SE", "SequenceVariant": "SK", "EchoTime": 60.0}
    assert recognise_sequence(stack(3, **physics, **NOTHING_SAID))[:2] == (
        CardiacSequence.T2,
        False,
    )
    assert recognise_sequence(stack(3, **physics, SeriesDescription="T2w STIR"))[:2] == (
        CardiacSequence.T2,
        True,
    )


def test_a_word_that_half_as_much_speaks_against_is_not_certain() -> None:
    physics = {"ScanningSequence": "SE", "SequenceVariant": "SK", "EchoTime": 60.0}
    assert recognise_sequence(stack(3, **physics, SeriesDescription="cine"))[:2] == (
        CardiacSequence.CINE,
        False,
    )


def test_velocity_images_are_no_cine_to_be_turned() -> None:
    images = cine(phases=20, SeriesDescription="flow aorta", ImageType=["ORIGINAL", "PRIMARY", "P"])
    assert recognise_sequence(images)[0] is CardiacSequence.OTHER


def test_a_slice_imaged_for_a_minute_is_a_course_in_time_not_a_beat() -> None:
    images = [
        header(
            phase=p,
            TriggerTime=100.0,
            AcquisitionTime=f"1200{p:02d}.5",
            SequenceVariant="SP",
            **NOTHING_SAID,
        )
        for p in range(50)
    ]
    assert recognise_sequence(images)[:2] == (CardiacSequence.OTHER, True)


def test_the_protocol_of_the_whole_examination_counts_only_where_the_series_says_nothing() -> None:
    said = stack(3, SeriesDescription="cine", ProtocolName="LGE protocol")
    assert {one.what for one in recognise_sequence(said)[2]} == {"SeriesDescription"}
    silent = stack(3, SeriesDescription=None, ProtocolName="LGE protocol")
    sequence, certain, _ = recognise_sequence(silent)
    assert (sequence, certain) == (CardiacSequence.LGE, False)


def test_where_nothing_tells_it_the_sequence_is_other_and_not_certain() -> None:
    sequence, certain, evidence = recognise_sequence(
        [Header("1", "2", "3", "4", "5", {"SeriesDescription": "x"})]
    )
    assert (sequence, certain) == (CardiacSequence.OTHER, False)
    assert evidence[0].weight == 0


def test_a_stack_along_the_heart_axis_is_short_axis_without_a_word() -> None:
    assert view_of(stack(8, **NOTHING_SAID)) == (View.SAX, True)


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        (stack(4, **NOTHING_SAID), "few slices"),
        (stack(8, step=5.0, **NOTHING_SAID), "short extent"),
        (stack(12, iop=AXIAL, **NOTHING_SAID), "axial"),
        (stack(12, iop=CORONAL, **NOTHING_SAID), "coronal"),
        (stack(12, iop=SAGITTAL, **NOTHING_SAID), "sagittal"),
    ],
)
def test_without_a_word_no_other_stack_is_short_axis(headers: list[Header], why: str) -> None:
    assert view_of(headers) == (View.OTHER, False), why


def test_an_unknown_sequence_along_the_heart_axis_is_not_taken_for_short_axis() -> None:
    images = stack(8, **NOTHING_SAID)
    assert view_of(images, CardiacSequence.OTHER) == (View.OTHER, False)


def test_a_localizer_has_no_view_whatever_it_is_called() -> None:
    images = stack(8, SeriesDescription="sax loc")
    assert view_of(images, CardiacSequence.LOCALIZER) == (View.OTHER, True)


def test_a_short_axis_by_name_whose_normal_points_elsewhere_is_not_certain() -> None:
    view, certain, evidence = recognise_view(
        CardiacSequence.CINE, (images := stack(8, iop=AXIAL)), planes(images)
    )
    assert (view, certain) == (View.SAX, False)
    assert min(one.weight for one in evidence) < 0


def test_a_long_axis_by_name_that_lies_like_a_short_axis_is_not_certain() -> None:
    for name in ("2ch", "3ch", "4ch"):
        assert view_of(stack(1, SeriesDescription=name)) == (View(name), False)
    assert view_of(stack(8, SeriesDescription="LAX")) == (View.OTHER, False)


@pytest.mark.parametrize("view", [View.TWO_CHAMBER, View.THREE_CHAMBER, View.FOUR_CHAMBER])
def test_a_long_axis_is_told_by_its_name_and_never_by_its_normal(view: View) -> None:
    iop = _where_it_lies(view)
    assert view_of(stack(1, iop=iop, SeriesDescription=f"cine {view}")) == (view, True)
    assert view_of(stack(1, iop=iop, **NOTHING_SAID)) == (View.OTHER, False)
    assert view_of(stack(12, iop=iop, **NOTHING_SAID)) == (View.OTHER, False)


def _where_it_lies(view: View) -> list[float]:
    """Cosines of a plane near the nominal one, found by trying directions on a sphere."""
    best, cosines = 90.0, AXIAL
    for number in range(500):
        z = 1 - (2 * number + 1) / 500
        angle = number * 2.399963
        normal = np.array([*(np.sqrt(1 - z * z) * np.array([np.cos(angle), np.sin(angle)])), z])
        row = np.cross(normal, [0.0, 0.0, 1.0])
        row /= np.linalg.norm(row)
        found = [float(v) for v in (*row, *np.cross(normal, row))]
        tilt_deg = tilt_from_nominal_deg(planes([header(iop=found)])[0], view)
        if tilt_deg is not None and tilt_deg < best:
            best, cosines = tilt_deg, found
    assert best < 6
    return cosines


def test_two_views_in_one_description_contradict_each_other() -> None:
    assert view_of(stack(8, SeriesDescription="sax from 4ch")) == (View.OTHER, False)


def test_the_name_of_another_view_keeps_a_stack_from_being_taken_for_short_axis() -> None:
    assert view_of(stack(8, SeriesDescription="RVOT"))[0] is View.OTHER


def test_a_view_named_by_the_protocol_alone_needs_the_geometry_to_agree() -> None:
    protocol = {"SeriesDescription": None, "ProtocolName": "cine sax"}
    assert view_of(stack(1, **protocol)) == (View.SAX, True)
    halfway = [0.9, 0.43589, 0.0, 0.0, 0.0, -1.0]  # neither for nor against
    images = stack(1, iop=halfway, **protocol)
    tilt_deg = tilt_from_nominal_deg(planes(images)[0], View.SAX)
    assert tilt_deg is not None
    assert 35 < tilt_deg < 45
    assert view_of(images) == (View.SAX, False)
