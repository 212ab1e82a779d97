"""What kind of picture the network takes a picture for: simulated ones, and real ones held out.

The promise kept here: every picture goes the way it goes in the node, as the mean over its eight
turns; every real one is seen by a network that was not shown its patient, or its animal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cmr_node.inference.equivariance import averaged
from cmr_node.inference.network_outputs import Forward
from cmr_node.inference.picture_kind import PictureKind
from cmr_node.inference.preprocess import normalised, resampled
from models.evaluation.held_out import Seen
from models.evaluation.tables import Row
from models.examples import Examples
from models.pool import KINDS, Pool

Logits = npt.NDArray[np.floating]
SHORT_AXIS = KINDS.index(PictureKind.SHORT_AXIS)
SIZES_MM2 = (0.0, 800.0, 1500.0, np.inf)


def table(logits: Logits, truth: npt.NDArray[np.integer]) -> dict[str, Row]:
    """For each kind of picture, how many there are and the share taken for each kind.

    ``logits`` is (n, kinds), ``truth`` (n,) places in ``KINDS``.
    """
    taken_for = logits.argmax(1)
    return {
        str(kind): {
            "pictures": int((truth == row).sum()),
            **{
                str(other): float((taken_for[truth == row] == column).mean())
                for column, other in enumerate(KINDS)
            },
        }
        for row, kind in enumerate(KINDS)
        if (truth == row).any()
    }


def known_by_size(logits: Logits, pool: Pool) -> dict[str, Row]:
    """Of the pool's first short axes: how many are known, by the area of left muscle and cavity."""
    count = len(logits)
    area = np.isin(pool.masks[:count], (1, 2)).sum((1, 2)) * pool.spacing[:count] ** 2
    shown = pool.kind[:count] == SHORT_AXIS
    told = {}
    for least, most in pairwise(SIZES_MM2):
        here = shown & (area >= least) & (area < most)
        if here.any():
            known = float((logits[here].argmax(1) == SHORT_AXIS).mean())
            told[f"{least:g} to {most:g} mm2"] = {"pictures": int(here.sum()), "known": known}
    return told


def real_table(
    seen: Sequence[Seen],
    others: Examples,
    forward_without: Callable[[str], Forward],
    locate_mm: float,
) -> dict[str, Row]:
    """Short axes of held-out patients, and what is no short axis.

    Parameters
    ----------
    forward_without
        From a patient to a network that was not shown it.
    """
    shown = np.concatenate([one.outputs.kind for one in seen])
    logits, truth = [shown], [np.full(len(shown), SHORT_AXIS)]
    for name in sorted(set(others.patient)):
        theirs = others.of([name])
        pictures = [
            normalised(resampled(image.astype(np.float32), (spacing, spacing), locate_mm))
            for image, spacing in zip(theirs.images, theirs.spacing.astype(float), strict=True)
        ]
        logits.append(averaged(forward_without(name), np.stack(pictures)).kind)
        truth.append(theirs.kind)
    return table(np.concatenate(logits), np.concatenate(truth))
