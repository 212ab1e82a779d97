"""Which files are volumes, and the two things that are done with one.

The promise kept here: no file that was there is written to, and a result that is there is
proved.  On any error, a full disk included, nothing remains of it.
"""

from __future__ import annotations

from pathlib import Path

from cmr_node.errors import RefusedStack
from cmr_node.geometry.orientation import Orientation
from cmr_node.volumes import metaimage, metaimage_proof, nifti, nifti_proof
from cmr_node.volumes.volume import Volume

ONE_FILE_FORMATS = (".nii", ".nii.gz", ".mha")
TWO_FILE_FORMATS = (".mhd", ".hdr", ".img", ".hdr.gz", ".img.gz")
"""Header and voxels apart: not taken, because one name then stands for half a volume."""

_METAIMAGE = ".mha"


def is_volume(path: Path) -> bool:
    """Whether the name is that of a volume in one file."""
    return path.name.lower().endswith(ONE_FILE_FORMATS)


def is_split_volume(path: Path) -> bool:
    """Whether the name is that of one part of a volume in two files."""
    return path.name.lower().endswith(TWO_FILE_FORMATS)


def read_volume(path: Path) -> Volume:
    """Read one volume.

    Raises
    ------
    UnreadableHeader
        No header of the format that the name promises, one that contradicts itself, or one past
        the bounds of the reader.
    UndecodablePixels
        The voxels are cut off, damaged, more than the header announces, or past the bound.
    RefusedStack
        A sound file of what is not taken: colour, complex numbers, five dimensions, two files.
    OSError
        The file cannot be read.

    A geometry that cannot be used is no error: ``Volume.planes`` is None.
    """
    return metaimage.read(path) if _is_metaimage(path) else nifti.read(path)


def reorient_volume(
    source: Path,
    target: Path,
    operation: Orientation,
    note: str,
    *,
    keep_geometry: bool = False,
) -> float:
    """Apply ``operation`` to every slice of a volume, as a new file, and prove it.

    Parameters
    ----------
    source
        The volume; its name says the format, of the result too.
    target
        A path that does not exist, of any name.  Making it durable is the caller's business.
    operation
        What is done to each slice, all phases.
    note
        One line, ASCII: a comment in the new file.
    keep_geometry
        Turn the pixels beside a geometry that stays as it is, because it was the pixels that
        were laid wrongly.  Without it every voxel keeps its place in the patient.

    Returns
    -------
    The largest position error of a voxel, mm; at most ``proof.MAX_ERROR``.

    Raises
    ------
    BadInstance, RefusedStack
        As ``read_volume``.
    UnusableGeometry
        The geometry to keep is no numbers.
    RefusedStack
        Also: rows and columns of unequal spacing are exchanged beside ``keep_geometry``.
    GeometryNotKept
        What was written, read back from the disk, is not the source turned.
    OSError
        FileExistsError if ``target`` exists, or what the disk answers.
    """
    target.touch(exist_ok=False)
    try:
        if _is_metaimage(source):
            metaimage.write_turned(source, target, operation, note, keep_geometry=keep_geometry)
            return metaimage_proof.prove(source, target, operation, keep_geometry=keep_geometry)
        nifti.write_turned(source, target, operation, note, keep_geometry=keep_geometry)
        return nifti_proof.prove(source, target, operation, keep_geometry=keep_geometry)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _is_metaimage(path: Path) -> bool:
    if not is_volume(path):
        raise RefusedStack(f"a file {path.suffix!r}; allowed: {', '.join(ONE_FILE_FORMATS)}")
    return path.name.lower().endswith(_METAIMAGE)
