"""Text headers of MetaImage files, read within bounds before SimpleITK sees them.

The promise kept here: a header that comes out names no other file, describes real numbers in two
to four dimensions, and holds no text longer than the buffers of MetaIO.  Its lines are kept as
they were, in their order.

What a key means: itk.org, Insight/MetaIO/Documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np

from cmr_node.errors import RefusedStack, UnreadableHeader
from cmr_node.volumes.affines import MAX_SIZE

MAX_HEADER = 64 << 10
"""Bytes; thirty times what ITK writes."""

MAX_TEXT = 255
"""Characters of a text that MetaIO copies into a buffer of 256; a longer one breaks its reader."""

MAX_KEY, MAX_VALUE = 64, 8192
"""Characters; MetaIO holds 255 of a key and 32 KiB of a value, unchecked."""

_TEXTS = frozenset(
    (
        "AcquisitionDate",
        "AnatomicalOrientation",
        "BinaryData",
        "Comment",
        "CompressedData",
        "DistanceUnits",
        "ElementDataFile",
        "ElementType",
        "Modality",
        "Name",
        "ObjectSubType",
        "ObjectType",
        "TransformType",
    )
)
_LINE = re.compile(r"\s*([!-9;<>-~]+)\s*=\s*(.*?)\s*", re.ASCII)  # no ":" in a key
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",  # so MetaIO, on 64-bit machines too
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_DIMENSIONS_OF = {  # NDims numbers, or a square of them
    "ElementSpacing": 1,
    "ElementSize": 1,
    "Offset": 1,
    "Position": 1,
    "Origin": 1,
    "TransformMatrix": 2,
    "Rotation": 2,
    "Orientation": 2,
}
_POSITION_KEYS = frozenset(
    ("TransformMatrix", "Rotation", "Orientation", "Offset", "Position", "Origin")
)


@dataclass(frozen=True, slots=True)
class MetaImageHeader:
    """A checked header.

    values
        By key, in the order of the file, ElementDataFile last.
    sizes
        (columns, rows[, slices[, phases]]), as DimSize.
    dtype
        Of one voxel, byte order of the file.
    compressed
        The voxels are a zlib stream.
    """

    values: Mapping[str, str]
    sizes: tuple[int, ...]
    dtype: np.dtype[Any]
    compressed: bool

    @property
    def size_bytes(self) -> int:
        """Bytes of all voxels, inflated."""
        return prod(self.sizes) * self.dtype.itemsize

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(phases, slices, rows, columns)."""
        columns, rows, slices, phases = (*self.sizes, 1, 1)[:4]
        return phases, slices, rows, columns

    @property
    def positioned(self) -> bool:
        """Whether it says where the voxels are; without these keys ITK assumes an identity."""
        return not _POSITION_KEYS.isdisjoint(self.values)


def read(stream: BinaryIO) -> MetaImageHeader:
    """Read ``stream`` up to the first voxel.

    Raises
    ------
    UnreadableHeader
        No MetaImage header, one that contradicts itself, or one past the bounds.
    RefusedStack
        A sound header of what is not taken: voxels elsewhere or as text, colour, five dimensions.
    """
    values = _values(stream)
    if values.get("ObjectType", "Image") != "Image":
        raise RefusedStack(f"ObjectType {values['ObjectType']}; allowed: Image")
    if values["ElementDataFile"].upper() != "LOCAL":
        raise RefusedStack(
            f"ElementDataFile {values['ElementDataFile']}; allowed: LOCAL, voxels in the same file"
        )
    if values.get("ElementNumberOfChannels", "1") != "1":
        raise RefusedStack(
            f"{values['ElementNumberOfChannels']} channels per voxel; allowed: 1, no colour"
        )
    if values.get("HeaderSize", "0") != "0":
        raise RefusedStack(f"HeaderSize {values['HeaderSize']}; allowed: 0")
    if not _flag(values, "BinaryData"):
        raise RefusedStack("voxels as text; allowed: BinaryData = True")
    big_endian = {
        _flag(values, key)
        for key in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
        if key in values
    }
    if len(big_endian) == 2:
        raise UnreadableHeader("BinaryDataByteOrderMSB and ElementByteOrderMSB contradict")
    kind = values.get("ElementType", "")
    if kind not in _TYPES:
        raise RefusedStack(f"ElementType {kind!r}; allowed: {', '.join(_TYPES)}")
    return MetaImageHeader(
        values=values,
        sizes=_sizes(values),
        dtype=np.dtype((">" if True in big_endian else "<") + _TYPES[kind]),
        compressed=_flag(values, "CompressedData"),
    )


def packed(values: Mapping[str, str]) -> bytes:
    """The text of a header; ElementDataFile must be its last key."""
    return "".join(f"{key} = {value}\n" for key, value in values.items()).encode("latin-1")


def _values(stream: BinaryIO) -> dict[str, str]:
    values: dict[str, str] = {}
    left = MAX_HEADER
    while "ElementDataFile" not in values:
        line = stream.readline(left)
        left -= len(line)
        if not line.endswith(b"\n"):
            raise UnreadableHeader(
                f"no line ElementDataFile in the first {MAX_HEADER - left} bytes; allowed: a text "
                f"header of {MAX_HEADER} bytes at most that ends with it"
            )
        text = line.decode("latin-1").removesuffix("\n").removesuffix("\r")
        match = _LINE.fullmatch(text)
        if match is None or _CONTROL.search(text):
            # MetaIO might take such a line for something else than this reader does.
            raise UnreadableHeader(f"line {len(values) + 1} of the header is not 'key = value'")
        key, value = match.groups()
        if key in values:
            raise UnreadableHeader(f"{key} stands in the header twice")
        limit = MAX_TEXT if key in _TEXTS else MAX_VALUE
        if len(key) > MAX_KEY or len(value) > limit:
            raise UnreadableHeader(
                f"{key[:MAX_KEY]} of {len(key)} and {len(value)} characters "
                f"(limits {MAX_KEY} and {limit})"
            )
        values[key] = value
    return values


def _sizes(values: Mapping[str, str]) -> tuple[int, ...]:
    dimensions, sizes = values.get("NDims", ""), values.get("DimSize", "")
    if dimensions not in ("2", "3", "4"):
        raise RefusedStack(f"NDims {dimensions!r}; allowed: 2 to 4")
    if not re.fullmatch(r"[0-9]{1,5}( +[0-9]{1,5})*", sizes):
        raise UnreadableHeader(f"DimSize {sizes!r}; allowed: NDims numbers from 1 to {MAX_SIZE}")
    numbers = tuple(int(size) for size in sizes.split())
    if len(numbers) != int(dimensions) or not all(1 <= size <= MAX_SIZE for size in numbers):
        raise UnreadableHeader(f"DimSize {sizes}; allowed: {dimensions} numbers, 1 to {MAX_SIZE}")
    for key, power in _DIMENSIONS_OF.items():
        found, allowed = len(values.get(key, "").split()), len(numbers) ** power
        if key in values and found != allowed:
            raise UnreadableHeader(f"{key} has {found} numbers; allowed: {allowed}")
    return numbers


def _flag(values: Mapping[str, str], key: str) -> bool:
    """MetaIO takes T, t and 1 at the start for true; here only what it would also write."""
    value = values.get(key, "False")
    if value not in ("True", "False"):
        raise UnreadableHeader(f"{key} {value!r}; allowed: True, False")
    return value == "True"
