"""Short-axis cines of the phantom with their true outlines, as stored by each vendor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from pydicom.dataset import FileDataset

from cmr_node.assemble.records import Stack
from cmr_node.measures.masks import Structure
from cmr_node.outputs.algorithm import Algorithm
from cmr_node.outputs.sources import SourceFrame
from cmr_node.phantom.body.tissues import Tissue
from cmr_node.phantom.dicom.vendors import Vendor
from cmr_node.phantom.scanner.scan import label_map
from cmr_node.phantom.schedule import schedule
from tests.outputs.making import stored
from tests.phantom.examinations import assembled, scanned, small

ALGORITHM = Algorithm("cmr-seg", "1.0.0", "ab" * 32)
ED, ES = 0, 3
STRUCTURES = {
    Structure.LV_BLOOD: (Tissue.LV_BLOOD, Tissue.PAPILLARY),
    Structure.LV_MYOCARDIUM: (
        Tissue.MYOCARDIUM,
        Tissue.SCAR,
        Tissue.BORDER,
        Tissue.NO_REFLOW,
        Tissue.OEDEMA,
    ),
    Structure.RV_BLOOD: (Tissue.RV_BLOOD,),
}


@dataclass(frozen=True)
class Outlined:
    """A stack, its instances as the store hands them out, and what is true of it."""

    stack: Stack
    instances: dict[str, FileDataset]
    labels: np.ndarray  #: uint8 (slices, phases, rows, columns)

    def sources(self, phase: int) -> list[SourceFrame]:
        cells = [one.cells[phase] for one in self.stack.slices]
        return [SourceFrame(self.instances[c.instance.sop_instance_uid], c.frame) for c in cells]


@cache
def outlined(vendor: Vendor) -> Outlined:
    images = scanned(vendor)
    stack = next(s for s in assembled(images).stacks if (s.sequence, s.view) == ("cine", "sax"))
    used = {header.sop_instance_uid for header in stack.instances}
    planned = schedule(small(vendor))
    cuts = {
        tuple(np.round(series.header_plane(shot.cut).position, 3)): (series, shot.cut)
        for series in planned.series
        if series.name == "cine_sax"
        for shot in series.shots
    }
    labels = []
    for one in stack.slices:
        series, cut = cuts[tuple(np.round(one.plane.position, 3))]
        thickness = series.scan.stack.protocol.thickness
        phases = [n / stack.phases for n in range(stack.phases)]
        maps = [label_map(planned.patient, cut, thickness, time) for time in phases]
        labels.append([series.stored_as.apply(tissue) for tissue in maps])
    tissues = np.array(labels)
    found = np.zeros(tissues.shape, np.uint8)
    for structure, names in STRUCTURES.items():
        found[np.isin(tissues, names)] = structure
    return Outlined(
        stack,
        {str(ds.SOPInstanceUID): stored(ds) for ds in images if ds.SOPInstanceUID in used},
        found,
    )
