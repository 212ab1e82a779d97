"""A simulated patient: one function from a place and a cardiac phase to a tissue.

The promise kept here: every image of a patient is cut from the same function of patient
coordinates (DICOM's LPS, mm), so planes of any view agree where they cross, and what a header
says of a pixel's place is exactly where its tissue was evaluated.  A patient is drawn from a
seed and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from cmr_node.phantom.heart import Heart
from cmr_node.phantom.thorax import Thorax, draw_waves, sinusoids
from cmr_node.phantom.tissues import Labels

Points = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Patient:
    """Chest and heart of one simulated patient."""

    thorax: Thorax
    heart: Heart
    heart_rate_bpm: float
    grain: tuple[npt.NDArray[np.float32], Points]  #: waves and shifts of the texture

    @classmethod
    def draw(cls, seed: int) -> Self:
        """The patient of this seed: an adult with a normal heart, situs solitus, supine."""
        chest, heart, rate, grain = (np.random.default_rng([seed, part]) for part in range(4))
        return cls(
            thorax=Thorax.draw(chest),
            heart=Heart.draw(heart),
            heart_rate_bpm=float(rate.uniform(54, 82)),
            grain=draw_waves(grain, 5, 6, 24),
        )

    def labels(self, points: Points, phase: float) -> Labels:
        """The :class:`Tissue` at each place.

        Parameters
        ----------
        points
            (3, ...), patient coordinates (LPS), mm.
        phase
            Fraction of the R-R interval since the R wave.

        Returns
        -------
        (...), uint8.
        """
        flat = np.ascontiguousarray(points.reshape(3, -1), np.float32)
        label = self.thorax.labels(flat)
        near = self.heart.near(flat)
        beating = label[near]
        self.heart.paint(beating, flat[:, near], phase)
        label[near] = beating
        return label.reshape(points.shape[1:])

    def texture(self, points: Points) -> Points:
        """Unevenness of tissue at ``points`` (3, n), mm LPS; (n,), mean 0 and sd about 0.6.

        It belongs to the patient and not to a slice, so that crossing planes agree.
        """
        return np.asarray(2 * sinusoids(points, *self.grain))
