"""Exactly equivariant answers from any network, by averaging over the eight orientations.

The promise kept here: turning the picture turns the answer and changes nothing else,
``p(k.x) = k.p(x)``, to the rounding of float32, whatever the network learnt.  The network is shown
the eight turned copies of a picture; each answer is turned back, and the mean is taken.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.network_outputs import Floats, Forward, Outputs

ALL = tuple(Orientation)


def averaged(forward: Forward, pictures: Floats) -> Outputs:
    """The answers on n pictures, from 8 n.

    Parameters
    ----------
    pictures
        (n, size, size), square.
    """
    return mean_of(answers(forward, pictures))


def answers(forward: Forward, pictures: Floats) -> list[Outputs]:
    """What the network says of each turned copy, in the order of ``ALL``."""
    return [forward(np.ascontiguousarray(k.apply(pictures)[:, None])) for k in ALL]


def mean_of(answers: list[Outputs]) -> Outputs:
    """The eight answers turned back, and their mean."""
    pairs = list(zip(ALL, answers, strict=True))
    return Outputs(
        masks=_mean([k.inverse.apply(answer.masks) for k, answer in pairs]),
        orientation=_mean([answer.orientation[:, after(k)] for k, answer in pairs]),
        mirrored=_mean([answer.mirrored * np.float32(k.chirality) for k, answer in pairs]),
        directions=_mean([answer.directions @ matrices()[k.code] for k, answer in pairs]),
        kind=_mean([answer.kind for _, answer in pairs]),
    )


@cache
def after(k: Orientation) -> npt.NDArray[np.int64]:
    """(8,): for each orientation o in order, the place of "o, then k"."""
    return np.array([k.after(o).code for o in ALL])


@cache
def matrices() -> Floats:
    """(8, 2, 2): what each orientation does to a vector (row, column), ``matrices()[o.code] @ v``.

    They are orthogonal: ``v @ matrices()[o.code]`` undoes it.
    """
    return np.stack([o.index_map((2, 2))[0].T for o in ALL]).astype(np.float32)


def _mean(answers: list[Floats]) -> Floats:
    return np.asarray(np.mean(answers, axis=0), np.float32)
