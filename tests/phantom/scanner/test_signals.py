import numpy as np
import pytest

from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.tissues import OPPOSED, Tissue, spins
from cmr_node.phantom.scanner import signals
from cmr_node.phantom.scanner.render import Cine, cine_contrast


def bloch_bssfp(t1: float, t2: float, flip_deg: float, tr: float, hertz: float = 0.0) -> float:
    """|transverse magnetisation| at TE = TR / 2 after many alternating pulses, step by step."""

    def relax(m: np.ndarray, t: float) -> np.ndarray:
        e1, e2, turn = np.exp(-t / t1), np.exp(-t / t2), 2e-3 * np.pi * hertz * t
        x, y = np.cos(turn) * m[0] - np.sin(turn) * m[1], np.sin(turn) * m[0] + np.cos(turn) * m[1]
        return np.array([x, y, m[2]]) * [e2, e2, e1] + [0, 0, 1 - e1]

    m = np.array([0.0, 0.0, 1.0])
    for pulse in range(8000):
        angle = np.deg2rad(flip_deg) * (-1) ** pulse
        c, s = np.cos(angle), np.sin(angle)
        m = np.array([m[0], c * m[1] + s * m[2], -s * m[1] + c * m[2]])
        echo = relax(m, tr / 2)
        m = relax(echo, tr / 2)
    return float(np.hypot(echo[0], echo[1]))


@pytest.mark.parametrize("tissue", [Tissue.LV_BLOOD, Tissue.MYOCARDIUM, Tissue.LIVER, Tissue.FAT])
def test_the_signal_agrees_with_the_bloch_equations(tissue):
    spin = spins(1.5)[tissue]
    expected = spin.density * bloch_bssfp(spin.t1_ms, spin.t2_ms, 60, 3.0)
    found = signals.bssfp(spin.t1_ms, spin.t2_ms, spin.density, 60, 3.0)
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("hertz", [0.0, 60.0, 120.0, 160.0])
def test_off_resonance_agrees_with_the_bloch_equations(hertz):
    expected = bloch_bssfp(1000, 50, 60, 3.0, hertz) / bloch_bssfp(1000, 50, 60, 3.0)
    found = signals.banding(np.array([hertz], np.float32), 60, 3.0)
    assert found[0] == pytest.approx(expected, abs=2e-3)


def test_bands_are_dark_half_a_turn_from_resonance():
    line = signals.banding(np.linspace(-160, 160, 321, dtype=np.float32), 60, 3.2)
    assert np.abs(np.linspace(-160, 160, 321)[line.argmin()]) == pytest.approx(1e3 / 2 / 3.2, abs=4)
    assert line[160] == pytest.approx(1)


@pytest.mark.parametrize(("tesla", "least", "most"), [(1.5, 2.5, 2.8), (3.0, 2.0, 2.2)])
def test_blood_is_as_much_brighter_than_muscle_as_is_aimed_at(tesla, least, most):
    """2.5 to 2.8 at 1.5 T, 2.0 to 2.2 at 3 T: a prototype's equations, not patients."""
    shown = [cine_contrast(Patient.draw(seed), Cine.usual(tesla))[0] for seed in range(20)]
    ratios = [one[Tissue.LV_BLOOD] / one[Tissue.MYOCARDIUM] for one in shown]
    assert least < np.median(ratios) < most


def test_only_fat_opposes_water():
    negative = {tissue for tissue in Tissue if signals.fat_sign()[tissue] < 0}
    assert negative == set(OPPOSED)


def test_late_enhancement_nulls_muscle_and_shows_scar_little_brighter_than_blood():
    """With T1 540 the null lies near 347 ms: scar .14, blood .10, fat .53, one beat apart."""
    assert signals.null_time(540, 1000) == pytest.approx(295, abs=5)
    assert signals.null_time(540, 2000) == pytest.approx(361, abs=5)
    t1, _, density = signals.relaxation(1.5, gadolinium=True)
    null = signals.null_time(t1[Tissue.MYOCARDIUM], 1800)
    m = signals.inversion_recovery(t1, density, null, 1800)
    assert m[Tissue.MYOCARDIUM] == pytest.approx(0, abs=1e-9)
    assert 1 < m[Tissue.SCAR] / m[Tissue.LV_BLOOD] < 1.8
    assert m[Tissue.FAT] > 1.8 * m[Tissue.SCAR]
    assert m[Tissue.NO_REFLOW] < 0 < m[Tissue.BORDER] < m[Tissue.SCAR]


def test_oedema_is_brighter_than_muscle_in_t2():
    t1, t2, density = signals.relaxation(1.5)
    signal = signals.spin_echo(t1, t2, density, 60, 2000)
    assert 1.25 < signal[Tissue.OEDEMA] / signal[Tissue.MYOCARDIUM] < 1.8


def test_a_field_strength_without_values_is_refused():
    with pytest.raises(ValueError, match=r"7 T, allowed are 1.5 and 3"):
        spins(7)
