"""Which images may be re-indexed at all (the others go to a person).

The promise kept here: an image whose picture would come out wrong, or whose meaning hangs on
something the node cannot turn, is refused by name before a pixel moves.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage

from cmr_node.dicom.products import MANUFACTURER, MANUFACTURER_MODEL_NAME
from cmr_node.dicom.raw import texts
from cmr_node.errors import RefusedStack
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.functional_groups import frame_groups, shared_group

_SIGNED_THROUGH_PLANE = frozenset(("P", "PHASE", "VELOCITY"))
_WORDS = re.compile(r"[A-Z]+")


def is_enhanced(ds: Dataset) -> bool:
    """Whether a data set is an Enhanced MR image."""
    return texts(ds, "SOPClassUID") == (str(EnhancedMRImageStorage),)


def is_ours(ds: Dataset) -> bool:
    """Whether a data set is an object of this product."""
    made_by = (texts(ds, "Manufacturer"), texts(ds, "ManufacturerModelName"))
    return made_by == ((MANUFACTURER,), (MANUFACTURER_MODEL_NAME,))


def check_suitable(ds: FileDataset) -> None:
    """Refuse what must not be re-indexed automatically, by whatever operation.

    Raises
    ------
    RefusedStack
        Another SOP class, a mosaic or tiled image, several frames without functional groups,
        one bit per pixel, burned-in text, or an object of this product.
    """
    sop_class = "".join(texts(ds, "SOPClassUID"))
    if sop_class not in (MRImageStorage, EnhancedMRImageStorage):
        raise RefusedStack(f"SOP class {sop_class!r}; allowed: MR Image, Enhanced MR Image")
    if is_ours(ds):
        raise RefusedStack("an object that this product made; allowed: images of a scanner")
    if "MOSAIC" in _image_type(ds):
        raise RefusedStack("ImageType MOSAIC: a grid of slices, not one plane")
    if "TotalPixelMatrixColumns" in ds or "TotalPixelMatrixRows" in ds:
        raise RefusedStack("a tiled image; allowed: whole frames")
    if "YES" in texts(ds, "BurnedInAnnotation"):
        raise RefusedStack("BurnedInAnnotation YES: text in the pixels would be turned with them")
    if ds.get("BitsAllocated") == 1:
        raise RefusedStack("BitsAllocated 1; allowed: 8, 16 or 32")
    _check_frames(ds)


def check_velocity(ds: FileDataset, operation: Orientation) -> None:
    """Refuse to mirror a phase image that does not say which way its velocity is encoded.

    Raises
    ------
    RefusedStack
        Its sign would be read against a normal that has flipped.
    """
    if operation.chirality > 0 or not _is_phase(ds):
        return
    directions = [
        item for group in _groups(ds) for item in group.get("MRVelocityEncodingSequence") or []
    ]
    if not any("VelocityEncodingDirection" in place for place in (ds, *directions)):
        raise RefusedStack(
            "a phase image without VelocityEncodingDirection would be mirrored: the sign of a "
            "through-plane velocity is read against the normal, which flips"
        )


def check_velocity_without_plane(ds: FileDataset, operation: Orientation) -> None:
    """Refuse to mirror any phase image, where its plane is not to be believed.

    Raises
    ------
    RefusedStack
        VelocityEncodingDirection is a direction in the patient, and only the plane says which
        way that is in the picture.
    """
    if operation.chirality < 0 and _is_phase(ds):
        raise RefusedStack(
            "a phase image would be mirrored while its plane is not vouched for: which way its "
            "velocities then point in the picture cannot be known"
        )


def _check_frames(ds: Dataset) -> None:
    frames = "".join(texts(ds, "NumberOfFrames")) or "1"
    if is_enhanced(ds):
        if str(len(frame_groups(ds))) != frames:
            raise RefusedStack(
                f"{len(frame_groups(ds))} per-frame functional groups for {frames} frames"
            )
    elif "SharedFunctionalGroupsSequence" in ds:
        raise RefusedStack("an MR Image with functional groups; allowed: in Enhanced MR Image")
    elif frames != "1":
        raise RefusedStack(f"{frames} frames without functional groups; allowed: 1")


def _is_phase(ds: Dataset) -> bool:
    """Whether the sign of a pixel may be a direction."""
    frame_types = [
        item for group in _groups(ds) for item in group.get("MRImageFrameTypeSequence") or []
    ]
    named = set(_WORDS.findall(" ".join(_image_type(ds))))
    components: set[str] = set()
    for place in (ds, *frame_types):
        named.update(_WORDS.findall(" ".join(texts(place, "FrameType")).upper()))
        components.update(texts(place, "ComplexImageComponent"))
    return bool(named & _SIGNED_THROUGH_PLANE or components & {"PHASE", "MIXED"})


def _image_type(ds: Dataset) -> tuple[str, ...]:
    return tuple(value.upper() for value in texts(ds, "ImageType"))


def _groups(ds: Dataset) -> list[Dataset]:
    return [shared_group(ds), *frame_groups(ds)]
