"""Volumes against masks, and scar against the rays it was drawn on."""

import numpy as np
import pytest

from cmr_node.geometry.standard_view import View
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.groups import Group
from cmr_node.phantom.body.measures import measure, scar_shares, volumes
from cmr_node.phantom.body.motion import END_SYSTOLE
from cmr_node.phantom.body.scar import Pattern, Scar, segment
from cmr_node.phantom.body.tissues import LV_CAVITY, LV_MUSCLE, SCARRED, Tissue
from cmr_node.phantom.scanner.render import Cine
from cmr_node.phantom.scanner.scan import Stack, cuts, label_map

GAP = 3.0


def by_mask(patient: Patient, phase: float, *wanted: tuple[Tissue, ...]) -> list[float]:
    """ml of each: areas in the label maps of a gapless short-axis stack times their distance."""
    stack = Stack(View.SAX, Cine(), slices=58, gap=GAP, shape=(100, 100), pixel_spacing=1.5)
    masks = np.stack([label_map(patient, cut, GAP, phase) for cut in cuts(patient, stack, (1,))])
    return [float(np.isin(masks, tissues).sum() * 1.5**2 * GAP / 1000) for tissues in wanted]


@pytest.mark.parametrize(("seed", "group"), list(enumerate(Group)))
@pytest.mark.parametrize("phase", [0.0, END_SYSTOLE])
def test_volumes_by_mask_and_by_integration_agree_within_two_per_cent(seed, group, phase):
    patient = Patient.draw(seed, group)
    truth = volumes(patient, phase)
    found = by_mask(patient, phase, LV_CAVITY, LV_MUSCLE, (Tissue.RV_BLOOD,))
    assert found == pytest.approx([truth.left, truth.muscle, truth.right], rel=0.02)


def test_the_grid_is_fine_enough():
    patient = Patient.draw(3)
    fine, coarse = volumes(patient, 0.0, 1.0), volumes(patient, 0.0, 2.0)
    assert coarse.left == pytest.approx(fine.left, rel=0.01)
    assert coarse.muscle == pytest.approx(fine.muscle, rel=0.01)


@pytest.mark.parametrize("group", Group)
@pytest.mark.parametrize("seed", range(3))
def test_muscle_is_neither_made_nor_lost(seed, group):
    patient = Patient.draw(seed, group)
    rest = volumes(patient, 0.0, 2.0).muscle
    for phase in (0.15, END_SYSTOLE, 0.5):
        assert volumes(patient, phase, 2.0).muscle == pytest.approx(rest, rel=0.03)


@pytest.mark.parametrize("seed", range(8))
def test_a_healthy_heart_has_the_volumes_of_one(seed):
    """Ranges of Petersen 2017 and Kawel-Boehm 2020, both sexes, papillary muscles as cavity."""
    found = measure(Patient.draw(seed, Group.NORMAL), 2.0)
    assert 85 < found.end_diastole.left < 230
    assert 0.50 < found.left_ejection_fraction < 0.75
    assert 85 < found.end_diastole.right < 250
    assert 0.40 < found.right_ejection_fraction < 0.72
    assert 60 < found.mass_g < 170
    assert found.end_systole.left_atrium > found.end_diastole.left_atrium
    assert found.scar_share == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_groups_differ_as_the_diseases_do(seed):
    groups = Group.NORMAL, Group.DILATED, Group.HYPERTROPHIC
    normal, dilated, thick = (measure(Patient.draw(seed, group), 2.0) for group in groups)
    assert dilated.end_diastole.left > normal.end_diastole.left + 30
    assert dilated.left_ejection_fraction < 0.42
    assert thick.mass_g > normal.mass_g + 15
    assert thick.left_ejection_fraction > 0.5


def infarcts(count: int = 6) -> list[Patient]:
    return [Patient.draw(seed, Group.INFARCT) for seed in range(count)]


def test_an_infarct_lies_in_its_territory_and_grows_from_the_endocardium():
    territories = {"lad": {1, 2, 7, 8, 13, 14, 17}, "rca": {3, 4, 9, 10, 15}, "lcx": set()}
    territories["lcx"] = {5, 6, 11, 12, 16}
    seen = set()
    for patient in infarcts(12):
        scar = patient.heart.left.scar
        assert scar is not None
        assert scar.pattern is Pattern.ISCHAEMIC
        share, by_segment, transmurality = scar_shares(patient)
        assert 0.005 < share < 0.5
        worst = int(np.argmax(by_segment)) + 1
        assert worst in territories[scar.territory]
        assert max(transmurality) <= scar.depth + 0.05
        seen.add(scar.territory)
    assert len(seen) == 3


def test_scar_moves_with_the_muscle_and_keeps_its_share():
    for patient in infarcts(3):
        share, *_ = scar_shares(patient)
        for phase in (0.0, END_SYSTOLE):
            scar, muscle = by_mask(patient, phase, SCARRED, LV_MUSCLE)
            assert scar / muscle == pytest.approx(share, abs=0.012)


def test_scar_reaches_as_deep_as_it_was_set():
    scar = Scar(Pattern.ISCHAEMIC, "lad", 2.0, 0.9, 0.5, 0.4, 0.6, False, False, (0.0, 1.0, 2.0))
    depth = np.linspace(0, 1, 1001, dtype=np.float32)
    middle = np.full_like(depth, 0.9)
    label = np.full(depth.shape, Tissue.MYOCARDIUM, np.uint8)
    scar.paint(label, middle, depth)
    assert np.isin(label, SCARRED).mean() == pytest.approx(0.6, abs=0.01)
    assert label[0] == Tissue.SCAR
    assert label[-1] == Tissue.MYOCARDIUM


@pytest.mark.parametrize(
    ("degrees", "level", "expected"),
    [
        (90, 0.1, 1),
        (150, 0.1, 2),
        (210, 0.1, 3),
        (270, 0.1, 4),
        (330, 0.1, 5),
        (30, 0.1, 6),
        (90, 0.5, 7),
        (30, 0.5, 12),
        (90, 0.8, 13),
        (180, 0.8, 14),
        (270, 0.8, 15),
        (0, 0.8, 16),
        (44, 0.8, 16),
        (0, 1.02, 17),
    ],
)
def test_segments_are_those_of_the_american_heart_association(degrees, level, expected):
    angle = np.radians([degrees])
    assert segment(np.cos(angle), np.sin(angle), np.array([level]))[0] == expected
