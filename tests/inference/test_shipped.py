"""The network that comes with the node, on pictures made here and, where they are, on real ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.inference.card import SHIPPED, weights_folder
from cmr_node.inference.opening import SHIPPED_NETWORK
from cmr_node.inference.predict import Network
from cmr_node.inference.runtime import open_network
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.tissues import LV_CAVITY, LV_MUSCLE, Tissue
from cmr_node.phantom.scanner.contrast import Kind, draw_contrast
from cmr_node.phantom.scanner.planes import view_planes
from cmr_node.phantom.scanner.sample import Sampling
from cmr_node.phantom.scanner.source import render, sketch

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SPACING = (1.6, 1.6)
LIMIT_MB = 25


@cache
def network() -> Network:
    session = open_network(weights_folder(SHIPPED_NETWORK), "cpu", threads=1)
    return Network(session.run, session.card)


@cache
def stack(seed: int, kind: Kind):
    """Five slices of a simulated patient at end-diastole, and the labels of each."""
    rng = np.random.default_rng(seed)
    patient = Patient.draw(seed)
    planes = view_planes(
        patient.heart, View.SAX, shape=(160, 160), pixel_spacing=1.6, slices=5, gap=14.0, rng=rng
    )
    drawn = [sketch(patient, plane, View.SAX, Sampling(8.0, 2, 2), rng) for plane in planes]
    contrast = next(c for c in iter(lambda: draw_contrast(rng), None) if c.kind is kind)
    return [render(one, contrast, rng) for one in drawn], [one.labels for one in drawn]


def test_the_weights_that_ship_are_small() -> None:
    shipped = [path for folder in SHIPPED if folder.is_dir() for path in folder.rglob("*")]
    assert sum(path.stat().st_size for path in shipped) < LIMIT_MB * 1e6


@pytest.mark.parametrize("orientation", list(Orientation))
def test_a_simulated_cine_is_read_right_however_it_lies(orientation: Orientation) -> None:
    images, _ = stack(7001, Kind.CINE)
    told = network().recognise([orientation.apply(image) for image in images], SPACING)
    assert told.orientation is orientation
    assert told.doubt == ""
    assert told.residual_deg == pytest.approx(0, abs=30)


@pytest.mark.parametrize("kind", [Kind.CINE, Kind.LATE_ENHANCEMENT, Kind.T2, Kind.T1_MAP])
def test_every_sequence_is_read_right(kind: Kind) -> None:
    right = [
        network().recognise(stack(seed, kind)[0], SPACING).orientation is Orientation.IDENTITY
        for seed in range(7002, 7006)
    ]
    assert sum(right) >= 3


def test_both_ventricles_are_drawn_where_they_are() -> None:
    images, labels = stack(7001, Kind.CINE)
    look = network().look(images, SPACING)
    drawn = network().segment(images, SPACING, look.evidence.orientation, look.centre, turns=True)
    for value, tissues in ((1, LV_CAVITY), (2, LV_MUSCLE), (3, (Tissue.RV_BLOOD,))):
        found = np.stack([one.labels == value for one in drawn])
        truth = np.stack([np.isin(one, tissues) for one in labels])
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_never_a_confident_guess(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = [rng.normal(size=(192, 192)).astype(np.float32) for _ in range(6)]
    assert network().recognise(noise, SPACING).doubt


@pytest.mark.parametrize(
    "images",
    [
        [np.zeros((64, 64), np.float32)] * 5,
        [np.full((64, 64), np.nan, np.float32)],
        [np.indices((16, 16)).sum(0).astype(np.float32)],
        [np.hypot(*(np.indices((4096, 4096)) - 2048.0)).astype(np.float32)],
        [np.eye(300, dtype=np.float32) * -2048] * 3,
    ],
    ids=["constant", "NaN", "16 x 16", "4096 x 4096", "signed"],
)
def test_odd_pictures_are_a_doubt(images) -> None:
    assert network().recognise(images, (1.4, 1.4)).doubt


def test_a_long_axis_is_no_short_axis() -> None:
    rng = np.random.default_rng(3)
    patient = Patient.draw(7010)
    told = []
    for view in (View.TWO_CHAMBER, View.FOUR_CHAMBER):
        (plane,) = view_planes(
            patient.heart, view, shape=(160, 160), pixel_spacing=1.6, slices=1, gap=1.0, rng=rng
        )
        drawn = sketch(patient, plane, view, Sampling(8.0, 2, 2), rng)
        contrast = next(c for c in iter(lambda: draw_contrast(rng), None) if c.kind is Kind.CINE)
        told.append(network().recognise([render(drawn, contrast, rng)], SPACING))
    assert all(one.doubt for one in told)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data are not here")
@pytest.mark.parametrize(
    ("patient", "stored"),
    [("SC-HF-I-01", Orientation.ROT90CCW), ("SC-HF-I-04", Orientation.IDENTITY)],
)
def test_real_cine_is_read_as_its_header_has_it(patient: str, stored: Orientation) -> None:
    from cmr_node.assemble.frames import frames_from
    from cmr_node.assemble.stack import assemble
    from cmr_node.dicom.reading import read, read_header
    from cmr_node.judgement import Trusting, cell_values, judge
    from cmr_node.settings import Standardise

    paths = {}
    for path in sorted((SHARED / "sunnybrook-cine" / patient / "sax").rglob("*.dcm")):
        header = read_header(path)
        paths[header.sop_instance_uid] = path, header

    def opened(header):
        return read(paths[header.sop_instance_uid][0])

    assembly = assemble([header for _, header in paths.values()], frames_from(opened))
    trusting = Trusting(recognise=network().recognise)
    (judged,) = judge(assembly, cell_values(opened), Standardise(), trusting)
    assert judged.network is not None
    assert judged.network.doubt == ""
    assert judged.network.orientation is stored
    assert "agree" in judged.verdict.reason or stored is Orientation.IDENTITY
