import numpy as np
import pytest

from cmr_node.phantom.anatomy import Patient
from cmr_node.phantom.heart import END_SYSTOLE, contraction
from cmr_node.phantom.tissues import Tissue

STEP_MM = 4.0
SEEDS = range(3)


def grid() -> np.ndarray:
    """(3, x, y, z), mm LPS: the whole chest."""
    axes = [np.arange(low, high, STEP_MM) for low, high in ((-185, 185), (-125, 125), (-120, 110))]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def centroid(points: np.ndarray, labels: np.ndarray, *tissues: Tissue) -> np.ndarray:
    return points[:, np.isin(labels, tissues)].mean(axis=1)


@pytest.fixture(scope="module", params=SEEDS)
def beat(request):
    """A patient, the grid, and the tissues at end-diastole and end-systole."""
    patient, points = Patient.draw(request.param), grid()
    return patient, points, patient.labels(points, 0.0), patient.labels(points, END_SYSTOLE)


def test_left_and_right_and_up_and_down_are_where_anatomy_has_them(beat):
    _, points, labels, _ = beat
    left_ventricle = centroid(points, labels, Tissue.LV_BLOOD)
    right_ventricle = centroid(points, labels, Tissue.RV_BLOOD)
    atria = centroid(points, labels, Tissue.ATRIAL_BLOOD)
    liver = centroid(points, labels, Tissue.LIVER)
    spine = centroid(points, labels, Tissue.FLUID)
    assert left_ventricle[0] > 25  # in the left chest
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
    assert np.linalg.norm(left_ventricle - heart.place(0, 0, 0.42 * heart.length)) < 4
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
    chest = patient.thorax.labels(flat)
    for phase in (0.0, END_SYSTOLE, 0.7):
        unbounded = chest.copy()
        patient.heart.paint(unbounded, flat, phase)
        assert np.all(patient.heart.near(flat)[unbounded != chest])


def test_the_ventricle_ejects_as_a_healthy_one_and_its_muscle_keeps_its_volume(beat):
    _, _, diastole, systole = beat
    cavity = [Tissue.LV_BLOOD, Tissue.PAPILLARY]
    before, after = (np.isin(labels, cavity).sum() for labels in (diastole, systole))
    millilitres = before * STEP_MM**3 / 1000
    assert 70 < millilitres < 190
    assert 0.5 < 1 - after / before < 0.75

    # The labels also hold right ventricular and atrial muscle, so the left one's wall is
    # measured by its radii, in the middle of the ventricle, with the shortening it takes.
    patient = beat[0]
    heart = patient.heart

    def wall_area(phase: float) -> float:
        drop = heart.descent * contraction(phase)
        level = drop + 0.3 * (heart.length - drop)
        around = np.linspace(0, 2 * np.pi, 180, endpoint=False)
        out = np.linspace(0, 60, 1201)
        lateral = np.cos(around) < -0.3  # away from the right ventricle
        directions = np.stack([np.cos(around), np.sin(around), np.zeros_like(around)])[:, lateral]
        local = directions[:, :, None] * out + np.array([0, 0, level])[:, None, None]
        points = heart.base[:, None, None] + np.einsum("ij,ikl->jkl", heart.axes, local)
        labels = patient.labels(points.astype(np.float32), phase)
        muscle = np.isin(labels, [Tissue.MYOCARDIUM])
        return float((muscle * out).sum() / lateral.sum() * (heart.length - drop))

    assert wall_area(END_SYSTOLE) == pytest.approx(wall_area(0.0), rel=0.05)


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
