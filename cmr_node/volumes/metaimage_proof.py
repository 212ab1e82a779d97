"""Whether a turned MetaImage file, read back from the disk, is its source turned.

The promise kept here: no value is taken from the code that wrote.  SimpleITK reads both files
whole, and each result voxel is asked for the source voxel that it must equal.  Shared is
``affines.index_matrix`` alone: where the operation says that a voxel came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from cmr_node.errors import GeometryNotKept, UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.volumes.affines import Array, corners, index_matrix
from cmr_node.volumes.metaimage import IMAGE_IO
from cmr_node.volumes.metaimage_header import read as read_header
from cmr_node.volumes.proof import prove_positions, prove_voxels


def prove(source: Path, target: Path, operation: Orientation, *, keep_geometry: bool) -> float:
    """Prove ``target`` against ``source``.

    Parameters
    ----------
    source, target
        Files.
    operation
        What was to be done to each slice.
    keep_geometry
        Origin, spacing and direction had to stay as they were.

    Returns
    -------
    The largest distance between a voxel and the source voxel of the same value, mm; 0.0 if there
    is no position or the geometry had to stay.

    Raises
    ------
    UnusableGeometry
        SimpleITK refuses the source: its spacing or direction is singular.
    GeometryNotKept
        ``target`` cannot be read back or is not what it must be.
    """
    try:
        before = _image(source)
    except RuntimeError as fault:
        raise UnusableGeometry(
            "SimpleITK does not read the volume; allowed: spacing and directions that are not 0"
        ) from fault
    try:
        after = _image(target)
    except RuntimeError as fault:
        raise GeometryNotKept("SimpleITK cannot read the turned volume back") from fault
    prove_voxels(
        SimpleITK.GetArrayViewFromImage(before), SimpleITK.GetArrayViewFromImage(after), operation
    )
    for key in before.GetMetaDataKeys():
        if not key.startswith("ITK_") and (
            key not in after.GetMetaDataKeys() or before.GetMetaData(key) != after.GetMetaData(key)
        ):
            raise GeometryNotKept("a metadata key is not that of the source")  # may name a patient
    if keep_geometry:
        if not np.array_equal(_affine(before), _affine(after)):
            raise GeometryNotKept("origin, spacing or direction is not that of the source")
        return 0.0
    columns, rows = before.GetSize()[:2]
    source_of = index_matrix(operation, (rows, columns), before.GetDimension())
    with source.open("rb") as stream:
        positioned = read_header(stream).positioned
    if not positioned:  # ITK's identity says nothing about the patient
        spacing = np.abs(source_of[:-1, :-1]).T @ before.GetSpacing()
        if not np.array_equal(spacing, after.GetSpacing()):
            raise GeometryNotKept(f"spacing {after.GetSpacing()}; allowed: {tuple(spacing)}")
        return 0.0
    ends = corners(after.GetSize())
    moved = _affine(after) @ ends - _affine(before) @ source_of @ ends
    error = float(np.linalg.norm(moved, axis=0).max())
    return prove_positions(error, "TransformMatrix and Offset")


def _image(path: Path) -> Any:
    return SimpleITK.ReadImage(str(path), imageIO=IMAGE_IO)


def _affine(image: Any) -> Array:
    """(n + 1, n + 1): homogeneous indices to the coordinates of the file."""
    count = image.GetDimension()
    affine = np.eye(count + 1)
    directions = np.reshape(image.GetDirection(), (count, count))
    affine[:-1, :-1] = directions * image.GetSpacing()
    affine[:-1, -1] = image.GetOrigin()
    return affine
