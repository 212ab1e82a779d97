import numpy as np
import pytest

from cmr_node.phantom.tissues import SPINS, Tissue, bssfp


def bloch_bssfp(t1: float, t2: float, flip_deg: float, tr: float) -> float:
    """|transverse magnetisation| at TE = TR / 2 after many alternating pulses, step by step."""

    def relax(m: np.ndarray, t: float) -> np.ndarray:
        e1, e2 = np.exp(-t / t1), np.exp(-t / t2)
        return m * [e2, e2, e1] + [0, 0, 1 - e1]

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
    spin = SPINS[tissue]
    expected = spin.density * bloch_bssfp(spin.t1_ms, spin.t2_ms, 60, 3.0)
    assert abs(bssfp(spin, 60, 3.0)) == pytest.approx(expected, rel=1e-4)


def test_blood_is_as_much_brighter_than_muscle_as_in_patients():
    ratio = bssfp(SPINS[Tissue.LV_BLOOD], 60, 3.0) / bssfp(SPINS[Tissue.MYOCARDIUM], 60, 3.0)
    assert 2.2 < ratio < 2.8  # measured at 1.5 T: 2.5 to 2.8


def test_only_fat_opposes_water():
    negative = {tissue for tissue in Tissue if bssfp(SPINS[tissue], 60, 3.0) < 0}
    assert negative == {Tissue.FAT}
