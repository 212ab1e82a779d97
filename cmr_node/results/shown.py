"""The images of a stack that a reader will look at, opened as they are needed.

The promise kept here: what is drawn on the images as received is shown on those that go out, by
the same operation that made them; where none were derived, on the images as received.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRLittleEndian

from cmr_node.assemble.records import Stack
from cmr_node.dicom.header import Header
from cmr_node.dicom.words import layout, pixel_data, stored_words
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.sources import SourceFrame

Open = Callable[[str], FileDataset]
"""The door to a stored instance, by its SOP Instance UID; raises UnreadableHeader."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The images a reader looks at.

    derived
        The SOP Instance UIDs of what was derived, in the order of ``stack.instances``; empty
        where nothing was.
    operation
        What made them of the images received.
    """

    stack: Stack
    derived: Sequence[str]
    operation: Orientation
    open: Open

    @property
    def key(self) -> str:
        """Names the stack: its first image, as ``SourceFrame.key``."""
        cell = self.stack.slices[0].cells[0]
        return f"{self._uid_of(cell.instance)}:{cell.frame}"

    def labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Labels on the images received, on the grid of those that are shown."""
        turned = self.operation.apply(labels) if self.derived else labels
        return np.ascontiguousarray(turned)

    def places(self, phase: int) -> list[int]:
        """The slices that have an image at this phase."""
        return [n for n, one in enumerate(self.stack.slices) if phase < len(one.cells)]

    def sources(self, phase: int) -> list[SourceFrame]:
        """The images of a phase, one a slice of ``places``."""
        opened: dict[str, FileDataset] = {}
        found = []
        for place in self.places(phase):
            cell = self.stack.slices[place].cells[phase]
            uid = self._uid_of(cell.instance)
            if uid not in opened:
                opened[uid] = self.open(uid)
            found.append(SourceFrame(opened[uid], cell.frame))
        return found

    def instances(self) -> list[FileDataset]:
        """Every instance, without its pixels, in the order of the stack."""
        return without_pixels((self._uid_of(one) for one in self.stack.instances), self.open)

    def _uid_of(self, received: Header) -> str:
        if not self.derived:
            return received.sop_instance_uid
        uids = [one.sop_instance_uid for one in self.stack.instances]
        return self.derived[uids.index(received.sop_instance_uid)]


def without_pixels(uids: Iterable[str], open_: Open) -> list[FileDataset]:
    """The headers of stored instances: a cine has hundreds, and nobody needs all pixels at once."""
    found = []
    for uid in uids:
        ds = open_(uid)
        if "PixelData" in ds:
            del ds.PixelData
        found.append(ds)
    return found


def reading_once(open_: Open) -> Callable[[Header], FileDataset]:
    """A door for ``judgement.cell_values`` that opens and decompresses multi-frame images once."""
    held: dict[str, FileDataset] = {}

    def opened(header: Header) -> FileDataset:
        uid = header.sop_instance_uid
        if uid in held:
            return held[uid]
        ds = open_(uid)
        if (header.number("NumberOfFrames") or 1) > 1:
            if ds.file_meta.TransferSyntaxUID.is_compressed:
                ds.PixelData = pixel_data(stored_words(ds), by_plane=layout(ds).by_plane)
                ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            held[uid] = ds
        return ds

    return opened
