"""One slice of a patient, looked up once and rendered as often as one likes.

The promise kept here: tissue is looked up at places spread over each pixel's area and through the
slice, so partial volume is that of the anatomy; and what is the same in all phases is looked up
once.  Looking up and rendering are apart, because a training source renders one look-up with many
contrasts.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    """What was found in one phase; each (samples of a pixel, rows, columns)."""

    labels: Labels
    texture: Points  #: unevenness of tissue, sd 1
    flow: Points  #: factor on the signal of blood

    def signal(self, by_tissue: npt.NDArray[np.float32], rough: npt.NDArray[np.float32]) -> Points:
        """(rows, columns): the mean signal of each pixel.

        ``by_tissue`` is each tissue's signal, (tissues,), ``rough`` the relative sd of its texture.
        """
        values = rough[self.labels]
        values *= self.texture
        values += 1
        values *= by_tissue[self.labels]
        values *= self.flow
        return pixel_mean(values)


def pixel_mean(values: Points) -> Points:
    """(...): the mean of ``values`` (samples of a pixel, ...)."""
    return np.asarray(values.sum(axis=0) * np.float32(1 / len(values)))


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
        """(samples of a pixel, rows, columns): see :meth:`Patient.texture`."""
        return self.patient.texture(self._points_flat).reshape(self._shape)

    def look(self, phase: float) -> Look:
        """Tissue, texture and flow in one phase, the fraction of the R-R interval."""
        label, flow = self._still.copy(), np.ones(self._still.shape, np.float32)
        near = self._near
        label[near], flow[near] = self._beat(label[near], self._points_flat[:, near], phase)
        return Look(label.reshape(self._shape), self.texture, flow.reshape(self._shape))

    def film(
        self,
        phases: int,
        by_tissue: npt.NDArray[np.float32],
        rough: npt.NDArray[np.float32],
    ) -> Iterator[Points]:
        """(rows, columns) of each phase: :meth:`Look.signal`, what never moves rendered once."""
        whole = self.look(0.0).signal(by_tissue, rough)
        yield whole.copy()
        moves = np.zeros(self._still.shape, np.bool_)
        moves[self._near] = self.patient.heart.reached(self._points_flat[:, self._near])
        samples = self._shape[0]
        pixels = np.flatnonzero(moves.reshape(samples, -1).any(axis=0))
        points = self._points_flat.reshape(3, samples, -1)[:, :, pixels]
        still = self._still.reshape(samples, -1)[:, pixels]
        texture = self.texture.reshape(samples, -1)[:, pixels]
        for index in range(1, phases):
            label, flow = self._beat(still.ravel().copy(), points.reshape(3, -1), index / phases)
            part = Look(label.reshape(still.shape), texture, flow.reshape(still.shape))
            whole.ravel()[pixels] = part.signal(by_tissue, rough)
            yield whole.copy()

    def _beat(self, label: Labels, points: Points, phase: float) -> tuple[Labels, Points]:
        """The heart laid over ``label`` (n,), and the factor on the signal of blood (n,)."""
        heart = self.patient.heart
        heart.paint(label, points, phase)
        flow = np.ones(label.shape, np.float32)
        blood = np.flatnonzero(_BLOOD[label])
        flow[blood] = heart.flow(points[:, blood], phase)
        return label, flow

    def label_map(self, phase: float) -> Labels:
        """(rows, columns): the tissue at the centre of each pixel, the truth for a mask."""
        return self.patient.labels(
            self._points(Sampling(self.sampling.thickness, 1, 1))[:, 0], phase
        )

    def _points(self, sampling: Sampling) -> Points:
        """(3, samples of a pixel, rows, columns), mm LPS: where tissue is looked up."""
        rows, columns = self.plane.shape
        part = (np.arange(sampling.across) + 0.5) / sampling.across - 0.5
        depth = (np.arange(sampling.through) + 0.5) / sampling.through - 0.5
        # One row for each sample of a pixel: through the slice, down, to the right.
        deep, lower, further = np.stack(np.meshgrid(depth, part, part, indexing="ij")).reshape(
            3, -1
        )
        down = lower[:, None] + np.arange(rows)
        right = further[:, None] + np.arange(columns)
        between_rows, between_columns = self.plane.steps
        corner = np.array(self.plane.position) - self._moved
        axes = (
            (self.plane.normal * sampling.thickness)[:, None, None, None] * deep[:, None, None],
            between_rows[:, None, None, None] * down[:, :, None],
            between_columns[:, None, None, None] * right[:, None, :],
        )
        points = sum(axis.astype(np.float32) for axis in axes)
        return np.asarray(points + corner.astype(np.float32)[:, None, None, None])
