"""Planes for property tests: any direction, unequal spacing, not square."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cmr_node.geometry.plane import Plane


def plane_along(row_direction, column_direction, shape=(24, 32)) -> Plane:
    """A plane with given F1 and F2."""
    return Plane.from_dicom(
        [*row_direction, *column_direction], [-80.25, -120.5, 60.125], [1.25, 1.5], *shape
    )


@st.composite
def some_planes(draw: st.DrawFn) -> Plane:
    """Any plane a scanner could write, its cosines rounded as headers round them."""
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    turn = Rotation.from_quat(numbers.normal(size=4)).as_matrix()  # uniform over all directions
    digits = draw(st.sampled_from([4, 6, 15]))
    spacing = st.floats(0.3, 5)
    coordinate = st.floats(-1000, 1000)
    size = st.integers(1, 600)
    return Plane.from_dicom(
        [round(float(value), digits) for value in (*turn[0], *turn[1])],
        [draw(coordinate), draw(coordinate), draw(coordinate)],
        [draw(spacing), draw(spacing)],
        draw(size),
        draw(size),
    )
