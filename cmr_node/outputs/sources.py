"""The images a result was made of, and how it refers to them.

The promise kept here: one slice is one slice, whether it is an instance of its own (in a series
of its own, as some scanners write it) or a frame among those of a multi-frame object, and a
result names exactly the instances and frames that it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    EnhancedMRColorImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
)

from cmr_node.dicom.raw import put_raw, texts
from cmr_node.dicom.words import layout
from cmr_node.outputs.functional_groups import frame_groups, frame_plane, shared_group
from cmr_node.outputs.in_plane import plane_text
from cmr_node.outputs.plane_text import PlaneText

_MULTI_FRAME = (
    EnhancedMRImageStorage,
    EnhancedMRColorImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
)


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One slice at one phase, as it is stored.

    ds, frame
        The instance, and the zero-based frame in it; 0 for a single-frame image.

    Raises
    ------
    ValueError
        The instance has no such frame.
    """

    ds: Dataset
    frame: int = 0

    def __post_init__(self) -> None:
        count = len(frame_groups(self.ds)) if self.is_multi_frame else 1
        if not 0 <= self.frame < count:
            raise ValueError(f"frame {self.frame} of an instance of {count}; they count from 0")

    @property
    def uid(self) -> str:
        """SOP Instance UID of the instance."""
        return "".join(texts(self.ds, "SOPInstanceUID"))

    @property
    def key(self) -> str:
        """Names the slice: instance and frame."""
        return f"{self.uid}:{self.frame}"

    @property
    def is_multi_frame(self) -> bool:
        """Whether the instance says in functional groups what is true of a frame."""
        # By its class: single-frame images with functional groups of some sort are met.
        return "".join(texts(self.ds, "SOPClassUID")) in _MULTI_FRAME

    def plane(self) -> PlaneText:
        """Its plane.

        Raises
        ------
        UnusableGeometry
            It is incomplete or wrong.
        UndecodablePixels
            Its Rows or Columns are none.
        """
        found = layout(self.ds)
        shape = (found.rows, found.columns)
        if self.is_multi_frame:
            return frame_plane(self.ds, shape, self.frame)
        return plane_text(self.ds, shape)

    def slice_thickness(self) -> str:
        """SliceThickness (mm) in its own words; "" if absent."""
        places = [self.ds]
        if self.is_multi_frame:
            groups = (frame_groups(self.ds)[self.frame], shared_group(self.ds))
            places = [item for group in groups for item in group.get("PixelMeasuresSequence") or []]
        said = ("".join(texts(place, "SliceThickness")) for place in places)
        return next((text for text in said if text), "")


def reference(ds: Dataset, frames: Iterable[int] = ()) -> Dataset:
    """An Image SOP Instance Reference (PS3.3 table 10-3), to zero-based ``frames`` if any."""
    item = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        put_raw(item, f"Referenced{keyword}", "".join(texts(ds, keyword)).encode("ascii"))
    numbers = [frame + 1 for frame in frames]
    if numbers:
        item.ReferencedFrameNumber = numbers
    return item


def references(sources: Sequence[SourceFrame]) -> list[Dataset]:
    """One reference for each instance, in order, to the frames of it among ``sources``."""
    frames: dict[str, list[int]] = {}
    for source in sources:
        frames.setdefault(source.uid, []).extend([source.frame] if source.is_multi_frame else [])
    instances = {source.uid: source.ds for source in sources}
    return [reference(instances[uid], sorted(found)) for uid, found in frames.items()]


def references_by_series(instances: Iterable[Dataset], inner: str) -> Items:
    """Items of a sequence of series, each with its instances in the sequence ``inner``.

    ``inner`` is ReferencedInstanceSequence (Common Instance Reference, PS3.3 C.12.2) or
    ReferencedSOPSequence (SR, C.17.2).
    """
    series: dict[str, dict[str, Dataset]] = {}
    for ds in instances:
        held = series.setdefault("".join(texts(ds, "SeriesInstanceUID")), {})
        held.setdefault("".join(texts(ds, "SOPInstanceUID")), reference(ds))
    items = []
    for uid, held in series.items():
        item = Dataset()
        put_raw(item, "SeriesInstanceUID", uid.encode("ascii"))
        setattr(item, inner, Items(list(held.values())))
        items.append(item)
    return Items(items)
