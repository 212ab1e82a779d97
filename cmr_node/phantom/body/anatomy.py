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

from cmr_node.phantom.body.fields import Field, Grain, Points
from cmr_node.phantom.body.groups import Group, draw_heart
from cmr_node.phantom.body.heart import Heart
from cmr_node.phantom.body.thorax import Thorax
from cmr_node.phantom.body.tissues import Labels, Tissue, draw_jitter

WARP_MM = 4.0  #: largest displacement of the warp along each axis
_SHARES = {Group.NORMAL: 0.4, Group.DILATED: 0.2, Group.HYPERTROPHIC: 0.2, Group.INFARCT: 0.2}


@dataclass(frozen=True, slots=True)
class Patient:
    """Chest and heart of one simulated patient."""

    group: Group
    thorax: Thorax
    heart: Heart
    heart_rate_bpm: float
    warp: tuple[Field, Field, Field]  #: bends the chest, one field per axis
    grain: Grain
    setup: int  #: seeds how coils lie and what shimming leaves, the same for a whole study
    tissue_jitter: npt.NDArray[np.float32]  #: (tissues, 3): factors on T1, T2, proton density

    @classmethod
    def draw(cls, seed: int, group: Group | None = None, spread: float = 1.0) -> Self:
        """The patient of this seed: an adult, situs solitus, supine.

        Parameters
        ----------
        group
            The disease; ``None`` draws it from the seed: 40 % normal, 20 % each of the others.
        spread
            How far the axes of hearts differ between patients; 1 keeps every short axis within
            25 degrees of the standard view, larger is nearer to the variety of a hospital.
        """
        general, chest, heart_rng = (np.random.default_rng([seed, part]) for part in range(3))
        if group is None:
            group = Group(str(general.choice(list(_SHARES), p=list(_SHARES.values()))))
        heart = draw_heart(heart_rng, group, spread)
        atria, right = heart.atria, heart.right
        root = heart.place(*(atria.root + 28 * atria.root_axis))
        trunk = heart.place(*right.pulmonary_valve)
        jitter = draw_jitter(general, (0.03, 0.05, 0.03))
        meals = [Tissue.STOMACH, Tissue.BOWEL]  # water, milk, bread
        jitter[meals] = np.exp(general.normal(0, (0.5, 0.5, 0.1), (2, 3)))
        return cls(
            group=group,
            thorax=Thorax.draw(chest, root, trunk),
            heart=heart,
            heart_rate_bpm=float(general.uniform(52, 88)),
            warp=(
                Field.draw(general, 3, 110, 300),
                Field.draw(general, 3, 110, 300),
                Field.draw(general, 3, 110, 300),
            ),
            grain=Grain.draw(general, 1.5),
            setup=int(general.integers(1 << 31)),
            tissue_jitter=jitter,
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
        label = self.still(flat)
        near = np.flatnonzero(self.heart.near(flat))
        beating = label[near]
        self.heart.paint(beating, flat[:, near], phase)
        label[near] = beating
        return label.reshape(points.shape[1:])

    def still(self, points: Points) -> Labels:
        """The chest without its heart: (n,) at ``points`` (3, n)."""
        bent = np.stack(
            [points[axis] + np.float32(WARP_MM) * self.warp[axis].at(points) for axis in range(3)]
        )
        return self.thorax.labels(bent)

    def texture(self, points: Points) -> Points:
        """Unevenness of tissue at ``points`` (3, n), mm LPS; (n,), mean 0 and sd 1.

        It belongs to the patient and not to a slice, so that crossing planes agree.
        """
        return self.grain.at(points)
