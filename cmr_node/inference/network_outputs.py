"""What the network of this node takes and gives, as arrays; whoever runs it is called through here.

The promise kept here: shape, order and meaning of each array are said once, for the runtime that
checks them and for those who read them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

Images = Floats
"""(n, 1, size, size), as ``preprocess`` makes them; ``size`` is the card's."""


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """The answer on n pictures; float32, all values finite.

    masks
        (n, 4, size, size), probabilities: background, blood pool of the left ventricle, its
        myocardium, blood pool of the right ventricle.  They sum to 1 over the second axis.
    orientation
        (n, 8), logits in the order of ``Orientation``: stored = o.apply(standard view).
    mirrored
        (n,), logit of a mirrored picture.
    directions
        (n, 2, 2), (row, column) of the standard right and of the way from the left ventricle to
        the right one, in the stored picture; of length 1 where the network is sure.
    kind
        (n, 5), logits: short axis, above the base, below the apex, long axis, other.
    """

    masks: Floats
    orientation: Floats
    mirrored: Floats
    directions: Floats
    kind: Floats


Forward = Callable[[Images], Outputs]
"""A network; raises ``BadInference`` or ``InferenceFailed``."""
