import numpy as np
import pytest

from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.groups import Group
from cmr_node.phantom.body.motion import END_SYSTOLE, contraction, ejection, filling, inlets_closed
from cmr_node.phantom.body.tissues import LV_CAVITY, LV_MUSCLE, Tissue

STEP_MM = 4.0


def grid() -> np.ndarray:
    """(3, x, y, z), mm LPS: the whole chest."""
    axes = [np.arange(low, high, STEP_MM) for low, high in ((-185, 185), (-125, 125), (-120, 110))]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def centroid(points: np.ndarray, labels: np.ndarray, *tissues: Tissue) -> np.ndarray:
    return points[:, np.isin(labels, tissues)].mean(axis=1)


@pytest.fixture(scope="module", params=Group)
def beat(request):
    """A patient, the grid, and the tissues at end-diastole and end-systole."""
    patient, points = Patient.draw(4, request.param), grid()
    return patient, points, patient.labels(points, 0.0), patient.labels(points, END_SYSTOLE)


def test_left_and_right_and_up_and_down_are_where_anatomy_has_them(beat):
    _, points, labels, _ = beat
    left_ventricle = centroid(points, labels, Tissue.LV_BLOOD)
    right_ventricle = centroid(points, labels, Tissue.RV_BLOOD)
    atria = centroid(points, labels, Tissue.LA_BLOOD, Tissue.RA_BLOOD)
    liver = centroid(points, labels, Tissue.LIVER)
    spine = centroid(points, labels, Tissue.FLUID)
    left_atrium = centroid(points, labels, Tissue.LA_BLOOD)
    right_atrium = centroid(points, labels, Tissue.RA_BLOOD)
    assert left_ventricle[0] > 25  # in the left chest
    assert right_atrium[0] < left_atrium[0] - 20
    assert right_atrium[1] < left_atrium[1] - 10  # the left atrium is the rearmost chamber
    assert right_ventricle[0] < left_ventricle[0] - 15  # right of the left one,
    assert right_ventricle[1] < left_ventricle[1] - 15  # and in front of it
    assert atria[1] > (left_ventricle + right_ventricle)[1] / 2 + 15  # behind the ventricles
    assert atria[2] > left_ventricle[2]  # and above them
    assert liver[0] < -20  # right
    assert liver[2] < left_ventricle[2] - 30  # below the heart
    assert abs(spine[0]) < 5
    assert spine[1] > left_ventricle[1] + 60


def test_the_heart_is_where_its_axes_say(beat):
    patient, points, labels, _ = beat
    heart = patient.heart
    np.testing.assert_allclose(heart.axes @ heart.axes.T, np.eye(3), atol=1e-12)
    left_ventricle = centroid(points, labels, Tissue.LV_BLOOD, Tissue.PAPILLARY)
    assert np.linalg.norm(left_ventricle - heart.place(0, 0, 0.40 * heart.length)) < 7
    towards_right = centroid(points, labels, Tissue.RV_BLOOD) - left_ventricle
    assert towards_right @ heart.septal > 20
    assert heart.apical[0] > 0.3  # left,
    assert heart.apical[1] < -0.3  # forward
    assert heart.apical[2] < -0.1  # and down
    assert heart.anterior[2] > 0.5
    np.testing.assert_allclose(np.cross(heart.septal, heart.apical), heart.anterior, atol=1e-12)


def test_nothing_of_the_heart_is_cut_off_by_the_bound_of_its_reach(beat):
    patient, points, _, _ = beat
    flat = points.reshape(3, -1)
    chest = patient.still(flat)
    for phase in (0.0, END_SYSTOLE, 0.7):
        unbounded = chest.copy()
        patient.heart.paint(unbounded, flat, phase)
        assert np.all(patient.heart.near(flat)[unbounded != chest])
        assert np.all(patient.heart.reached(flat)[unbounded != chest])


def test_a_ray_of_the_wall_keeps_its_area_over_the_beat(beat):
    """Exactly, at every level and angle: cross-section times length of the ventricle."""
    left = beat[0].heart.left
    level = np.repeat(np.linspace(0.05, 1.05, 21), 24).astype(np.float32)
    angle = np.tile(np.arange(24) * np.pi / 12, 21).astype(np.float32)
    cosine, sine = np.cos(angle), np.sin(angle)
    *_, endo_rest, epi_rest = left.radii(level, cosine, sine, 0.0)
    for phase in (0.1, END_SYSTOLE, 0.5, 0.9):
        endo, epi, *_ = left.radii(level, cosine, sine, contraction(phase))
        now = (epi**2 - endo**2) * (left.length - left.drop(phase))
        np.testing.assert_allclose(now, (epi_rest**2 - endo_rest**2) * left.length, rtol=2e-3)
        assert np.all(endo <= endo_rest)


