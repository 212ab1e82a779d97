import numpy as np
import pytest

from cmr_node.phantom.body.tissues import Tissue
from cmr_node.phantom.scanner.molli import LONGEST_MS, Molli, fit
from cmr_node.phantom.scanner.signals import relaxation


@pytest.mark.parametrize(
    ("true", "t2", "apparent"),
    [(1100, 50, 977), (1250, 50, 1101), (1750, 200, 1639), (450, 50, 417)],
)
def test_the_map_falls_short_of_the_true_t1_as_an_independent_simulation_found(true, t2, apparent):
    found = Molli().apparent(np.array([float(true)]), np.array([float(t2)]), 1000.0)
    assert found[0] == pytest.approx(apparent, rel=0.01)


@pytest.mark.parametrize(("tesla", "published", "sd"), [(1.5, 950, 21), (3.0, 1052, 23)])
def test_healthy_muscle_shows_the_published_normal_value(tesla, published, sd):
    """Dabir 2014, MOLLI."""
    t1, t2, _ = relaxation(tesla)
    found = Molli().apparent(t1, t2, 950.0)[Tissue.MYOCARDIUM]
    assert abs(found - published) < sd


def test_the_heart_rate_matters_little():
    t1, t2 = np.array([1064.0]), np.array([50.0])
    slow, fast = (Molli().apparent(t1, t2, beat)[0] for beat in (1200.0, 650.0))
    assert abs(slow - fast) < 15


def test_the_fit_recovers_an_exact_recovery_curve():
    times = Molli().times(900.0)
    star, a, b = np.array([300.0, 800.0, 1500.0]), 1.0, np.array([1.9, 1.95, 2.0])
    curves = a - b * np.exp(-times[:, None] / star)
    np.testing.assert_allclose(fit(curves.astype(np.float32), times), star * (b / a - 1), rtol=2e-3)


def test_noise_alone_fits_to_something_a_map_can_hold():
    noise = np.random.default_rng(0).normal(size=(8, 2000)).astype(np.float32)
    found = fit(noise, Molli().times(900.0))
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= LONGEST_MS
    assert found.std() > 500
    assert fit(np.zeros((8, 3), np.float32), Molli().times(900.0)).shape == (3,)
