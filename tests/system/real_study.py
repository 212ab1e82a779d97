"""A real patient through the node into Orthanc, and what arrived beside the reader's contours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from cmr_node.dicom.reading import parse, read
from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.opening import SHIPPED_NETWORK
from cmr_node.measures.masks import Structure
from cmr_node.measures.quantities import Quantity
from cmr_node.measures.volumes import DENSITY_G_PER_ML, slabs
from cmr_node.outputs.report_codes import NAMES
from cmr_node.outputs.structures import SEGMENTS
from cmr_node.settings import Peer
from tests.outputs.report_reading import numbers_of
from tests.peers import LOOPBACK, orthanc, wait_until
from tests.samples import part10_bytes
from tests.system.node import node_settings, running_node
from tests.system.sending import finished, storescu

DATA = Path(__file__).parents[2].parent / "shared" / "data"
PATIENTS = ("SC-HF-I-01", "SC-HF-I-04")
PATIENCE_S = 900.0
QUANTITIES = (Quantity.LV_EDV, Quantity.LV_ESV, Quantity.LV_EF, Quantity.LV_MASS)
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Contours = tuple[Mask, Mask | None]  #: the cavity; the heart within the epicardium where drawn


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the archive holds after a study went through the node.

    received
        Instance number -> the image that was sent.
    """

    record: dict[str, Any]
    received: dict[int, FileDataset]
    objects: list[FileDataset]

    def of_class(self, uid: str) -> list[FileDataset]:
        return [ds for ds in self.objects if uid == ds.SOPClassUID]

    @property
    def derived(self) -> list[FileDataset]:
        return self.of_class(MRImageStorage)

    @property
    def segmentations(self) -> list[FileDataset]:
        return self.of_class(SegmentationStorage)

    @property
    def report(self) -> FileDataset:
        (one,) = self.of_class(Comprehensive3DSRStorage)
        return one

    @property
    def page(self) -> FileDataset:
        (one,) = self.of_class(SecondaryCaptureImageStorage)
        return one

    @property
    def cine(self) -> dict[str, Any]:
        """What the node decided of the cine."""
        (one,) = (stack for stack in self.record["stacks"] if stack["sequence"] == "cine")
        return dict(one)


def through_the_node(patient: str, folder: Path) -> Arrived:
    """Send cine and localizers; wait; read everything back from Orthanc."""
    source = DATA / "sunnybrook-cine" / patient
    images = [read(path) for path in (source / "sax").glob("*.dcm")]
    uid = str(images[0].StudyInstanceUID)
    with orthanc() as pacs:
        archive = Peer(
            name="pacs",
            ae_title=pacs.ae_title,
            host=LOOPBACK,
            port=pacs.port,
            receives=("derived",),
            secondary_capture="always",
        )
        settings = node_settings(folder, archive, inference={"network": SHIPPED_NETWORK})
        with running_node(folder, settings) as node:
            storescu(node.port, source / "sax", source / "localizer")
            wait_until(lambda: finished(node, uid), "the study is done and delivered", PATIENCE_S)
            record = node.studies()[uid]
        objects = [parse(pacs.file(instance)) for instance in pacs.instances()]
    return Arrived(record, {int(ds.InstanceNumber): ds for ds in images}, objects)


def labels_of(segmentation: Dataset, arrived: Arrived) -> dict[int, np.ndarray]:
    """Instance number of a received image -> its labels, on its own grid."""
    sent = {str(ds.SOPInstanceUID): number for number, ds in arrived.received.items()}
    numbers = {
        str(ds.SOPInstanceUID): sent[str(ds.SourceImageSequence[0].ReferencedSOPInstanceUID)]
        for ds in arrived.derived
    } | sent
    undo = Orientation(arrived.cine["operation"]).inverse
    structures = {
        int(one.SegmentNumber): _structure(str(one.SegmentLabel))
        for one in segmentation.SegmentSequence
    }
    found: dict[int, np.ndarray] = {}
    for frame, group in zip(
        segmentation.pixel_array, segmentation.PerFrameFunctionalGroupsSequence, strict=True
    ):
        image = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        segment = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        standing = undo.apply(frame)
        labels = found.setdefault(numbers[str(image)], np.zeros(standing.shape, np.uint8))
        labels[standing > 0] = structures[int(segment)]
    return found


