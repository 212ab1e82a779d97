"""What was outlined in a short-axis cine: one label per pixel, slice and phase.

The promise kept here: the arrays of one ``Masks`` fit each other, and its labels are known ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Structure(IntEnum):
    """What a label means.

    Papillary muscles and trabeculae belong to the blood pool they stand in (SCMR 2020).
    """

    NONE = 0
    LV_BLOOD = 1  #: blood pool of the left ventricle
    LV_MYOCARDIUM = 2  #: wall of the left ventricle
    RV_BLOOD = 3  #: blood pool of the right ventricle


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """The outlines of one stack, on the grid of its images.

    labels
        uint8 (slices, phases, rows, columns), values of ``Structure``.
    present
        bool (slices, phases): whether there was an image to outline.  A slice without one has no
        label but ``Structure.NONE``.
    confidence
        float32 (slices, phases), 0 to 1: how sure whoever drew the outlines is of them.

    Raises
    ------
    ValueError
        A shape, a type or a value is not as above.
    """

    labels: NDArray[np.uint8]
    present: NDArray[np.bool_]
    confidence: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.labels.ndim != 4 or self.labels.dtype != np.uint8:
            raise ValueError(
                f"labels {self.labels.dtype} of shape {self.labels.shape}; allowed: uint8 "
                "(slices, phases, rows, columns)"
            )
        for name, dtype in (("present", np.bool_), ("confidence", np.float32)):
            array = getattr(self, name)
            if array.shape != self.labels.shape[:2] or array.dtype != dtype:
                raise ValueError(
                    f"{name} {array.dtype} of shape {array.shape}; allowed: "
                    f"{np.dtype(dtype)} of shape {self.labels.shape[:2]}"
                )
        if self.labels.size and self.labels.max() > max(Structure):
            raise ValueError(f"label {self.labels.max()}; allowed: 0 to {max(Structure):d}")
        if self.labels[~self.present].any():
            raise ValueError("labels in a slice and phase that is not present")
        sure = self.confidence
        if sure.size and not (np.isfinite(sure).all() and sure.min() >= 0 and sure.max() <= 1):
            raise ValueError("confidence outside 0 to 1")

    def of(self, structure: Structure) -> NDArray[np.bool_]:
        """Where ``structure`` is: bool (slices, phases, rows, columns)."""
        return np.asarray(self.labels == structure)
