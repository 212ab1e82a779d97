"""Headers of NIfTI-1 and NIfTI-2, read within bounds.

The promise kept here: a header that comes out describes a volume of real numbers in one file,
with every size and offset within bounds; its bytes are exactly those of the file.  nibabel gets
the bytes without its own checks, which would mend a header in silence and print about it.

Fields are named as in nifti1.h and nifti2.h (nifti.nimh.nih.gov); both versions share the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import isfinite, prod
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from cmr_node.errors import RefusedStack, UnreadableHeader
from cmr_node.volumes.affines import MAX_SIZE
from cmr_node.volumes.streams import take_header

Header: TypeAlias = Any
"""nibabel's Nifti1Header or Nifti2Header, which have no types of their own."""

MAX_OFFSET = 64 << 20
"""Bytes before the voxels, extensions included."""

_HEADERS: Mapping[int, Header] = {348: Nifti1Header, 540: Nifti2Header}  # by sizeof_hdr
_LINE_ENDS = b"\r\n\x1a\n"  # eol_check of NIfTI-2: broken by a transfer as text
_TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_REFUSED_TYPES = {
    0: "unknown",
    1: "binary",
    32: "complex64",
    128: "RGB24",
    1536: "float128",
    1792: "complex128",
    2048: "complex256",
    2304: "RGBA32",
}
_ALLOWED_TYPES = "integers of 8 to 64 bits, floating point of 32 or 64"
_EXTENDED = b"\1\0\0\0"
_EXTENSION_STEP = 16


@dataclass(frozen=True, slots=True, eq=False)
class NiftiHeader:
    """A checked header and what follows it.

    fields
        nibabel's header, byte order of the file, without extensions.
    extensions
        All of them, each with size and code, as in the file.
    dtype
        Of one voxel, byte order of the file.
    shape
        (phases, slices, rows, columns).
    """

    fields: Header
    extensions: bytes
    dtype: np.dtype[Any]
    shape: tuple[int, int, int, int]

    @property
    def size_bytes(self) -> int:
        """Bytes of all voxels."""
        return prod(self.shape) * self.dtype.itemsize


def read_fields(stream: BinaryIO) -> Header:
    """The fields at the start of ``stream``, whatever they say.

    Raises
    ------
    UnreadableHeader
        Too few bytes, or the first field names no size of a NIfTI header.
    """
    start = take_header(stream, 4)
    for size, order in product(_HEADERS, "<>"):
        if start == np.array(size, f"{order}i4").tobytes():
            return parse(start + take_header(stream, size - 4), order)
    raise UnreadableHeader(
        f"sizeof_hdr is {start.hex(' ')} in hexadecimal; allowed: 348 (NIfTI-1), 540 (NIfTI-2), "
        "either byte order"
    )


def parse(block: bytes, order: str) -> Header:
    """nibabel's header of ``block`` (348 or 540 bytes, byte order ``order``), unchecked."""
    return _HEADERS[len(block)](block, endianness=order, check=False)


def read(stream: BinaryIO) -> NiftiHeader:
    """Read ``stream`` up to the first voxel.

    Raises
    ------
    UnreadableHeader
        No NIfTI header, one that contradicts itself, or one past the bounds.
    RefusedStack
        A sound header of what is not taken: a pair of files, colour, complex numbers, more than
        four dimensions.
    """
    fields = read_fields(stream)
    _check_magic(fields)
    dtype, shape = _dtype(fields), _shape(fields)
    offset = float(fields["vox_offset"])
    first = fields.single_vox_offset
    if not (isfinite(offset) and first <= offset <= MAX_OFFSET and offset == int(offset)):
        raise UnreadableHeader(f"vox_offset {offset:.9g}; allowed: {first} to {MAX_OFFSET}")
    extended = take_header(stream, len(_EXTENDED))[0] != 0
    between = take_header(stream, int(offset) - first)
    # Without the flag these bytes are a gap that nobody reads.
    extensions = _whole_extensions(between, fields.endianness) if extended else b""
    return NiftiHeader(fields, extensions, dtype, shape)


def packed(fields: Header, extensions: bytes) -> bytes:
    """What stands before the voxels; ``vox_offset`` of ``fields`` is set to its length."""
    fields["vox_offset"] = fields.single_vox_offset + len(extensions)
    flag = _EXTENDED if extensions else bytes(len(_EXTENDED))
    return bytes(fields.binaryblock) + flag + extensions


def _check_magic(fields: Header) -> None:
    magic = bytes(fields["magic"].tobytes())[:4]
    if magic == fields.pair_magic + b"\0":
        raise RefusedStack(
            f"magic {fields.pair_magic.decode()}: the header of a pair of files (.hdr and .img); "
            "allowed: both in one file"
        )
    if magic != fields.single_magic + b"\0":
        raise UnreadableHeader(f"magic {magic!r}; allowed: {fields.single_magic + bytes(1)!r}")
    if "eol_check" in fields and fields["eol_check"].tobytes() != _LINE_ENDS:
        raise UnreadableHeader("eol_check is broken: the file went through a transfer as text")


def _dtype(fields: Header) -> np.dtype[Any]:
    code, bits = int(fields["datatype"]), int(fields["bitpix"])
    if code in _REFUSED_TYPES:
        raise RefusedStack(f"voxels are {_REFUSED_TYPES[code]}; allowed: {_ALLOWED_TYPES}")
    if code not in _TYPES:
        raise UnreadableHeader(f"datatype {code}; allowed: {_ALLOWED_TYPES}")
    dtype: np.dtype[Any] = np.dtype(f"{fields.endianness}{_TYPES[code]}")
    if bits != 8 * dtype.itemsize:
        raise UnreadableHeader(f"bitpix {bits}, datatype {code}; allowed: {8 * dtype.itemsize}")
    return dtype


def _shape(fields: Header) -> tuple[int, int, int, int]:
    count, *sizes = (int(size) for size in fields["dim"])
    if not 1 <= count <= 7:
        raise UnreadableHeader(f"dim[0] is {count}; allowed: 2 to 4 dimensions")
    sizes = sizes[:count]
    if not all(1 <= size <= MAX_SIZE for size in sizes):
        raise UnreadableHeader(f"dim is {sizes}; allowed: 1 to {MAX_SIZE} each")
    if count < 2 or any(size != 1 for size in sizes[4:]):
        raise RefusedStack(f"{count} dimensions, dim is {sizes}; allowed: 2 to 4 dimensions")
    columns, rows, slices, phases = (*sizes, 1, 1)[:4]
    return phases, slices, rows, columns


def _whole_extensions(block: bytes, order: str) -> bytes:
    """``block`` without the zeros behind the last extension."""
    end = 0
    while any(block[end:]):
        left = len(block) - end
        size = int(np.frombuffer(block, f"{order}i4", 1, end)[0]) if left >= 8 else left
        if size < _EXTENSION_STEP or size % _EXTENSION_STEP or size > left:
            raise UnreadableHeader(
                f"an extension of {size} bytes, {left} before the voxels; allowed: a multiple of "
                f"{_EXTENSION_STEP} that ends before them"
            )
        end += size
    return block[:end]