def contours_of(patient: str) -> dict[int, Contours]:
    """Instance number -> what the reader drew."""
    folder = DATA / "sunnybrook-slices"
    found = {}
    for path in (folder / "endo").glob(f"{patient}-IM-*.png"):
        outer = folder / "epi" / path.name
        number = int(path.stem.rpartition("-")[2])
        found[number] = _mask(path), _mask(outer) if outer.exists() else None
    return found


@dataclass(frozen=True, slots=True)
class Beside:
    """One quantity, three times."""

    quantity: Quantity
    reported: float  #: in the report, over all slices the network drew; nan where withheld
    same_slices: float  #: of the segmentations, over the slices the reader drew
    drawn: float  #: of the reader's contours


def beside(patient: str, arrived: Arrived) -> list[Beside]:
    """The numbers beside those of the reader's contours, by the same summation."""
    contours = contours_of(patient)
    diastole = {number for number, (_, outer) in contours.items() if outer is not None}
    found = [
        _both_sides(labels_of(segmentation_at(words, arrived), arrived), chosen, arrived)
        for words, chosen in (
            ("end diastole", {number: contours[number] for number in diastole}),
            ("end systole", {number: contours[number] for number in contours.keys() - diastole}),
        )
    ]
    sides = [
        (edv, esv, 100 * (edv - esv) / edv, muscle * DENSITY_G_PER_ML)
        for (edv, muscle), (esv, _) in zip(*found, strict=True)
    ]
    said = numbers_of(part10_bytes(arrived.report))
    return [
        Beside(quantity, said.get(NAMES[quantity].value, math.nan), ours, drawn)
        for quantity, ours, drawn in zip(QUANTITIES, *sides, strict=True)
    ]


def dices(patient: str, arrived: Arrived) -> dict[str, float]:
    """Mean overlap of the cavity with the reader's, slice by slice, at either moment."""
    contours = contours_of(patient)
    told = {}
    for words, walled in (("end diastole", True), ("end systole", False)):
        at = _by_place(labels_of(segmentation_at(words, arrived), arrived), arrived)
        scores = []
        for number, (cavity, outer) in contours.items():
            if (outer is not None) != walled:
                continue
            labels = at.get(place_of(arrived.received[number]), np.zeros(cavity.shape, np.uint8))
            blood = labels == Structure.LV_BLOOD
            scores.append(2 * (blood & cavity).sum() / (blood.sum() + cavity.sum()))
        told[words] = float(np.mean(scores))
    return told


def segmentation_at(words: str, arrived: Arrived) -> Dataset:
    """The segmentation of "end diastole" or "end systole"."""
    (one,) = (ds for ds in arrived.segmentations if words in ds.ContentDescription)
    return one


def place_of(ds: Dataset) -> float:
    """Where a slice lies along the stack's normal, mm; one value a slice."""
    row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    return round(float(np.cross(row, column) @ np.array(ds.ImagePositionPatient, float)), 2)


def _both_sides(
    labels: dict[int, np.ndarray], contours: dict[int, Contours], arrived: Arrived
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Cavity and muscle, ml, over the slices the reader drew: the network's, then the reader's.

    The reader's phase may be the one before or after the network's: slices are compared.
    """
    at = _by_place(labels, arrived)
    places = np.array(sorted(place_of(arrived.received[number]) for number in contours))
    spacing = [float(mm) for mm in next(iter(arrived.received.values())).PixelSpacing]
    pixel = dict(zip(places, slabs(places) * spacing[0] * spacing[1] / 1000, strict=True))
    network = [
        sum(
            volume * (at[place] == structure).sum()
            for place, volume in pixel.items()
            if place in at
        )
        for structure in (Structure.LV_BLOOD, Structure.LV_MYOCARDIUM)
    ]
    cavity = heart = 0.0
    for number, (inner, outer) in contours.items():
        volume = pixel[place_of(arrived.received[number])]
        cavity += volume * inner.sum()
        heart += volume * (inner if outer is None else outer).sum()
    return (network[0], network[1]), (cavity, heart - cavity)


def _by_place(labels: dict[int, np.ndarray], arrived: Arrived) -> dict[float, np.ndarray]:
    return {place_of(arrived.received[number]): one for number, one in labels.items()}


def _structure(label: str) -> Structure:
    return {segment.label: structure for structure, segment in SEGMENTS.items()}[label]


def _mask(path: Path) -> Mask:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L")) > 127
