import numpy as np
import pytest

from cmr_node.geometry.standard_view import View, implied_orientation
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.groups import Group
from cmr_node.phantom.body.tissues import SCARRED, Tissue
from cmr_node.phantom.scanner.acquire import Border, Receive
from cmr_node.phantom.scanner.molli import Molli
from cmr_node.phantom.scanner.planes import view_planes
from cmr_node.phantom.scanner.render import (
    LARGEST,
    MYOCARDIUM_LEVEL,
    PSIR_ZERO,
    Cine,
    LateEnhancement,
    T1Map,
    T2Weighted,
    cine_contrast,
)
from cmr_node.phantom.scanner.sample import Sampling, Slice, pixel_mean
from cmr_node.phantom.scanner.scan import Contrast, Stack, cuts, label_map, scan
from cmr_node.phantom.scanner.signals import relaxation

EVEN = Receive(signal_to_noise=200, sampled=(1, 1), filtered=0.1, ghost=0, coils=0, shim_hz=0)
SIZE = {"shape": (96, 112), "pixel_spacing": 2.2}
PROTOCOLS = [Cine(), LateEnhancement(), T2Weighted(), T1Map()]


def one(protocol, patient=None, **changes):
    """The middle short-axis slice and its label map."""
    patient = patient or Patient.draw(1, Group.NORMAL)
    stack = Stack(View.SAX, protocol, **(SIZE | changes))
    (acquired,) = scan(patient, stack, (5,))
    return acquired, label_map(patient, acquired.cut, protocol.thickness, 0.72)


def inside(labels, *tissues):
    """Pixels whose eight neighbours hold the same tissues: no partial volume."""
    mask = np.isin(labels, tissues)
    grown = mask.copy()
    for rows in (-1, 0, 1):
        for columns in (-1, 0, 1):
            grown &= np.roll(mask, (rows, columns), (0, 1))
    return grown


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: type(p).__name__)
def test_the_same_key_gives_the_same_pixels_and_another_does_not(protocol):
    patient = Patient.draw(2)
    stack = Stack(View.SAX, protocol, shape=(40, 48), pixel_spacing=5.0)
    first, again, other = (next(scan(patient, stack, (key,))) for key in (1, 1, 2))
    for contrast, pixels in first.images.items():
        assert np.array_equal(pixels, again.images[contrast])
        assert not np.array_equal(pixels, other.images[contrast])
        assert pixels.shape == (1, 40, 48)
        assert pixels.dtype == np.uint16
        assert pixels.max() <= LARGEST


def test_brightness_in_a_cine_is_that_of_the_equation():
    patient = Patient.draw(1, Group.NORMAL)
    acquired, _ = one(Cine(receive=EVEN), patient)
    labels = label_map(patient, acquired.cut, 8.0, 0.0)
    image = acquired.images[Contrast.CINE][0]
    muscle = image[inside(labels, Tissue.MYOCARDIUM)].mean()
    assert muscle == pytest.approx(MYOCARDIUM_LEVEL, rel=0.06)
    blood = image[inside(labels, Tissue.LV_BLOOD)].mean()
    signal, _ = cine_contrast(patient, Cine())
    expected = signal[Tissue.LV_BLOOD] / signal[Tissue.MYOCARDIUM]
    assert blood / muscle == pytest.approx(expected, rel=0.06)
    fat = image[inside(labels, Tissue.FAT)].mean()
    assert 1.5 < fat / muscle < 3.5
    assert image[labels == Tissue.AIR].mean() < 0.1 * muscle


def test_late_enhancement_shows_scar_bright_muscle_dark():
    patient = next(
        p
        for p in (Patient.draw(seed, Group.INFARCT) for seed in range(40))
        if p.heart.left.scar.depth > 0.7
        and not p.heart.left.scar.no_reflow
        and 0.35 < p.heart.left.scar.level < 0.6
    )
    acquired, labels = one(LateEnhancement(receive=EVEN, thickness=3.0), patient)
    assert np.isin(labels, SCARRED).sum() > 10
    for contrast, zero in ((Contrast.LATE_ENHANCEMENT, 0), (Contrast.PHASE_SENSITIVE, PSIR_ZERO)):
        image = acquired.images[contrast][0].astype(float) - zero
        scar = image[np.isin(labels, SCARRED)].mean()
        muscle = image[inside(labels, Tissue.MYOCARDIUM)].mean()
        blood = image[inside(labels, Tissue.LV_BLOOD)].mean()
        assert abs(muscle) < 0.25 * scar
        assert muscle < blood < 1.3 * scar


def test_t2_shows_dark_blood_and_dark_fat():
    acquired, labels = one(T2Weighted(receive=EVEN))
    image = acquired.images[Contrast.T2][0]
    muscle = image[inside(labels, Tissue.MYOCARDIUM)].mean()
    assert image[inside(labels, Tissue.LV_BLOOD)].mean() < 0.5 * muscle
    assert image[inside(labels, Tissue.FAT)].mean() < 0.5 * muscle


