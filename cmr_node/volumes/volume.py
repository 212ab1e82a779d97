"""What a file holds, whatever its format.

The promise kept here: the values are those stored in the file, and planes are given only where
the file says, without contradicting itself, where its voxels are in the patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmr_node.geometry.plane import Plane

Voxels = npt.NDArray[Any]
"""(phases, slices, rows, columns), real numbers, byte order of the file."""

_FLOAT32_LIMIT = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One stack of slices, all phases.

    voxels
        (phases, slices, rows, columns), stored values, never scaled; type and byte order of the
        file.
    planes
        One per slice, mm, LPS; None if the file has no usable geometry.
    geometry_fault
        Why ``planes`` is None, one sentence; "" if it is not.
    phase_duration
        s, from one phase to the next; 0.0 if not known.
    inverted
        Larger stored values are darker: the file's scale factor is negative.
    """

    voxels: Voxels
    planes: tuple[Plane, ...] | None
    geometry_fault: str
    phase_duration: float
    inverted: bool = False

    def picture(self, slice_index: int, phase: int = 0) -> npt.NDArray[np.float32]:
        """One slice for pictures and correlation: a larger value is a brighter pixel.

        Parameters
        ----------
        slice_index, phase
            Zero-based.

        Returns
        -------
        (rows, columns), in stored units, negated if ``inverted``.  What is not a finite number
        has the value of the darkest pixel that is; values beyond float32 have its largest.
        """
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
            values = self.voxels[phase, slice_index].astype(np.float64)
        finite = np.isfinite(values)
        if self.inverted:
            values = -values
        values[~finite] = values[finite].min() if finite.any() else 0
        bounded: npt.NDArray[np.float64] = np.clip(values, -_FLOAT32_LIMIT, _FLOAT32_LIMIT)
        return bounded.astype(np.float32)
