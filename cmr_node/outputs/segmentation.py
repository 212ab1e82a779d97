"""The outlines of one cardiac phase as a DICOM Segmentation (PS3.3 A.51).

The promise kept here: each voxel of the object lies on the voxel of the image that was outlined,
each segment says what it is and which network drew it, and the bytes are a function of the
arguments alone.  What is true of it:

    one instance a phase    several phases in one are refused by readers, or read wrong in silence
    empty frames, absent structures   are left out: viewers trip over them
    one series a stack      its phases are the instances; segments have tracking UIDs in common
    the images it refers to   are those a reader looks at, by instance and frame

BINARY is what everybody reads; LABELMAP (Label Map Segmentation, 2024) holds the same in one
frame a slice and is for destinations that take it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import highdicom as hd
import numpy as np
from highdicom.color import CIELabColor
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.coding import Code
from pydicom.uid import MRImageStorage
from pydicom.valuerep import DS

from cmr_node.dicom.raw import is_decimal, put_texts, texts
from cmr_node.errors import RefusedStack
from cmr_node.measures.masks import Structure
from cmr_node.outputs.algorithm import Algorithm
from cmr_node.outputs.plane_text import PlaneText
from cmr_node.outputs.readable_header import finished, readable_header, syntax_of
from cmr_node.outputs.sources import SourceFrame, reference, references, references_by_series
from cmr_node.outputs.structures import SEGMENTS, tracking_uid
from cmr_node.outputs.uids import Producer, derive_uid, result_uid

PARALLEL_WITHIN = 1e-4
"""How far a direction cosine may differ between slices; a segmentation has one orientation."""

_ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
_NETWORK = Code("123110", "DCM", "Artificial Intelligence")


class Encoding(StrEnum):
    """How the outlines are stored; the value is SegmentationType (PS3.3 C.8.20.2)."""

    BINARY = "BINARY"  #: Segmentation Storage: a frame for each slice and structure
    LABEL_MAP = "LABELMAP"  #: Label Map Segmentation Storage: a frame for each slice


@dataclass(frozen=True, slots=True)
class Phase:
    """Which phase of the cycle is shown.

    number
        From 1; becomes InstanceNumber.
    words
        ASCII, at most 40 characters, such as "end diastole"; "" where it has no name.
    """

    number: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class Segmented:
    """What became of the outlines of one phase.

    instance
        The object; None where there is nothing to show, for the ``reason``.
    numbers
        The Segment Number of each structure that is there.
    """

    instance: FileDataset | None
    numbers: Mapping[Structure, int]
    reason: str = ""


def segment(
    sources: Sequence[SourceFrame],
    labels: NDArray[np.uint8],
    *,
    stack: str,
    phase: Phase,
    algorithm: Algorithm,
    series_number: int,
    producer: Producer,
    encoding: Encoding = Encoding.BINARY,
) -> Segmented:
    """The Segmentation of one phase.

    Parameters
    ----------
    sources
        The images a reader will look at, one a slice, in slice order; a slice without an image
        at this phase is left out here and in ``labels``.  Not changed.
    labels
        (slices, rows, columns), values of ``Structure``, on the grid of the images.
    stack
        Names the stack and is the same for all its phases, as ``SourceFrame.key`` of its first.
    series_number
        As ``derivation.series_number`` gives it, kind 2.

    Raises
    ------
    ValueError
        ``labels`` does not fit the sources, or holds what is no ``Structure``.
    RefusedStack
        The slices are not of one size, spacing, orientation, study and frame of reference, or
        two lie in one place.
    UnusableGeometry
        The plane of a slice is incomplete or wrong.
    """
    planes = _planes(sources, labels)
    there = [structure for structure in SEGMENTS if (labels == structure).any()]
    if not there:
        return Segmented(None, {}, f"nothing is outlined in any of {len(sources)} slices")
    numbers = {structure: number for number, structure in enumerate(there, start=1)}
    first = sources[0].ds
    step = f"segmentation {encoding} {algorithm.step}"
    content = hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()
    whole = f"{step} {series_number} {phase.number} {phase.words} {stack} {content}"
    made = hd.seg.Segmentation(
        source_images=_headers(sources, planes),
        pixel_array=_numbered(labels, numbers),
        segmentation_type=encoding.value,
        segment_descriptions=[
            _described(structure, number, stack, algorithm, first)
            for structure, number in numbers.items()
        ],
        series_instance_uid=result_uid("SeriesInstanceUID", [stack], step, producer),
        series_number=series_number,
        sop_instance_uid=result_uid(
            "SOPInstanceUID", [source.key for source in sources], whole, producer
        ),
        instance_number=phase.number,
        manufacturer=producer.manufacturer,
        manufacturer_model_name=producer.model,
        software_versions=producer.software_version,
        device_serial_number=producer.device_serial,
        omit_empty_frames=True,
        content_label="LV_RV",
        content_description=f"LV and RV, {phase.words or f'phase {phase.number}'}",
        transfer_syntax_uid=syntax_of(first),
    )
    _name_organization(made)
    _refer(made, sources)
    contribution = f"Segmentation by {algorithm.name} {algorithm.version}"
    instance = finished(made, first, producer, description="SEG LV RV", contribution=contribution)
    return Segmented(instance, numbers)


def _planes(sources: Sequence[SourceFrame], labels: NDArray[np.uint8]) -> list[PlaneText]:
    """The planes of the slices, which fit each other and ``labels``."""
    if labels.ndim != 3 or labels.dtype != np.uint8 or not len(sources) == len(labels) > 0:
        raise ValueError(
            f"labels {labels.dtype} of shape {labels.shape} for {len(sources)} slices; allowed: "
            "uint8 (slices, rows, columns), at least one"
        )
    if labels.max() > max(Structure):
        raise ValueError(f"label {labels.max()}; allowed: 0 to {max(Structure):d}")
    planes = [source.plane() for source in sources]
    if labels.shape[1:] != planes[0].shape:
        raise ValueError(f"labels of {labels.shape[1:]} for images of {planes[0].shape} pixels")
    studies, series, frames = (
        {texts(source.ds, keyword) for source in sources}
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
    )
    # Images of one series share a frame of reference (PS3.3 C.7.4.1): where they name several,
    # whoever took the names out gave each image its own, and the first stands for all.
    for keyword, found, one in (
        ("StudyInstanceUID", studies, len(studies) == 1),
        ("FrameOfReferenceUID", frames, len(frames) == 1 or len(series) == 1),
    ):
        if not one or () in found:
            raise RefusedStack(f"{len(found - {()})} {keyword} in one stack; allowed: one")
    across = np.array([plane.plane.normal @ plane.plane.position for plane in planes])
    for number, plane in enumerate(planes, start=1):
        if plane.shape != planes[0].shape:
            raise RefusedStack(
                f"slice {number} has {plane.shape} pixels, slice 1 {planes[0].shape}"
            )
        pairs = ((plane.spacing, planes[0].spacing), (plane.orientation, planes[0].orientation))
        for mine, firsts in pairs:
            off = max(abs(float(a) - float(b)) for a, b in zip(mine, firsts, strict=True))
            if off > PARALLEL_WITHIN:
                raise RefusedStack(f"slice {number} has {mine}, slice 1 {firsts}; allowed: one")
    if len(np.unique(across.round(3))) < len(across):
        raise RefusedStack("two slices lie in one place")
    return planes


def _headers(sources: Sequence[SourceFrame], planes: Sequence[PlaneText]) -> list[Dataset]:
    """The slices as single-frame images of one series, which is all that highdicom takes.

    What they are stands in the object afterwards, see ``_refer``.
    """
    thickness = _thickness(sources, planes)
    headers = []
    for number, (source, plane) in enumerate(zip(sources, planes, strict=True), start=1):
        header = readable_header(source.ds)
        header.SOPClassUID = MRImageStorage
        header.SeriesInstanceUID, header.SOPInstanceUID = "2.25.1", f"2.25.{number}"
        if "NumberOfFrames" in header:
            del header.NumberOfFrames
        header.ImageOrientationPatient = list(planes[0].orientation)
        header.ImagePositionPatient = list(plane.position)
        if "FrameOfReferenceUID" in header:
            header.FrameOfReferenceUID = texts(sources[0].ds, "FrameOfReferenceUID")[0]
        header.PixelSpacing = list(planes[0].spacing)
        header.SliceThickness = DS(thickness, auto_format=True)
        headers.append(header)
    return headers


def _thickness(sources: Sequence[SourceFrame], planes: Sequence[PlaneText]) -> float:
    """SliceThickness, mm; where no scanner said it, the step from slice to slice."""
    said = sources[0].slice_thickness()
    thickness = float(said) if is_decimal(said) else 0.0
    if thickness > 0:
        return thickness
    normal = planes[0].plane.normal
    along = sorted(normal @ plane.plane.position for plane in planes)
    return float(min(np.diff(along))) if len(along) > 1 else 1.0


def _numbered(labels: NDArray[np.uint8], numbers: Mapping[Structure, int]) -> NDArray[np.uint8]:
    table = np.zeros(max(Structure) + 1, np.uint8)
    for structure, number in numbers.items():
        table[structure] = number
    return table[labels]


def _described(
    structure: Structure, number: int, stack: str, algorithm: Algorithm, source: Dataset
) -> hd.seg.SegmentDescription:
    shown = SEGMENTS[structure]
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=shown.label,
        segmented_property_category=_ANATOMY,
        segmented_property_type=Code(shown.code[0], "SCT", shown.code[1]),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=algorithm.name,
            family=_NETWORK,
            version=algorithm.version,
            parameters={"weights_sha256": algorithm.weights_digest},
        ),
        tracking_uid=tracking_uid("".join(texts(source, "StudyInstanceUID")), stack, structure),
        tracking_id=shown.label,
        display_color=CIELabColor.from_rgb(*shown.rgb),
    )


def _name_organization(made: Dataset) -> None:
    """Give the dimensions a UID that follows from the instance, where highdicom drew one."""
    uid = derive_uid("DimensionOrganizationUID", str(made.SOPInstanceUID))
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def _refer(made: Dataset, sources: Sequence[SourceFrame]) -> None:
    """Put the true instances and frames in place of the numbers that ``_headers`` gave."""
    made.SourceImageSequence = Items(references(sources))
    made.ReferencedSeriesSequence = references_by_series(
        (source.ds for source in sources), "ReferencedInstanceSequence"
    )
    true = {
        f"2.25.{number}": reference(source.ds, [source.frame] if source.is_multi_frame else [])
        for number, source in enumerate(sources, start=1)
    }
    for group in made.PerFrameFunctionalGroupsSequence:
        for derivation in group.DerivationImageSequence:
            for item in derivation.SourceImageSequence:
                # Frames of one slice share the item, so it may be true already.
                item.update(true.get(str(item.ReferencedSOPInstanceUID), {}))
    shared = made.SharedFunctionalGroupsSequence[0]
    plane = sources[0].plane()
    put_texts(shared.PlaneOrientationSequence[0], "ImageOrientationPatient", *plane.orientation)