def test_the_ventricle_empties_and_its_wall_thickens(beat):
    _, _, diastole, systole = beat
    for tissues in (LV_CAVITY, (Tissue.RV_BLOOD,)):
        before, after = (np.isin(labels, tissues).sum() for labels in (diastole, systole))
        assert 0.1 < 1 - after / before < 0.75
    muscle = [np.isin(labels, LV_MUSCLE).sum() for labels in (diastole, systole)]
    assert muscle[1] == pytest.approx(muscle[0], rel=0.05)


def test_valves_move_towards_the_apex_and_back(beat):
    left = beat[0].heart.left
    drops = [left.drop(phase) for phase in np.linspace(0, 1, 101)]
    assert drops[0] == drops[-1] == pytest.approx(0, abs=1e-9)
    assert max(drops) == pytest.approx(left.descent, rel=1e-2)
    for phase in np.linspace(0, 1, 101):
        assert not (ejection(phase) > 0 and filling(phase) > 0)
        assert not (inlets_closed(phase) and filling(phase) > 0)


def test_chambers_meet_only_through_valves(beat):
    """Neighbours on a fine grid: no blood of one side touches that of the other."""
    heart = beat[0].heart
    axis = np.arange(-55, 80, 1.25)
    local = np.stack(np.meshgrid(axis, axis, axis, indexing="ij")).reshape(3, -1)
    points = (heart.base[:, None] + heart.axes.T @ local).astype(np.float32)
    labels = np.zeros(points.shape[1], np.uint8)  # the chest around the heart does not matter
    heart.paint(labels, points, 0.0)
    labels = labels.reshape(108, 108, 108)
    left = np.isin(labels, (Tissue.LV_BLOOD, Tissue.LA_BLOOD))
    right = np.isin(labels, (Tissue.RV_BLOOD, Tissue.RA_BLOOD))
    touching = sum(
        (np.take(left, range(107), a) & np.take(right, range(1, 108), a)).sum()
        + (np.take(right, range(107), a) & np.take(left, range(1, 108), a)).sum()
        for a in range(3)
    )
    assert touching == 0


def test_every_tissue_of_the_heart_is_there(beat):
    patient = beat[0]
    points = grid()
    fine = np.concatenate(
        [np.unique(patient.labels(points + offset, 0.7)) for offset in (0.0, 1.3, 2.1)]
    )
    expected = {
        Tissue.LV_BLOOD,
        Tissue.RV_BLOOD,
        Tissue.LA_BLOOD,
        Tissue.RA_BLOOD,
        Tissue.MYOCARDIUM,
        Tissue.RV_WALL,
        Tissue.PAPILLARY,
        Tissue.EPICARDIAL_FAT,
        Tissue.PERICARDIUM,
        Tissue.VESSEL_WALL,
        Tissue.LIVER,
        Tissue.SPLEEN,
        Tissue.LUNG,
        Tissue.CARTILAGE,
        Tissue.CORD,
    }
    assert expected <= set(fine)
    assert (Tissue.SCAR in fine) == (patient.heart.left.scar is not None)


def test_the_same_seed_is_the_same_patient_and_another_is_not():
    points = grid()[:, ::2, ::2, ::2]
    first, again, other = (Patient.draw(seed).labels(points, 0.2) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert np.mean(first != other) > 0.02


def test_points_of_any_shape_give_labels_of_that_shape_and_the_same_answer():
    patient, points = Patient.draw(0), grid()[:, ::3, ::3, ::3]
    labels = patient.labels(points, 0.3)
    assert labels.shape == points.shape[1:]
    one = patient.labels(points[:, 30, 14, 10], 0.3)
    assert one.shape == ()
    assert one == labels[30, 14, 10]
    fortran = patient.labels(np.asfortranarray(points), 0.3)
    assert np.array_equal(fortran, labels)


def test_a_place_outside_the_body_is_air():
    far = np.array([[300.0, 0, 0], [0, 200, 0]], np.float32).T
    assert patient_labels(far).tolist() == [Tissue.AIR, Tissue.AIR]


def patient_labels(points: np.ndarray) -> np.ndarray:
    return Patient.draw(0).labels(points, 0.0)


def test_one_beat_ejects_fills_rests_and_ends_where_it_began():
    beats = np.array([contraction(phase) for phase in np.linspace(0, 1, 201)])
    assert beats[0] == 0
    assert beats[-1] == pytest.approx(0, abs=1e-9)
    assert np.argmax(beats) / 200 == pytest.approx(END_SYSTOLE, abs=0.01)
    assert beats.max() == pytest.approx(1, abs=1e-3)
    assert beats.min() >= 0
    assert np.abs(np.diff(beats)).max() < 0.05  # no jump
    assert contraction(1.2) == pytest.approx(contraction(0.2))
    assert contraction(-0.1) == pytest.approx(contraction(0.9))
