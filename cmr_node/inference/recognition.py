"""What a network says of the orientation of a stack, and the door it says it through.

The promise kept here: a verdict carries all eight probabilities, so that whoever decides sees
how near the next one was, and says itself whether it is sure by the thresholds it was measured
with (its card); what is not sure names the doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmr_node.geometry.orientation import Orientation

Image = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NetworkEvidence:
    """How probable each of the eight is, by the pixels alone; angles clockwise, degrees.

    probabilities
        For each o, that stored = o.apply(standard view), over all slices heard; they sum to 1.
    sax
        That the pictures show a short axis of the ventricles, 0 to 1.
    doubt
        Why the network is not sure, as an ASCII sentence; "" if it is.
    mirrored
        Probability of a mirrored picture, by an output of its own; None if there is none.
    residual_deg
        From the standard right to the right seen, after undoing ``orientation``: -180 to 180,
        within 45 where all outputs agree.  None if not known.
    septal_deg
        Direction from the left ventricle to the right one in the stored picture, from the right
        of the picture; 180 in an ideal standard view.  None if not known.
    agreement
        Share of the slices heard whose own first choice is ``orientation``.
    slices
        How many were heard.
    """

    probabilities: Mapping[Orientation, float]
    sax: float
    doubt: str = ""
    mirrored: float | None = None
    residual_deg: float | None = None
    septal_deg: float | None = None
    agreement: float = 1.0
    slices: int = 1

    @property
    def orientation(self) -> Orientation:
        """The most probable one."""
        return max(self.probabilities, key=lambda orientation: self.probabilities[orientation])

    @property
    def probability(self) -> float:
        """That of ``orientation``."""
        return self.probabilities[self.orientation]


def nothing_seen(doubt: str) -> NetworkEvidence:
    """In place of an answer: all eight are as probable, and nothing shows a heart."""
    even = dict.fromkeys(Orientation, 1 / len(Orientation))
    return NetworkEvidence(even, sax=0.0, doubt=doubt, agreement=0.0, slices=0)


Recogniser = Callable[[Sequence[Image], tuple[float, float]], NetworkEvidence]
"""The slices of a stack at one phase, (rows, columns) each and brighter larger, with their
(between rows, between columns) in mm, to what a network makes of them."""
