"""Overlay planes (PS3.3 C.9.2), turned with the picture they lie on.

The promise kept here: every overlay bit stays on the pixel it marked.  Bits of a retired overlay
embedded in the pixel words move with the words; here only its size and origin follow.
"""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from cmr_node.errors import RefusedStack
from cmr_node.geometry.orientation import Orientation

_GROUPS = range(0x6000, 0x6100, 2)
_ROWS, _COLUMNS, _FRAMES, _ORIGIN, _DATA = 0x0010, 0x0011, 0x0015, 0x0050, 0x3000


def turn_overlays(ds: Dataset, operation: Orientation, shape: tuple[int, int]) -> None:
    """Turn every overlay of a data set in place.

    Parameters
    ----------
    shape
        (rows, columns) of the image before the operation.

    Raises
    ------
    RefusedStack
        An overlay that does not say its size, or holds too few bits for it.
    """
    tags = ds.keys()  # to iterate over the data set itself would decode every element
    for group in sorted({tag.group for tag in tags if tag.group in _GROUPS}):
        _turn(ds, group, operation, operation.turned_shape(shape))


def _turn(ds: Dataset, group: int, operation: Orientation, image_shape: tuple[int, int]) -> None:
    has_data = Tag(group, _DATA) in ds
    rows, columns = (_number(ds, group, element) for element in (_ROWS, _COLUMNS))
    if not rows or not columns:
        if has_data:
            raise RefusedStack(f"overlay {group:04X} of {rows} x {columns}; allowed: 1 x 1 or more")
        return
    turned = operation.turned_shape((rows, columns))
    if has_data:
        frames = _number(ds, group, _FRAMES) or 1
        element = ds[group, _DATA]
        count = frames * rows * columns
        packed = np.frombuffer(element.value or b"", np.uint8)
        if packed.size * 8 < count:
            raise RefusedStack(
                f"overlay {group:04X} holds {packed.size * 8} bits; {count} are announced"
            )
        bits = np.unpackbits(packed, count=count, bitorder="little")
        moved = operation.apply(bits.reshape(frames, rows, columns))
        data = np.packbits(moved.ravel(), bitorder="little").tobytes()
        element.value = data + b"\0" * (len(data) % 2)
    ds[group, _ROWS].value, ds[group, _COLUMNS].value = turned
    if Tag(group, _ORIGIN) in ds:
        # One-based (row, column) of the first overlay point on the image; may lie outside it.
        row, column = _origin(ds, group)
        if operation.transposes:
            row, column = column, row
        if operation.reverses_rows:
            row = image_shape[0] + 2 - row - turned[0]
        if operation.reverses_columns:
            column = image_shape[1] + 2 - column - turned[1]
        ds[group, _ORIGIN].value = [row, column]


def _origin(ds: Dataset, group: int) -> tuple[int, int]:
    value = ds[group, _ORIGIN].value
    if value is None or isinstance(value, int) or len(value) != 2:
        raise RefusedStack(f"overlay {group:04X} begins at {value}; allowed: row and column")
    return int(value[0]), int(value[1])


def _number(ds: Dataset, group: int, element: int) -> int:
    tag = Tag(group, element)
    value = ds[tag].value if tag in ds else None
    if isinstance(value, MultiValue | list):
        raise RefusedStack(f"overlay {group:04X} has {len(value)} sizes; allowed: one")
    return int(value or 0)
