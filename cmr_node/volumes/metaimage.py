"""MetaImage, header and voxels in one file (.mha).

The promise kept here: a turned file differs from its source in the order of the voxels, in the
keys that say where and how large they are, and in its Comment.  Every other key keeps its line
and its place, voxels keep type, byte order and compression.

SimpleITK reads what a header means in space.  It does not write: it would drop the Comment and
Modality of the source, write another byte order, and end a full disk with no OSError.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from cmr_node.errors import UndecodablePixels, UnreadableHeader, UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.volumes.affines import Array, check_equal_spacing, checked, index_matrix, planes
from cmr_node.volumes.metaimage_header import MAX_TEXT, MetaImageHeader, packed
from cmr_node.volumes.metaimage_header import read as read_header
from cmr_node.volumes.streams import check_size, inflate_voxels, opened, take_voxels
from cmr_node.volumes.volume import Volume, Voxels

IMAGE_IO = "MetaImageIO"
"""Named, so that SimpleITK goes by neither the name of a file nor its content."""

_OPPOSITE = str.maketrans("RLAPIS", "LRPASI")
_COMPRESSION = 3  # see ``nifti``
_image_file_reader: Any = SimpleITK.ImageFileReader  # SimpleITK's has no types


def read(path: Path) -> Volume:
    """See ``files.read_volume``."""
    header, voxels = _read(path)
    fault, found = "", None
    try:
        found = planes(_patient_affine(path, header), header.shape[1:])
    except UnusableGeometry as reason:
        fault = str(reason)
    # ElementSpacing[3] has no unit, so the time between phases is not known.
    return Volume(voxels=voxels, planes=found, geometry_fault=fault, phase_duration=0.0)


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
    image = _geometry(source, header)
    values = dict(header.values)
    data_file = values.pop("ElementDataFile")
    if operation.transposes:
        values["DimSize"] = _exchanged(values["DimSize"])
        if keep_geometry:
            across, down = image.GetSpacing()[:2]
            check_equal_spacing("ElementSpacing", across, down)
    if not keep_geometry:
        values |= _turned_keys(header, image, operation)
    # The limit is MetaIO's; what stood in the comment gives way.
    values["Comment"] = "; ".join(filter(None, (note, values.get("Comment"))))[:MAX_TEXT]
    turned: Any = operation.apply(voxels).view(np.uint8).data
    del voxels
    if header.compressed:
        turned = zlib.compress(turned, _COMPRESSION)
        values["CompressedDataSize"] = str(len(turned))
    with target.open("wb") as out:
        out.write(packed({**values, "ElementDataFile": data_file}))
        out.write(turned)


def _read(path: Path) -> tuple[MetaImageHeader, Voxels]:
    with opened(path, gzipped=False) as stream:
        header = read_header(stream)
        check_size(header.size_bytes, path, compressed=header.compressed)
        if header.compressed:
            _check_compressed_size(header, path.stat().st_size - stream.tell())
        take = inflate_voxels if header.compressed else take_voxels
        voxels = take(stream, header.size_bytes).view(header.dtype)
    return header, voxels.reshape(header.shape)


def _check_compressed_size(header: MetaImageHeader, left: int) -> None:
    """MetaIO takes the memory that the header names, and reads noise if it names none."""
    announced = header.values.get("CompressedDataSize", "is missing")
    if announced != str(left):
        raise UndecodablePixels(
            f"CompressedDataSize {announced}; allowed: {left}, the bytes behind the header"
        )


def _geometry(path: Path, header: MetaImageHeader) -> Any:
    """SimpleITK's view of a header that was checked; no voxel is read."""
    reader = _image_file_reader()
    reader.SetFileName(str(path))
    reader.SetImageIO(IMAGE_IO)
    try:
        reader.ReadImageInformation()
    except RuntimeError as fault:
        raise UnreadableHeader("SimpleITK cannot read the header") from fault
    if reader.GetSize() != header.sizes or reader.GetNumberOfComponents() != 1:
        raise UnreadableHeader(
            f"SimpleITK reads {reader.GetSize()} voxels of {reader.GetNumberOfComponents()} "
            f"components; allowed: {header.sizes} of 1, as the header says"
        )
    return reader


def _patient_affine(path: Path, header: MetaImageHeader) -> Array:
    """(4, 4): (i, j, k, 1) to the patient, mm, LPS, which is ITK's frame too."""
    image = _geometry(path, header)
    if len(header.sizes) < 3:
        raise UnusableGeometry("NDims is 2: a flat picture has no position in the patient")
    if not header.positioned:
        raise UnusableGeometry("TransformMatrix and Offset are missing: no position in the patient")
    affine = np.eye(4)
    count = len(header.sizes)
    directions = np.reshape(image.GetDirection(), (count, count))
    affine[:3, :3] = directions[:3, :3] * image.GetSpacing()[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return checked(affine, "TransformMatrix, ElementSpacing or Offset")


def _turned_keys(header: MetaImageHeader, image: Any, operation: Orientation) -> dict[str, str]:
    """The keys about places, for turned pictures, under the names that the header uses.

    Raises
    ------
    UnusableGeometry
        A number is not finite: nothing can be kept.
    """
    count = len(header.sizes)
    source_of = index_matrix(operation, header.shape[2:], count)
    directions = np.reshape(image.GetDirection(), (count, count))
    offset = image.GetOrigin() + directions * image.GetSpacing() @ source_of[:-1, -1]
    checked(np.array([*directions.ravel(), *image.GetSpacing(), *offset]), "TransformMatrix")
    # TransformMatrix lists one axis after the other: ITK's direction matrix by columns.
    matrix = (directions @ source_of[:-1, :-1]).T.ravel()
    keys: dict[str, str] = {}
    if header.positioned:
        keys[_used(header, "TransformMatrix", "Rotation", "Orientation")] = _numbers(matrix)
        keys[_used(header, "Offset", "Position", "Origin")] = _numbers(offset)
    if operation.transposes:
        keys |= {
            key: _exchanged(header.values[key])
            for key in ("ElementSpacing", "ElementSize")
            if key in header.values
        }
    letters = header.values.get("AnatomicalOrientation", "")
    if len(letters) == count:
        old_axes = np.abs(source_of[:-1, :-1]).argmax(axis=0)
        reversed_axes = source_of[:-1, :-1].sum(axis=0) < 0
        keys["AnatomicalOrientation"] = "".join(
            letters[old].translate(_OPPOSITE) if is_reversed else letters[old]
            for old, is_reversed in zip(old_axes, reversed_axes, strict=True)
        )
    return keys


def _used(header: MetaImageHeader, *names: str) -> str:
    """The first of a key's names that the header uses, else the one that ITK writes."""
    return next((name for name in names if name in header.values), names[0])


def _exchanged(numbers: str) -> str:
    first, second, *rest = numbers.split()
    return " ".join((second, first, *rest))


def _numbers(values: Array) -> str:
    return " ".join(f"{value + 0.0:.17g}" for value in values)  # + 0.0: no -0
