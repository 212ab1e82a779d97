"""Real patients, each seen by the network that was trained without them.

The promise kept here: the pictures go the way they go in the node (``cmr_node.inference``), and
no figure comes from a patient on whom the network, its temperature or its thresholds were fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.card import Card
from cmr_node.inference.equivariance import ALL, answers, mean_of
from cmr_node.inference.fusion import fuse_slices, logs, softmax, weights
from cmr_node.inference.network_outputs import Forward, Outputs
from cmr_node.inference.predict import Network
from cmr_node.inference.preprocess import SIZE, normalised, resampled
from cmr_node.measures.cleaning import clean
from cmr_node.measures.masks import Masks
from models.examples import SUNNYBROOK_MM, Drawn, read_slice, sunnybrook_index
from models.scores import dice, perpendicular_distance

SPACING = (SUNNYBROOK_MM, SUNNYBROOK_MM)
Grey = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Patient:
    """The slices of one patient at one phase, in order."""

    name: str
    phase: str
    drawn: tuple[Drawn, ...]
    images: tuple[Grey, ...]
    masks: tuple[npt.NDArray[np.uint8], ...]

    @property
    def stored_as(self) -> Orientation:
        """How all of them are stored."""
        return self.drawn[0].stored_as


@dataclass(frozen=True, slots=True)
class Seen:
    """What a network made of one patient's slices at one phase.

    turned
        (8, n, 8): logits for each turned copy of each slice, as the network gives them.
    outputs
        Averaged over the copies.
    """

    patient: Patient
    turned: npt.NDArray[np.float32]
    outputs: Outputs

    @property
    def single_right(self) -> npt.NDArray[np.bool_]:
        """(8, n): the network alone, on each turned copy."""
        truth = np.array([k.after(self.patient.stored_as).code for k in ALL])
        return np.asarray(self.turned.argmax(2) == truth[:, None])

    @property
    def averaged_right(self) -> npt.NDArray[np.bool_]:
        """(n,): the mean over the copies; the same for every turn of the slice."""
        return np.asarray(self.outputs.orientation.argmax(1) == self.patient.stored_as.code)

    def stack_logs(self) -> npt.NDArray[np.float64]:
        """(8,): the sum over the slices, before the temperature."""
        return np.asarray(weights(self.outputs) @ logs(self.outputs))


@dataclass(frozen=True, slots=True)
class Outlined:
    """How one slice was drawn; nan where nobody drew the true contour."""

    patient: str
    pathology: str
    phase: str
    level: str  #: base, mid or apex
    endo_dice: float
    epi_dice: float
    endo_mm: float
    epi_mm: float
    endo_mm2: tuple[float, float]  #: area found, and drawn by the reader
    epi_mm2: tuple[float, float]  #: muscle and cavity


def read_patients(folder: Path, names: Sequence[str]) -> list[Patient]:
    """Of ``sunnybrook-slices``: one entry a patient and phase."""
    index = [one for one in sunnybrook_index(folder) if one.patient in set(names)]
    found = []
    for name in sorted({one.patient for one in index}):
        for phase in ("ED", "ES"):
            drawn = sorted(
                (one for one in index if one.patient == name and one.phase == phase),
                key=lambda one: one.slice_index,
            )
            if not drawn:
                continue
            pictures = [read_slice(folder, one) for one in drawn]
            found.append(
                Patient(
                    name,
                    phase,
                    tuple(drawn),
                    tuple(image.astype(np.float32) for image, _ in pictures),
                    tuple(mask for _, mask in pictures),
                )
            )
    return found


def see(forward: Forward, patient: Patient, locate_mm: float, frame_mm: float = 0.0) -> Seen:
    """Show a network all slices, turned in all eight ways.

    Parameters
    ----------
    frame_mm
        Radius of what is left of the picture round its middle, as a scanner's frame does; 0 for
        all of it.
    """
    pictures = np.stack(
        [normalised(_framed(resampled(image, SPACING, locate_mm), frame_mm / locate_mm))
         for image in patient.images]
    )  # fmt: skip
    told = answers(forward, pictures)
    return Seen(patient, np.stack([one.orientation for one in told]), mean_of(told))


def outline(
    forward: Forward, card: Card, patient: Patient, *, turns: bool = True
) -> list[Outlined]:
    """Draw a patient's slices as the node does, cleaned, and hold them against the reader's.

    Parameters
    ----------
    turns
        Whether the mean over the eight turned copies is drawn, as in the phases that are measured.
    """
    network = Network(forward, card)
    look = network.look(patient.images, SPACING)
    orientation = look.evidence.orientation
    drawn = network.segment(patient.images, SPACING, orientation, look.centre, turns=turns)
    labels = np.stack([one.labels for one in drawn])[:, None]
    sure = np.array([one.confidence for one in drawn], np.float32)[:, None]
    cleaned = clean(Masks(labels, np.ones(sure.shape, np.bool_), sure)).masks
    rows = []
    levels = _levels(patient)
    for found, truth, one, level in zip(
        cleaned.labels[:, 0], patient.masks, patient.drawn, levels, strict=True
    ):
        if not one.usable:
            continue
        endo, epi = (found == 1, truth == 1), (np.isin(found, (1, 2)), truth > 0)
        rows.append(
            Outlined(
                patient.name,
                one.pathology,
                one.phase,
                level,
                dice(*endo),
                dice(*epi) if one.has_epi else np.nan,
                perpendicular_distance(*endo, SUNNYBROOK_MM),
                perpendicular_distance(*epi, SUNNYBROOK_MM) if one.has_epi else np.nan,
                _areas(*endo),
                _areas(*epi),
            )
        )
    return rows


def fused(seen: Seen, card: Card) -> tuple[Orientation, float, str]:
    """The stack's orientation, its probability, and the doubt, as the node has them."""
    evidence = fuse_slices(seen.outputs, card.thresholds)
    return evidence.orientation, evidence.probability, evidence.doubt


def slice_confidence(seen: Seen) -> npt.NDArray[np.float64]:
    """(n,): probability of the first choice, slice by slice."""
    return np.asarray(softmax(seen.outputs.orientation).max(1))


def _framed(picture: Grey, radius: float) -> Grey:
    if not radius:
        return picture
    rows, columns = np.indices(picture.shape) - (SIZE - 1) / 2
    return np.asarray(np.where(np.hypot(rows, columns) <= radius, picture, 0), np.float32)


def _areas(found: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> tuple[float, float]:
    return float(found.sum()) * SUNNYBROOK_MM**2, float(truth.sum()) * SUNNYBROOK_MM**2


def _levels(patient: Patient) -> list[str]:
    """Base, mid or apex by thirds; the end with the larger cavity is the base."""
    areas = [int((mask == 1).sum()) for mask in patient.masks]
    third = max(1, len(areas) // 3)
    names = [
        "base" if place < third else "apex" if place >= len(areas) - third else "mid"
        for place in range(len(areas))
    ]
    return names if sum(areas[:third]) >= sum(areas[-third:]) else names[::-1]
