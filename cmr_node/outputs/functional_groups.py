"""The planes of an Enhanced MR image, frame by frame (PS3.3 C.7.6.16).

The promise kept here: each frame's plane is resolved (its own functional group first, then the
shared one) and turned before anything is written, so an item that frames share is written once
and fits them all, or the image is refused.  Frames are not renumbered: no plane moves, so
InStackPositionNumber and DimensionIndexValues stay true.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from cmr_node.dicom.raw import put_texts, texts
from cmr_node.errors import RefusedStack, UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.in_plane import turn_roles
from cmr_node.outputs.plane_text import PlaneText

_MACROS = (
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PixelMeasuresSequence", "PixelSpacing"),
)
_ROLES = ("MRFOVGeometrySequence", "MRImagingModifierSequence")


def shared_group(ds: Dataset) -> Dataset:
    """The one item of SharedFunctionalGroupsSequence; empty if there is none."""
    items = ds.get("SharedFunctionalGroupsSequence") or [Dataset()]
    first: Dataset = items[0]
    return first


def frame_groups(ds: Dataset) -> list[Dataset]:
    """The items of PerFrameFunctionalGroupsSequence, in the order of the frames."""
    return list(ds.get("PerFrameFunctionalGroupsSequence") or [])


def frame_planes(ds: Dataset, shape: tuple[int, int]) -> list[PlaneText]:
    """The plane of each frame.

    Raises
    ------
    UnusableGeometry
        A frame whose plane is incomplete or wrong.
    """
    return [frame_plane(ds, shape, frame) for frame in range(len(frame_groups(ds)))]


def frame_plane(ds: Dataset, shape: tuple[int, int], frame: int) -> PlaneText:
    """The plane of one frame, zero-based; raises as ``frame_planes``."""
    group, shared = frame_groups(ds)[frame], shared_group(ds)
    return _plane([_macro(group, shared, *macro, frame + 1) for macro in _MACROS], shape)


def turn_frames(ds: Dataset, operation: Orientation, shape: tuple[int, int]) -> None:
    """Turn the planes and in-plane attributes of all frames in place, from ``shape`` on.

    Raises
    ------
    RefusedStack
        An item that frames share would need two values.
    UnusableGeometry
        A frame whose plane is incomplete or wrong.
    """
    shared, groups = shared_group(ds), frame_groups(ds)
    wanted: dict[int, tuple[Dataset, str, tuple[str, ...]]] = {}
    for number, group in enumerate(groups, start=1):
        items = [_macro(group, shared, *macro, number) for macro in _MACROS]
        turned = _plane(items, shape).turned(operation)
        values = (turned.orientation, turned.position, turned.spacing)
        for item, (sequence, keyword), value in zip(items, _MACROS, values, strict=True):
            _, _, earlier = wanted.setdefault(id(item), (item, keyword, value))
            if earlier != value:
                raise RefusedStack(f"frame {number} would need its own {sequence}, which is shared")
    for item, keyword, value in wanted.values():
        put_texts(item, keyword, *value)
    for group in (shared, *groups):
        for sequence in _ROLES:
            for item in group.get(sequence) or []:
                turn_roles(item, operation, enhanced=True)


def _macro(group: Dataset, shared: Dataset, sequence: str, keyword: str, frame: int) -> Dataset:
    for place in (group, shared):
        items = place.get(sequence)
        if items and keyword in items[0]:
            item: Dataset = items[0]
            return item
    raise UnusableGeometry(f"frame {frame} has no {keyword}; allowed: one, its own or shared")


def _plane(items: list[Dataset], shape: tuple[int, int]) -> PlaneText:
    orientation, position, spacing = (
        texts(item, keyword) for item, (_, keyword) in zip(items, _MACROS, strict=True)
    )
    return PlaneText(orientation, position, spacing, shape)
