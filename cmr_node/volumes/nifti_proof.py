"""Whether a turned NIfTI file, read back from the disk, is its source turned.

The promise kept here: no value is taken from the code that wrote.  nibabel reads both files and
both forms, and each result voxel is asked for the source voxel that it must equal.  Shared is
``affines.index_matrix`` alone: where the operation says that a voxel came from.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import HeaderDataError

from cmr_node.errors import GeometryNotKept, NodeError
from cmr_node.geometry.orientation import Orientation
from cmr_node.volumes.affines import Array, corners, index_matrix
from cmr_node.volumes.nifti import is_gzipped
from cmr_node.volumes.nifti_forms import millimetres
from cmr_node.volumes.nifti_header import Header, read_fields
from cmr_node.volumes.proof import prove_positions, prove_voxels
from cmr_node.volumes.streams import opened

_MAY_CHANGE = frozenset(
    (
        "dim",
        "dim_info",
        "pixdim",
        "vox_offset",
        "quatern_b",
        "quatern_c",
        "quatern_d",
        "qoffset_x",
        "qoffset_y",
        "qoffset_z",
        "srow_x",
        "srow_y",
        "srow_z",
    )
)
_MAY_CHANGE_BESIDE_KEPT_GEOMETRY = frozenset(("dim", "vox_offset"))
_CANNOT_READ = (gzip.BadGzipFile, zlib.error, EOFError, HeaderDataError, ValueError, NodeError)
_array_proxy: Any = ArrayProxy  # nibabel's has no types


def prove(source: Path, target: Path, operation: Orientation, *, keep_geometry: bool) -> float:
    """Prove ``target`` against ``source``.

    Parameters
    ----------
    source, target
        Files; the name of ``source`` says whether both are compressed.
    operation
        What was to be done to each slice.
    keep_geometry
        The forms had to stay as they were.

    Returns
    -------
    The largest distance between a voxel and the source voxel of the same value, mm, in any form;
    0.0 if there is no form or the forms had to stay.

    Raises
    ------
    GeometryNotKept
        ``target`` cannot be read back or is not what it must be.
    OSError
        The disk cannot be read.
    """
    gzipped = is_gzipped(source)
    try:
        before, before_voxels = _read(source, gzipped=gzipped)
        after, after_voxels = _read(target, gzipped=gzipped)
    except _CANNOT_READ as fault:
        raise GeometryNotKept(f"the turned volume cannot be read back: {fault}") from fault
    prove_voxels(before_voxels, after_voxels, operation)
    may_change = _MAY_CHANGE_BESIDE_KEPT_GEOMETRY if keep_geometry else _MAY_CHANGE
    for name in before:
        if name not in may_change and before[name].tobytes() != after[name].tobytes():
            raise GeometryNotKept(f"the header field {name} is not that of the source")
    if keep_geometry:
        return 0.0
    columns, rows, *rest = before.get_data_shape()
    slices = rest[0] if rest else 1
    ends = corners((*operation.turned_shape((rows, columns))[::-1], slices))
    came_from = index_matrix(operation, (rows, columns)) @ ends
    worst = 0.0
    for name in ("sform", "qform"):
        if int(before[f"{name}_code"]) > 0:
            moved = _form(after, name) @ ends - _form(before, name) @ came_from
            error = float(np.linalg.norm(moved, axis=0).max()) * millimetres(before)
            worst = max(worst, prove_positions(error, name))
    return worst


def _read(path: Path, *, gzipped: bool) -> tuple[Header, npt.NDArray[Any]]:
    """nibabel's header without its extensions, and (..., rows, columns) stored values."""
    with opened(path, gzipped=gzipped) as stream:
        header = read_fields(stream)
        place = (header.get_data_shape(), header.get_data_dtype(), int(header["vox_offset"]))
        voxels = _array_proxy(stream, place, mmap=False).get_unscaled()
        if stream.read(1):
            raise GeometryNotKept("the turned volume goes on behind its voxels")
    return header, np.asarray(voxels).T


def _form(header: Header, name: str) -> Array:
    if name == "sform":
        return np.asarray(header.get_sform(), dtype=np.float64)
    readable = header.copy()
    pixdim = readable["pixdim"].copy()
    pixdim[0] = pixdim[0] or 1  # nibabel refuses the 0 that nifti1.h allows
    readable["pixdim"] = pixdim
    return np.asarray(readable.get_qform(), dtype=np.float64)