@pytest.mark.parametrize("tesla", [1.5, 3.0])
def test_a_t1_map_shows_the_apparent_t1_that_was_set(tesla):
    patient = Patient.draw(1, Group.NORMAL)
    acquired, labels = one(T1Map(tesla=tesla), patient)
    t1, t2, _ = relaxation(tesla, patient.tissue_jitter)
    expected = Molli().apparent(t1, t2, 60_000 / patient.heart_rate_bpm)
    image = acquired.images[Contrast.T1_MAP][0]
    for tissue, tolerance in ((Tissue.MYOCARDIUM, 0.03), (Tissue.LV_BLOOD, 0.03)):
        found = np.median(image[inside(labels, tissue)])
        assert found == pytest.approx(expected[tissue], rel=tolerance)
    noise = image[inside(labels, Tissue.MYOCARDIUM)].std()
    assert 10 < noise < 90
    assert image[labels == Tissue.AIR].std() > 500  # noise alone, anything


@pytest.mark.parametrize("border", Border)
def test_what_a_scanner_does_not_show_is_black(border):
    receive = Receive(border=border)
    acquired, _ = one(Cine(receive=receive))
    image = acquired.images[Contrast.CINE][0]
    edge = image[:, 0].max()
    assert (edge == 0) == (border is not Border.NONE)
    assert image[48, 56] > 0


def test_a_slice_is_the_patient_shifted_by_its_breath_hold():
    patient = Patient.draw(4, Group.NORMAL)
    stack = Stack(View.SAX, Cine(), slices=6, breath_hold_mm=2.3, **SIZE)
    shifts = []
    for cut in cuts(patient, stack, (3,)):
        shifts.append(cut.shift)
        moved = label_map(patient, cut, 8.0, 0.0)
        rows, columns = np.indices(cut.plane.shape)
        points = cut.plane.to_patient(np.stack([rows, columns], axis=-1)) - np.array(cut.shift)
        there = patient.labels(np.moveaxis(points, -1, 0).astype(np.float32), 0.0)
        assert np.mean(there == moved) > 0.995
    assert np.std(shifts) > 0.5
    still = cuts(patient, Stack(View.SAX, Cine(), slices=6, **SIZE), (3,))
    assert {cut.shift for cut in still} == {(0.0, 0.0, 0.0)}


@pytest.mark.parametrize("turn", [0.0, 30.0, 200.0])
@pytest.mark.parametrize(
    "view", [View.SAX, View.TWO_CHAMBER, View.THREE_CHAMBER, View.FOUR_CHAMBER]
)
def test_a_plane_is_turned_clockwise_by_the_angle_asked_for(view, turn):
    heart = Patient.draw(6, Group.NORMAL).heart
    straight, turned = (
        view_planes(
            heart,
            view,
            slices=1,
            gap=0,
            rng=np.random.default_rng(1),
            turn_deg=degrees,
            **SIZE,
        )[0]
        for degrees in (0.0, turn)
    )
    evidence = implied_orientation(straight, view)
    assert evidence is not None
    assert evidence.orientation == "identity"
    np.testing.assert_allclose(straight.normal, turned.normal, atol=1e-9)
    # What was right in the straight picture is found ``turn`` degrees further clockwise.
    right = np.array(straight.row_direction)
    column, row = right @ np.array(turned.row_direction), right @ np.array(turned.column_direction)
    found = np.degrees(np.arctan2(row, column)) - turn
    assert (found + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)


def test_a_scout_shows_three_directions():
    patient = Patient.draw(1, Group.NORMAL)
    stack = Stack(View.OTHER, Cine(), slices=2, gap=20, shape=(30, 40), pixel_spacing=9.0)
    normals = [cut.plane.normal for cut in cuts(patient, stack, (1,))]
    assert len(normals) == 6
    assert [int(np.abs(normal).argmax()) for normal in normals] == [2, 2, 0, 0, 1, 1]
    with pytest.raises(ValueError, match="no view other, allowed are sax, 2ch, 3ch, 4ch"):
        view_planes(patient.heart, View.OTHER, slices=1, gap=0, rng=np.random.default_rng(), **SIZE)


def test_a_voxel_is_the_mean_of_what_it_holds():
    """Against brute force: many samples at random places in the voxels."""
    patient = Patient.draw(2, Group.NORMAL)
    stack = Stack(View.SAX, Cine(), shape=(24, 28), pixel_spacing=3.0)
    (cut,) = cuts(patient, stack, (1,))
    blood = np.zeros(len(Tissue), np.float32)
    blood[[Tissue.LV_BLOOD, Tissue.RV_BLOOD]] = 1
    look = Slice(patient, cut.plane, Sampling(8.0, 4, 6)).look(0.0)
    shares = pixel_mean(blood[look.labels])
    rng = np.random.default_rng(0)
    rows, columns = np.indices(cut.plane.shape)
    total = np.zeros(cut.plane.shape)
    for _ in range(300):
        offset = rng.uniform(-0.5, 0.5, (2, *cut.plane.shape))
        points = cut.plane.to_patient(np.stack([rows + offset[0], columns + offset[1]], axis=-1))
        points = (
            points + (8 * rng.uniform(-0.5, 0.5, cut.plane.shape))[..., None] * cut.plane.normal
        )
        label = patient.labels(np.moveaxis(points, -1, 0).astype(np.float32), 0.0)
        total += blood[label]
    assert np.abs(shares - total / 300).max() < 0.2
    assert shares.mean() == pytest.approx(total.mean() / 300, rel=0.02)
    assert np.corrcoef(shares.ravel(), total.ravel())[0, 1] > 0.99
