"""Slices that show the ventricles decide, and stacks help each other where none contradicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import HeaderEvidence
from cmr_node.inference.equivariance import ALL, after, matrices
from cmr_node.inference.fusion import fuse_slices, fuse_stacks
from cmr_node.inference.network_outputs import Outputs
from cmr_node.inference.recognition import NetworkEvidence
from tests.inference.answers import card

THRESHOLDS = card().thresholds


def outputs(seen: list[Orientation], kind: list[int], sure: float = 4.0) -> Outputs:
    orientation = np.zeros((len(seen), 8), np.float32)
    orientation[np.arange(len(seen)), [o.code for o in seen]] = sure
    kinds = np.zeros((len(seen), 5), np.float32)
    kinds[np.arange(len(seen)), kind] = 6
    right = np.stack([matrices()[o.code] @ np.array([0, 1], np.float32) for o in seen])
    return Outputs(
        masks=np.zeros((len(seen), 4, 2, 2), np.float32),
        orientation=orientation,
        mirrored=np.float32([-6 * o.chirality for o in seen]),
        directions=np.stack([right, -right], 1),
        kind=kinds,
    )


def test_slices_that_agree_are_sure_together() -> None:
    told = fuse_slices(outputs([Orientation.ROT180] * 8, [0] * 8, 2.0), THRESHOLDS)
    assert told.orientation is Orientation.ROT180
    assert told.probability > 0.99
    assert told.doubt == ""
    assert told.residual_deg == pytest.approx(0, abs=1e-4)
    assert abs(told.septal_deg or 0) == pytest.approx(0, abs=1e-4)


def test_slices_past_the_ventricle_hardly_count() -> None:
    seen = [Orientation.FLIP_LR] * 6 + [Orientation.IDENTITY] * 3
    told = fuse_slices(outputs(seen, [1, 1, 1, 2, 2, 2, 0, 0, 0]), THRESHOLDS)
    assert told.orientation is Orientation.IDENTITY
    assert told.doubt == ""


def test_slices_that_disagree_leave_a_doubt() -> None:
    seen = [Orientation.FLIP_LR] * 4 + [Orientation.IDENTITY] * 4
    assert "probability 0.5" in fuse_slices(outputs(seen, [0] * 8), THRESHOLDS).doubt


@pytest.mark.parametrize("kind", [3, 4])
def test_what_is_no_short_axis_is_never_believed(kind: int) -> None:
    told = fuse_slices(outputs([Orientation.IDENTITY] * 5, [kind] * 5), THRESHOLDS)
    assert told.sax < 0.1
    assert "short axis" in told.doubt


def test_outputs_that_contradict_each_other_leave_a_doubt() -> None:
    told = outputs([Orientation.IDENTITY] * 5, [0] * 5)
    mirrored = Outputs(told.masks, told.orientation, -told.mirrored, told.directions, told.kind)
    assert "mirrored" in fuse_slices(mirrored, THRESHOLDS).doubt
    turned = Outputs(told.masks, told.orientation, told.mirrored, -told.directions, told.kind)
    assert "turned" in fuse_slices(turned, THRESHOLDS).doubt


@given(st.sampled_from(ALL), st.lists(st.sampled_from(ALL), min_size=1, max_size=9))
def test_fusing_turns_with_the_slices(k: Orientation, seen: list[Orientation]) -> None:
    kind = [0] * len(seen)
    told = fuse_slices(outputs(seen, kind), THRESHOLDS)
    turned = fuse_slices(outputs([k.after(o) for o in seen], kind), THRESHOLDS)
    straight = np.array([told.probabilities[o] for o in ALL])
    np.testing.assert_allclose(
        np.array([turned.probabilities[o] for o in ALL])[after(k)], straight, atol=1e-9
    )
    assert bool(turned.doubt) == bool(told.doubt)


def evidence(seen: Orientation, probability: float) -> NetworkEvidence:
    rest = (1 - probability) / 7
    return NetworkEvidence(
        probabilities={o: probability if o is seen else rest for o in ALL},
        sax=0.9,
        doubt="" if probability > 0.9 else "unsure",
    )


def header(orientation: Orientation) -> HeaderEvidence:
    return HeaderEvidence(orientation, Orientation.IDENTITY, 0.0, 45.0, 0.9)


def test_a_sure_cine_tells_the_unsure_lge_how_it_lies() -> None:
    cine = evidence(Orientation.ROT90CW, 0.999), header(Orientation.ROT90CW)
    lge = evidence(Orientation.FLIP_UD, 0.4), header(Orientation.TRANSPOSE)
    _, told = fuse_stacks([cine, lge], THRESHOLDS)
    assert told.orientation is Orientation.TRANSPOSE
    assert told.doubt == ""


def test_all_went_through_the_same_wrong_converter() -> None:
    wrong = Orientation.FLIP_LR
    stacks = [
        (evidence(wrong.after(h), p), header(h))
        for h, p in ((Orientation.ROT90CW, 0.999), (Orientation.IDENTITY, 0.5))
    ]
    told = fuse_stacks(stacks, THRESHOLDS)
    assert [one.orientation for one in told] == [wrong.after(h.orientation) for _, h in stacks]
    assert all(one.doubt == "" for one in told)


def test_stacks_that_are_sure_and_contradict_each_other_stay_apart() -> None:
    stacks = [
        (evidence(Orientation.IDENTITY, 0.99), header(Orientation.IDENTITY)),
        (evidence(Orientation.FLIP_LR, 0.99), header(Orientation.IDENTITY)),
        (evidence(Orientation.IDENTITY, 0.3), header(Orientation.IDENTITY)),
    ]
    assert fuse_stacks(stacks, THRESHOLDS) == [one for one, _ in stacks]
