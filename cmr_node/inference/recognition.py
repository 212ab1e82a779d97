"""What a network says of the orientation of a stack, and the door it says it through.

The promise kept here: a verdict carries all eight probabilities, so that whoever decides sees
how near the next one was, and with what probability the pictures show a short axis at all.
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
    """How probable each of the eight is, by the pixels alone.

    probabilities
        For each o, that stored = o.apply(standard view); they sum to 1.
    sax
        That the pictures show a short axis of the ventricles, 0 to 1.
    """

    probabilities: Mapping[Orientation, float]
    sax: float

    @property
    def orientation(self) -> Orientation:
        """The most probable one."""
        return max(self.probabilities, key=lambda orientation: self.probabilities[orientation])

    @property
    def probability(self) -> float:
        """That of ``orientation``."""
        return self.probabilities[self.orientation]


Recogniser = Callable[[Sequence[Image], tuple[float, float]], NetworkEvidence]
"""The slices of a stack at one phase, (rows, columns) each and brighter larger, with their
(between rows, between columns) in mm, to what a network makes of them."""
