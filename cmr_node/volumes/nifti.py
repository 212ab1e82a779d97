"""NIfTI-1 and NIfTI-2, in one file, compressed or not.

The promise kept here: a turned file differs from its source in the order of the voxels, in the
header fields that say where and how large they are, and in one comment more.  Voxels are moved
as stored: never scaled, converted or brought to another byte order.
"""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from cmr_node.errors import UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.volumes import nifti_forms
from cmr_node.volumes.affines import check_equal_spacing, planes
from cmr_node.volumes.nifti_header import Header, NiftiHeader, packed, parse
from cmr_node.volumes.nifti_header import read as read_header
from cmr_node.volumes.streams import check_size, opened, take_voxels
from cmr_node.volumes.volume import Volume, Voxels

COMMENT = 6  # NIFTI_ECODE_COMMENT
_COMPRESSION = 3  # of a noisy cine as small as 6 makes it, to 0.4 %, in two fifths of the time


def is_gzipped(path: Path) -> bool:
    """By name."""
    return path.name.lower().endswith(".gz")


def read(path: Path) -> Volume:
    """See ``files.read_volume``."""
    header, voxels = _read(path)
    fields = header.fields
    phases, *shape = header.shape
    slices, rows, columns = shape
    fault, found = "", None
    try:
        affine = nifti_forms.patient_affine(fields, (slices, rows, columns))
        found = planes(affine, (slices, rows, columns))
    except UnusableGeometry as reason:
        fault = str(reason)
    slope = float(fields["scl_slope"])  # NaN and 0 mean no scaling
    return Volume(
        voxels=voxels,
        planes=found,
        geometry_fault=fault,
        phase_duration=nifti_forms.phase_duration(fields, phases),
        inverted=-np.inf < slope < 0,
    )


def write_turned(
    source: Path, target: Path, operation: Orientation, note: str, *, keep_geometry: bool
) -> None:
    """Write the turned volume to ``target``, which is overwritten; see ``files.reorient_volume``.

    Raises
    ------
    BadInstance, RefusedStack
        As ``read``; also what cannot be turned.
    """
    header, voxels = _read(source)
    rows, columns = header.shape[2:]
    fields = _turned(header.fields, operation, (rows, columns), keep_geometry=keep_geometry)
    start = packed(fields, header.extensions + comment(note, fields.endianness))
    turned = operation.apply(voxels)
    del voxels
    with target.open("wb") as raw, ExitStack() as stack:
        out: BinaryIO = raw
        if is_gzipped(source):
            # No name and no time: two runs write the same bytes.
            zipped = gzip.GzipFile("", "wb", _COMPRESSION, raw, mtime=0)
            out = cast("BinaryIO", stack.enter_context(zipped))
        out.write(start)
        out.write(turned.view(np.uint8).data)


def comment(note: str, order: str) -> bytes:
    """An extension that holds ``note`` (ASCII), of byte order ``order``."""
    text = note.encode("ascii")
    size = -(-(8 + len(text)) // 16) * 16
    return np.array([size, COMMENT], f"{order}i4").tobytes() + text.ljust(size - 8, b"\0")


def _read(path: Path) -> tuple[NiftiHeader, Voxels]:
    gzipped = is_gzipped(path)
    with opened(path, gzipped=gzipped) as stream:
        header = read_header(stream)
        check_size(header.size_bytes, path, compressed=gzipped)
        voxels = take_voxels(stream, header.size_bytes).view(header.dtype)
    return header, voxels.reshape(header.shape)


def _turned(
    fields: Header, operation: Orientation, shape: tuple[int, int], *, keep_geometry: bool
) -> Header:
    turned = parse(fields.binaryblock, fields.endianness)
    if operation.transposes:
        turned["dim"] = fields["dim"][[0, 2, 1, 3, 4, 5, 6, 7]]
    if keep_geometry:
        if operation.transposes:
            # The geometry stays: with unequal spacing the picture would be stretched.
            for name, (across, down) in nifti_forms.spacings(fields).items():
                check_equal_spacing(name, across, down)
        return turned
    nifti_forms.turn(turned, operation, shape)
    if operation.transposes:
        turned["pixdim"] = turned["pixdim"][[0, 2, 1, 3, 4, 5, 6, 7]]
        turned["dim_info"] = _exchanged_axes(int(fields["dim_info"]))
    return turned


def _exchanged_axes(dim_info: int) -> int:
    """Bits 0-1, 2-3 and 4-5 name the frequency, phase and slice axis, 1 to 3; 0 is unknown."""
    exchanged = dim_info & 0b11000000
    for shift in (0, 2, 4):
        axis = dim_info >> shift & 3
        exchanged |= {1: 2, 2: 1}.get(axis, axis) << shift
    return exchanged
