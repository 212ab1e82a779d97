"""What a network must take and give, held against what it declares and what it answers.

The promise kept here: a foreign network is refused before it is asked anything, and an answer
that is none goes no further; the message says what was found and what is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from cmr_node.errors import BadInference, BadWeights
from cmr_node.inference.network_outputs import Floats, Outputs

INPUT: Final = "image"
SUM_TOLERANCE: Final = 1e-3  # of the probabilities of one pixel


def shapes(size: int) -> dict[str, tuple[int, ...]]:
    """Output -> its shape behind n, in the order of ``Outputs``."""
    return {
        "masks": (4, size, size),
        "orientation": (8,),
        "mirrored": (),
        "directions": (2, 2),
        "kind": (5,),
    }


def check_ends(runner: Any, size: int) -> None:
    """Raise ``BadWeights`` unless a session declares the inputs and outputs it must have."""
    allowed: list[tuple[str, Sequence[Any], dict[str, tuple[int, ...]]]] = [
        ("input", runner.get_inputs(), {INPUT: (1, size, size)}),
        ("output", runner.get_outputs(), shapes(size)),
    ]
    for what, ends, wanted in allowed:
        found = {end.name: end for end in ends}
        told = ", ".join(f"{end.name} {end.type} {_shown(end.shape)}" for end in ends)
        meant = ", ".join(f"{name} tensor(float) {_shown(['n', *r])}" for name, r in wanted.items())
        fits = found.keys() == wanted.keys() and all(
            found[name].type == "tensor(float)" and _fits(found[name].shape, rest)
            for name, rest in wanted.items()
        )
        if not fits:
            raise BadWeights(f"{what}s {told or 'none'}; allowed: {meant}")


def checked(found: Sequence[Any], number: int, size: int) -> list[Floats]:
    """The answer on ``number`` pictures.

    Raises
    ------
    BadInference
        Type or shape are wrong, or a value is not finite.
    """
    arrays: list[Floats] = []
    for (name, rest), values in zip(shapes(size).items(), found, strict=True):
        array = np.asarray(values)
        if array.dtype != np.float32 or array.shape != (number, *rest):
            raise BadInference(
                f"output {name} is {array.dtype} {_shown(array.shape)}; "
                f"allowed: float32 {_shown([number, *rest])}"
            )
        if not np.isfinite(array).all():
            raise BadInference(f"output {name} holds values that are no numbers (NaN or infinite)")
        arrays.append(array)
    return arrays


def check_probabilities(outputs: Outputs) -> None:
    """Raise ``BadWeights`` unless the masks are probabilities, not logits or labels."""
    least, sums = float(outputs.masks.min()), outputs.masks.sum(axis=1)
    if least < 0 or np.abs(sums - 1).max() > SUM_TOLERANCE:
        raise BadWeights(
            f"masks add up to {sums.min():.3g} ... {sums.max():.3g} in a pixel and their least is "
            f"{least:.3g}; allowed: probabilities that add up to 1"
        )


def _fits(shape: Sequence[int | str | None], rest: tuple[int, ...]) -> bool:
    """Whether a declared shape is (any n, *rest); one that is left open shows in the first run."""
    return (
        len(shape) == 1 + len(rest)
        and not isinstance(shape[0], int)
        and all(not isinstance(d, int) or d == r for d, r in zip(shape[1:], rest, strict=True))
    )


def _shown(shape: Sequence[int | str | None]) -> str:
    return "(" + ", ".join(str(size or "any") for size in shape) + ")"
