"""The eight classes are read off a pose, and near their borders two are right."""

from __future__ import annotations

import numpy as np
import pytest

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View, implied_orientation
from cmr_node.inference.equivariance import ALL, matrices
from models.poses import class_weights, standard_right


def pose(orientation: Orientation, turn_deg: float) -> np.ndarray:
    angle = np.radians(turn_deg)
    return matrices()[orientation.code] @ np.array([np.sin(angle), np.cos(angle)], np.float32)


@pytest.mark.parametrize("orientation", ALL)
@pytest.mark.parametrize("turn_deg", [-29.0, 0.0, 29.0])
def test_near_its_direction_a_class_is_wholly_right(orientation, turn_deg: float) -> None:
    mirrored = np.array([orientation.chirality < 0])
    weights = class_weights(pose(orientation, turn_deg)[None], mirrored)
    assert weights[0, orientation.code] == 1
    assert weights.sum() == pytest.approx(1)


def test_between_two_classes_both_are_half_right() -> None:
    weights = class_weights(pose(Orientation.IDENTITY, 45.0)[None], np.array([False]))[0]
    assert sorted(weights)[-2:] == pytest.approx([0.5, 0.5], abs=1e-4)
    assert weights[[o.code for o in ALL if o.chirality < 0]].sum() == 0


@pytest.mark.parametrize("k", ALL)
def test_the_header_tells_the_same_pose(k: Orientation) -> None:
    right, down = np.array([0.62, 0.55, -0.56]), np.array([-0.05, -0.69, -0.72])
    right /= np.linalg.norm(right)
    down -= right * (right @ down)
    down /= np.linalg.norm(down)
    plane = Plane.from_dicom((*right, *down), (0.0, 0.0, 0.0), (1.5, 1.5), 64, 64)
    straight = implied_orientation(plane, View.SAX)
    assert straight is not None
    told = standard_right(straight)
    assert class_weights(told[None], np.array([straight.orientation.chirality < 0])).argmax() == (
        straight.orientation.code
    )
    assert np.degrees(np.arctan2(*(told @ matrices()[straight.orientation.code]))) == pytest.approx(
        -straight.residual_deg, abs=1e-3
    )
