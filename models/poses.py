"""How a picture lies: mirrored or not, and where the standard right points in it.

The promise kept here: a pose is carried exactly through everything that is done to a picture,
and the eight classes are read off it in one place.  Near the border between two classes both are
right to some degree; a target that said otherwise would teach a network to be sure of chance.

Vectors are (row, column) in the picture; clockwise is from column to row.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import HeaderEvidence
from cmr_node.inference.equivariance import matrices

Vectors = npt.NDArray[np.float32]

SURE_DEG, LOST_DEG = 30.0, 60.0  #: from the class's direction: wholly it, not at all


def standard_right(evidence: HeaderEvidence) -> Vectors:
    """(2,): where the standard right of the view points in the stored picture."""
    angle = np.radians(-evidence.residual_deg)
    standing = np.array([np.sin(angle), np.cos(angle)], np.float32)
    return np.asarray(matrices()[evidence.orientation.code] @ standing)


def class_weights(right: Vectors, mirrored: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """(n, 8) adding to 1: how far each orientation describes the pose.

    Parameters
    ----------
    right
        (n, 2) unit vectors.
    mirrored
        (n,).
    """
    directions = matrices()[:, :, 1]  # where each sends the standard right
    angle = np.degrees(np.arccos(np.clip(right @ directions.T, -1, 1)))
    weight = np.clip((LOST_DEG - angle) / (LOST_DEG - SURE_DEG), 0, 1)
    handed = np.array([o.chirality < 0 for o in Orientation])
    weight[mirrored[:, None] != handed] = 0
    return np.asarray(weight / weight.sum(1, keepdims=True), np.float32)
