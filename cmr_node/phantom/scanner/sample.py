"""One slice of a patient, looked up once and rendered as often as one likes.

The promise kept here: tissue is looked up at places spread over each pixel's area and through the
slice, so partial volume is that of the anatomy; and what is the same in all phases is looked up
once.  Looking up and rendering are apart, because a training source renders one look-up with many
contrasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cmr_node.geometry.plane import Plane
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.fields import Points
from cmr_node.phantom.body.tissues import CHAMBERS, Labels, Tissue

_BLOOD = np.zeros(len(Tissue), np.bool_)
_BLOOD[[*CHAMBERS, Tissue.BLOOD]] = True


@dataclass(frozen=True, slots=True)
class Sampling:
    """How densely a slice is looked up."""

    thickness: float = 8.0  #: mm
    across: int = 2  #: samples of a pixel along each side
    through: int = 3  #: samples through the slice


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in one phase; each (through, rows * across, columns * across)."""

    labels: Labels
    texture: Points  #: unevenness of tissue, sd 1
    flow: Points  #: factor on the signal of blood
    across: int

    def signal(self, by_tissue: npt.NDArray[np.float32], rough: npt.NDArray[np.float32]) -> Points:
        """(rows, columns): the mean signal of each pixel.

        ``by_tissue`` is each tissue's signal, (tissues,), ``rough`` the relative sd of its texture.
        """
        values = by_tissue[self.labels]
        values *= 1 + rough[self.labels] * self.texture
        values *= self.flow
        return pixel_mean(values, self.across)


def pixel_mean(values: Points, across: int) -> Points:
    """(rows, columns): ``values`` (through, rows * across, columns * across) by pixel."""
    through = values.shape[0]
    flat = values.sum(axis=0) if through > 1 else values[0]
    total = np.zeros((flat.shape[0] // across, flat.shape[1] // across), np.float32)
    for i in range(across):
        for j in range(across):
            total += flat[i::across, j::across]
    return np.asarray(total / np.float32(through * across**2))


class Slice:
    """One slice of one patient, ready to be looked up in any phase."""

    def __init__(
        self,
        patient: Patient,
        plane: Plane,
        sampling: Sampling,
        shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> None:
        """``shift`` (mm, LPS) is by how much this breath-hold moved the patient."""
        self.patient, self.plane, self.sampling = patient, plane, sampling
        self._moved = np.array(shift)
        points = self._points(sampling)
        self._shape = points.shape[1:]
        self._points_flat = points.reshape(3, -1)

    @cached_property
    def _still(self) -> Labels:
        return self.patient.still(self._points_flat)

    @cached_property
    def _near(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero(self.patient.heart.near(self._points_flat))

    @cached_property
    def texture(self) -> Points:
        """(through, rows * across, columns * across): see :meth:`Patient.texture`."""
        return self.patient.texture(self._points_flat).reshape(self._shape)

    def expect_many_phases(self) -> None:
        """Find out once where anything can change, so that each phase looks up only that."""
        near = np.flatnonzero(self.patient.heart.near(self._points_flat))
        self._near = near[self.patient.heart.reached(self._points_flat[:, near])]

    def look(self, phase: float) -> Look:
        """Tissue, texture and flow in one phase, the fraction of the R-R interval."""
        label, near = self._still.copy(), self._near
        points = self._points_flat[:, near]
        beating = label[near]
        self.patient.heart.paint(beating, points, phase)
        label[near] = beating
        flow = np.ones(label.shape, np.float32)
        blood = _BLOOD[beating]
        flow[near[blood]] = self.patient.heart.flow(points[:, blood], phase)
        return Look(
            label.reshape(self._shape),
            self.texture,
            flow.reshape(self._shape),
            self.sampling.across,
        )

    def label_map(self, phase: float) -> Labels:
        """(rows, columns): the tissue at the centre of each pixel, the truth for a mask."""
        one = self._points(Sampling(self.sampling.thickness, 1, 1))[:, 0, :, :]
        return self.patient.labels(one, phase)

    def _points(self, sampling: Sampling) -> Points:
        """(3, through, rows * across, columns * across), mm LPS: where tissue is looked up."""
        rows, columns = self.plane.shape
        part = (np.arange(sampling.across) + 0.5) / sampling.across - 0.5
        down = (np.arange(rows)[:, None] + part).ravel()
        right = (np.arange(columns)[:, None] + part).ravel()
        depth = (np.arange(sampling.through) + 0.5) / sampling.through - 0.5
        between_rows, between_columns = self.plane.steps
        corner = np.array(self.plane.position) - self._moved
        axes = (
            (self.plane.normal * sampling.thickness)[:, None, None, None] * depth[:, None, None],
            between_rows[:, None, None, None] * down[:, None],
            between_columns[:, None, None, None] * right,
        )
        points = sum(axis.astype(np.float32) for axis in axes)
        return np.asarray(points + corner.astype(np.float32)[:, None, None, None])
