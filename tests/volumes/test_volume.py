"""Pictures of volumes: brighter is larger, and every value is a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmr_node.volumes.files import read_volume
from cmr_node.volumes.volume import Volume
from tests.volumes.making import SHAPE, TYPES, nifti, voxels


def picture(values: Any, *, inverted: bool = False) -> Any:
    volume = Volume(np.array(values)[None, None], None, "none", 0.0, inverted)
    return volume.picture(0)


@pytest.mark.parametrize("dtype", [*TYPES, "uint32", "int64", "uint64"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_picture_is_one_slice_of_one_phase(dtype: str, order: str) -> None:
    values = np.nan_to_num(voxels(dtype=dtype)).astype(np.dtype(dtype).newbyteorder(order))
    volume = Volume(values, None, "none", 0.0)
    found = volume.picture(3, phase=2)
    assert found.dtype == np.float32
    assert found.shape == SHAPE[2:]
    np.testing.assert_array_equal(found, values[2, 3].astype(np.float32))


@pytest.mark.parametrize(
    ("slope", "sign"), [(1.0, 1), (0.0, 1), (-3.0, -1), (2.5, 1), (np.nan, 1), (-np.inf, 1)]
)
def test_a_negative_slope_makes_larger_values_darker(
    tmp_path: Path, slope: float, sign: int
) -> None:
    values = voxels(dtype="uint8")
    volume = read_volume(nifti(tmp_path / "heart.nii", values, scl_slope=slope))
    np.testing.assert_array_equal(volume.voxels, values)
    np.testing.assert_array_equal(volume.picture(1), sign * values[0, 1].astype(np.float32))


def test_what_is_no_number_is_as_dark_as_the_darkest_that_is() -> None:
    values = [[np.nan, 2.0, np.inf], [-np.inf, 5.0, 3.0]]
    np.testing.assert_array_equal(picture(values), [[2, 2, 2], [2, 5, 3]])
    np.testing.assert_array_equal(picture(values, inverted=True), [[-5, -2, -5], [-5, -5, -3]])
    np.testing.assert_array_equal(picture([[np.nan, np.inf]]), [[0, 0]])


def test_values_beyond_32_bits_are_bounded() -> None:
    limit = np.finfo(np.float32).max
    np.testing.assert_array_equal(picture([[1e300, -1e300, 1.0]]), [[limit, -limit, 1]])
