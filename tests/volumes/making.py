"""Volumes for the tests: oblique, not square, unequal spacing, no two voxels alike if possible."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from nibabel.nifti1 import Nifti1Extension, Nifti1Header
from nibabel.nifti2 import Nifti2Header

SHAPE = (3, 4, 5, 7)  # phases, slices, rows, columns
SPACING = (1.25, 1.75, 8.0)  # between columns, rows, slices; mm
NOTE = "turned for a test"
TYPES = ("int8", "uint8", "int16", "uint16", "int32", "float32", "float64")

_HEADERS: dict[int, Any] = {1: Nifti1Header, 2: Nifti2Header}


def rotation(turn: tuple[float, float, float] = (0.5, -0.3, 0.7)) -> npt.NDArray[np.float64]:
    """A proper rotation, oblique to all axes, by three angles in radians."""
    out = np.eye(3)
    for axis, angle in enumerate(turn):
        part = np.eye(3)
        first, second = (n for n in range(3) if n != axis)
        part[first, first] = part[second, second] = np.cos(angle)
        part[first, second], part[second, first] = -np.sin(angle), np.sin(angle)
        out = out @ part
    return out


def affine(
    turn: tuple[float, float, float] = (0.5, -0.3, 0.7),
    spacing: tuple[float, float, float] = SPACING,
    *,
    left_handed: bool = False,
) -> npt.NDArray[np.float64]:
    """(4, 4): (i, j, k, 1) to mm, RAS."""
    out = np.eye(4)
    out[:3, :3] = rotation(turn) * spacing * (1, 1, -1 if left_handed else 1)
    out[:3, 3] = (-93.25, 41.5, 120.125)
    return out


def voxels(shape: tuple[int, ...] = SHAPE, dtype: str = "int16") -> npt.NDArray[Any]:
    """(.., rows, columns): counted up from the least value, or halves with a NaN."""
    count = np.arange(np.prod(shape)).reshape(shape)
    if np.dtype(dtype).kind == "f":
        values = (count / 2 - 3).astype(dtype)
        values.flat[-1] = np.nan
        return values
    info = np.iinfo(dtype)
    return (count + int(info.min)).astype(dtype)


def nifti(
    path: Path,
    values: npt.NDArray[Any] | None = None,
    *,
    version: int = 1,
    order: str = "<",
    sform: npt.NDArray[np.float64] | None = None,
    sform_code: int = 1,
    qform: npt.NDArray[np.float64] | None = None,
    qform_code: int = 1,
    extensions: tuple[tuple[int, bytes], ...] = (),
    **fields: Any,
) -> Path:
    """Write a NIfTI file: nibabel's header, then the voxels; ``fields`` are set last of all."""
    values = voxels() if values is None else values
    header = _HEADERS[version](endianness=order)
    header.set_data_dtype(values.dtype)
    header.set_data_shape(values.shape[::-1])
    header["pixdim"][1 : 1 + len(SPACING)] = SPACING
    header["pixdim"][4] = 35.5
    header["xyzt_units"] = 2 | 16  # mm, ms
    if sform is not None:
        header.set_sform(sform, sform_code)
    if qform is not None:
        header.set_qform(qform, qform_code)
    for code, content in extensions:
        header.extensions.append(Nifti1Extension(code, content))
    header["vox_offset"] = header.single_vox_offset + int(header.extensions.get_sizeondisk())
    for name, value in fields.items():
        header[name] = value
    content = bytearray(header.binaryblock + bytes([bool(extensions), 0, 0, 0]))
    for code, text in extensions:
        size = (len(text) + 23) // 16 * 16
        content += np.array([size, code], f"{order}i4").tobytes() + text.ljust(size - 8, b"\0")
    content += np.ascontiguousarray(values, values.dtype.newbyteorder(order)).tobytes()
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else bytes(content))
    return path


def metaimage(
    path: Path,
    values: npt.NDArray[Any] | None = None,
    *,
    compressed: bool = False,
    direction: npt.NDArray[np.float64] | None = None,
) -> Path:
    """Write a MetaImage file with SimpleITK."""
    values = voxels() if values is None else values
    image = SimpleITK.GetImageFromArray(values, isVector=False)
    count = image.GetDimension()
    full = np.eye(count)
    if count > 2:
        full[:3, :3] = rotation() if direction is None else direction
    image.SetDirection(full.ravel().tolist())
    image.SetSpacing((*SPACING, 35.5)[:count])
    image.SetOrigin((-93.25, 41.5, 120.1, 0.0)[:count])
    image.SetMetaData("Protocol", "SA stack")
    SimpleITK.WriteImage(image, str(path), useCompression=compressed)
    return path


def replaced(path: Path, *changes: tuple[bytes, bytes]) -> Path:
    """The file with bytes replaced, each of which must be there."""
    content = path.read_bytes()
    for old, new in changes:
        assert old in content
        content = content.replace(old, new, 1)
    path.write_bytes(content)
    return path
