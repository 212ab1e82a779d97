"""Pictures in; orientation, structures and doubts out.

The promise kept here: the network is shown every picture the same way (``preprocess``), its answer
turns with the picture (``equivariance``), and what it cannot look at, or is not sure of, is said.

A stack is looked at twice: from afar to find the heart and see how it lies, then, turned to the
standard view and centred on the heart, closely enough to draw its borders.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmr_node.errors import BadInstance
from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.card import Card
from cmr_node.inference.equivariance import averaged
from cmr_node.inference.fusion import KINDS, fuse_slices, softmax
from cmr_node.inference.network_outputs import Forward, Outputs
from cmr_node.inference.picture_kind import PictureKind
from cmr_node.inference.preprocess import checked, normalised, resampled, returned
from cmr_node.inference.recognition import Image, NetworkEvidence, nothing_seen

logger = logging.getLogger(__name__)

BATCH = 32


@dataclass(frozen=True, slots=True)
class Look:
    """A stack as seen from afar.

    centre
        (row, column) of the heart in the stored picture, pixels; None if no heart was seen.
    """

    evidence: NetworkEvidence
    centre: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn on one picture.

    labels
        (rows, columns) uint8 on the grid of the stored picture: 0 none, 1 LV blood pool, 2 LV
        myocardium, 3 RV blood pool.
    confidence
        Mean probability of the label over all pixels labelled; 0 where there are none.
    """

    labels: npt.NDArray[np.uint8]
    confidence: float


class Network:
    """A network with the card that says how to show it pictures and when to believe it."""

    def __init__(self, forward: Forward, card: Card) -> None:
        self.forward = forward
        self.card = card

    def recognise(
        self, images: Sequence[Image], pixel_spacing: tuple[float, float]
    ) -> NetworkEvidence:
        """How the slices of a stack lie, by their pixels; see ``Recogniser``."""
        return self.look(images, pixel_spacing).evidence

    def look(self, images: Sequence[Image], pixel_spacing: tuple[float, float]) -> Look:
        """Look at the slices of a stack from afar.

        Pictures that cannot be looked at (``preprocess.checked``) are left out and logged; if
        none is left, or none is given, the evidence holds that as its doubt.
        """
        spacing = self.card.preprocessing.locate_mm
        pictures, shapes, reason = [], [], "there is no picture"
        for image in images:
            try:
                picture = checked(image, pixel_spacing)
            except BadInstance as error:
                reason = str(error)
                logger.warning("a slice is not shown to the network: %s", error)
                continue
            pictures.append(normalised(resampled(picture, pixel_spacing, spacing)))
            shapes.append(picture.shape)
        if not pictures:
            return Look(nothing_seen(reason), None)
        outputs = averaged(self.forward, np.stack(pictures))
        evidence = fuse_slices(outputs, self.card.thresholds)
        return Look(evidence, _heart(outputs, shapes[0], pixel_spacing, spacing))

    def segment(
        self,
        images: Sequence[Image],
        pixel_spacing: tuple[float, float],
        orientation: Orientation,
        centre: tuple[float, float] | None,
        *,
        turns: bool = False,
    ) -> list[Drawn]:
        """Draw the structures on pictures of one size, slices and phases alike.

        Parameters
        ----------
        orientation
            How they are stored.
        centre
            Of the heart, from :meth:`look`; None for the middle of the picture.
        turns
            Whether the mean over eight turned copies is drawn: eight times the work, for the
            phases that are measured.

        Raises
        ------
        BadInstance
            One of them cannot be looked at.
        """
        spacing = self.card.preprocessing.segment_mm
        undo = orientation.inverse
        shape = undo.turned_shape((images[0].shape[0], images[0].shape[1]))
        standing = pixel_spacing[::-1] if undo.transposes else pixel_spacing
        if centre is not None:
            matrix, offset = undo.index_map((images[0].shape[0], images[0].shape[1]))
            row, column = matrix.T @ (np.array(centre) - offset)
            centre = float(row), float(column)
        drawn: list[Drawn] = []
        for first in range(0, len(images), BATCH):
            pictures = [
                normalised(
                    resampled(undo.apply(checked(image, pixel_spacing)), standing, spacing, centre)
                )
                for image in images[first : first + BATCH]
            ]
            shown = np.stack(pictures)
            told = averaged(self.forward, shown) if turns else self.forward(shown[:, None])
            for one in told.masks:
                labels, confidence = _labels(returned(one[1:], shape, standing, spacing, centre))
                drawn.append(Drawn(orientation.apply(labels), confidence))
        return drawn


def _labels(structures: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], float]:
    """(rows, columns) labels of (3, rows, columns) probabilities, and how sure they are."""
    background = 1 - structures.sum(0)
    best = structures.max(0)
    labels = np.where(best > background, structures.argmax(0) + 1, 0).astype(np.uint8)
    drawn = labels > 0
    return labels, float(best[drawn].mean()) if drawn.any() else 0.0


def _heart(
    outputs: Outputs,
    shape: tuple[int, ...],
    pixel_spacing: tuple[float, float],
    spacing: float,
) -> tuple[float, float] | None:
    """(row, column), pixels: the middle of the left ventricle over all slices that show it."""
    shown = softmax(outputs.kind)[:, KINDS.index(PictureKind.SHORT_AXIS)] >= 0.5
    left = outputs.masks[shown, 1:3].sum((0, 1))
    left = np.where(left >= 0.25 * left.max(initial=0.0), left, 0)
    if left.sum() < 1:
        return None
    rows, columns = np.indices(left.shape)
    middle = (np.array(left.shape) - 1) / 2
    away = np.array([np.average(rows, weights=left), np.average(columns, weights=left)]) - middle
    row, column = (np.array(shape) - 1) / 2 + away * spacing / np.array(pixel_spacing)
    return float(row), float(column)
