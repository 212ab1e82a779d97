from typing import Any

import numpy as np
import pytest

from cmr_node.errors import RefusedStack
from cmr_node.geometry.orientation import Orientation
from tests.outputs.making import derived
from tests.samples import mr

ROWS, COLUMNS = 24, 32


def with_overlay(
    bits: Any, *, origin: tuple[int, int] = (1, 1), group: int = 0x6000, **elements: Any
) -> Any:
    """An MR image with an overlay of these bits, (frames, rows, columns) or (rows, columns)."""
    ds = mr()
    data = np.packbits(bits.ravel(), bitorder="little").tobytes()
    ds.add_new((group, 0x0010), "US", bits.shape[-2])
    ds.add_new((group, 0x0011), "US", bits.shape[-1])
    if bits.ndim == 3:
        ds.add_new((group, 0x0015), "IS", bits.shape[0])
    ds.add_new((group, 0x0040), "CS", "G")
    ds.add_new((group, 0x0050), "SS", list(origin))
    ds.add_new((group, 0x0100), "US", 1)
    ds.add_new((group, 0x0102), "US", 0)
    ds.add_new((group, 0x3000), "OW", data + b"\0" * (len(data) % 2))
    return ds


def painted(ds: Any, group: int = 0x6000) -> Any:
    """The overlay laid on a picture as large as the image, by its one-based origin."""
    rows, columns = ds[group, 0x0010].value, ds[group, 0x0011].value
    bits = np.unpackbits(np.frombuffer(ds[group, 0x3000].value, np.uint8), bitorder="little")
    row, column = ds[group, 0x0050].value
    picture = np.zeros((ds.Rows + 40, ds.Columns + 40), np.uint8)
    picture[row + 19 :, column + 19 :][:rows, :columns] = bits[: rows * columns].reshape(rows, -1)
    return picture


@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize(
    ("shape", "origin"),
    [((ROWS, COLUMNS), (1, 1)), ((5, 7), (3, 9)), ((5, 3), (-2, 30)), ((1, 1), (24, 32))],
)
def test_every_overlay_bit_stays_on_its_pixel(
    operation: Orientation, shape: tuple[int, int], origin: tuple[int, int]
) -> None:
    bits = np.random.default_rng(1).integers(0, 2, shape).astype(np.uint8)
    bits[0, 0] = 1
    ds = with_overlay(bits, origin=origin)
    turned = derived(ds, operation)
    assert np.array_equal(painted(turned), operation.apply(painted(ds)))


@pytest.mark.parametrize("operation", Orientation)
def test_every_frame_and_every_group_of_overlays_is_turned(operation: Orientation) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    turned = derived(with_overlay(bits, group=0x601E), operation)
    found = np.unpackbits(
        np.frombuffer(turned[0x601E, 0x3000].value, np.uint8), bitorder="little", count=bits.size
    )
    assert np.array_equal(found, operation.apply(bits).ravel())


@pytest.mark.parametrize("operation", Orientation)
def test_an_overlay_embedded_in_the_pixels_changes_its_size_and_origin(
    operation: Orientation,
) -> None:
    ds = with_overlay(np.zeros((ROWS, COLUMNS), np.uint8))
    del ds[0x6000, 0x3000]
    turned = derived(ds, operation)
    size = (turned[0x6000, 0x0010].value, turned[0x6000, 0x0011].value)
    assert size == operation.turned_shape((ROWS, COLUMNS))
    assert turned[0x6000, 0x0050].value == [1, 1]


def test_an_overlay_too_short_or_without_a_size_is_refused() -> None:
    ds = with_overlay(np.zeros((ROWS, COLUMNS), np.uint8))
    ds[0x6000, 0x3000].value = b"\0\0"
    with pytest.raises(RefusedStack, match="overlay 6000 holds 16 bits; 768 are announced"):
        derived(ds, Orientation.FLIP_LR)
    ds = with_overlay(np.zeros((ROWS, COLUMNS), np.uint8))
    del ds[0x6000, 0x0010]
    with pytest.raises(RefusedStack, match="overlay 6000 of 0 x 32"):
        derived(ds, Orientation.FLIP_LR)
