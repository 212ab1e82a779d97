"""Real stacks as pictures: what training and evaluation take from folders of DICOM files.

The promise kept here: a folder is read the way the node reads it (``cmr_node.assemble``), so that
slices and phases are in order and grey values are those that are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmr_node.assemble.frames import frames_from
from cmr_node.assemble.stack import assemble
from cmr_node.dicom.reading import read, read_header
from cmr_node.dicom.words import display_values

Image = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pictures:
    """One stack.

    images
        One row a slice, its phases in order; (rows, columns) each.
    spacing
        (between rows, between columns), mm.
    """

    images: tuple[tuple[Image, ...], ...]
    spacing: tuple[float, float]

    @property
    def first_phase(self) -> list[Image]:
        """Of every slice."""
        return [phases[0] for phases in self.images]


def read_stacks(folder: Path) -> Iterator[Pictures]:
    """Every stack in a folder of DICOM files."""
    paths = {}
    for path in sorted(folder.rglob("*.dcm")):
        header = read_header(path)
        paths[header.sop_instance_uid] = path, header
    opened = frames_from(lambda header: read(paths[header.sop_instance_uid][0]))
    for stack in assemble([header for _, header in paths.values()], opened).stacks:
        yield Pictures(
            tuple(
                tuple(
                    display_values(read(paths[cell.instance.sop_instance_uid][0]), cell.frame)
                    for cell in one.cells
                )
                for one in stack.slices
            ),
            stack.plane.pixel_spacing,
        )
