"""Stacks out of instances: slices in order along the normal, phases in order of the beat.

The promise kept here: the same images give the same stacks whatever the order they came in and
whatever they came as (a series per slice, a series, an Enhanced multi-frame object); an image
that fits nowhere is among the refused, with a reason.

``grouping`` says which images belong together, ``findings`` what is odd about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cmr_node.assemble.findings import findings_of
from cmr_node.assemble.frames import ENHANCED_MR, Frame, Frames
from cmr_node.assemble.grouping import Group, by_place, groups_of
from cmr_node.assemble.records import Assembly, Cell, Refusal, Refused, Slice, Stack
from cmr_node.assemble.sequence import CardiacSequence, SequenceEvidence
from cmr_node.assemble.view import recognise_view
from cmr_node.dicom.header import Header
from cmr_node.errors import BadInstance, UnusableGeometry
from cmr_node.geometry.plane import Plane

MR_IMAGES = ENHANCED_MR | {"1.2.840.10008.5.1.4.1.1.4"}

#: What puts the images of one place in order: the first attribute that tells all of them apart.
_IN_A_BEAT = ("TriggerTime", "TemporalPositionIdentifier", "InstanceNumber")
_IN_TIME = ("TemporalPositionIdentifier", "InstanceNumber", "TriggerTime")


def assemble(headers: Iterable[Header], frames: Frames) -> Assembly:
    """Put the instances of one study in order.

    Parameters
    ----------
    headers
        Of one study, own products left out; any order.
    frames
        The door to the frames of an instance (``frames.frames_from``).

    Raises
    ------
    NodeError
        What ``frames`` raises, except ``BadInstance``: such an instance is refused.
    """
    cells: list[Cell] = []
    refused: list[Refused] = []
    for header in sorted(headers, key=lambda h: h.sop_instance_uid):
        found = _cells(header, frames)
        if isinstance(found, Refused):
            refused.append(found)
        else:
            cells.extend(found)
    stacks = [_stack(group) for group in groups_of(cells)]
    stacks.sort(key=_order)
    return Assembly(tuple(stacks), tuple(refused))


def _cells(header: Header, frames: Frames) -> list[Cell] | Refused:
    """The images in an instance, or why they cannot lie in a stack."""
    if header.sop_class_uid not in MR_IMAGES:
        return Refused(header, Refusal.NOT_MR_IMAGE, f"SOP class {header.sop_class_uid}")
    rows, columns = header.number("Rows"), header.number("Columns")
    if not rows or not columns:
        return Refused(header, Refusal.NO_PIXELS, f"Rows {rows}, Columns {columns}")
    samples = header.number("SamplesPerPixel")
    if samples is not None and samples != 1:
        return Refused(header, Refusal.COLOUR, f"SamplesPerPixel {samples:g}, allowed is 1")
    if "MOSAIC" in header.text("ImageType").upper().split("\\"):
        return Refused(header, Refusal.MOSAIC, "ImageType MOSAIC: many slices in one picture")
    try:
        shown = frames(header)
    except BadInstance as error:
        return Refused(header, Refusal.FRAMES, str(error))
    try:
        return [_cell(frame, int(rows), int(columns)) for frame in shown]
    except UnusableGeometry as error:
        return Refused(header, Refusal.GEOMETRY, str(error))


def _cell(frame: Frame, rows: int, columns: int) -> Cell:
    header = frame.header
    plane = Plane.from_dicom(
        header.numbers("ImageOrientationPatient"),
        header.numbers("ImagePositionPatient"),
        header.numbers("PixelSpacing"),
        rows,
        columns,
    )
    return Cell(frame.instance, frame.index, header, plane)


def _stack(group: Group) -> Stack:
    first = group.pieces[0]
    places = by_place(group.cells)
    phase_order, ordered = _in_order(places, first.sequence)
    start = np.array(ordered[0][0].plane.position)
    normal = ordered[0][0].plane.normal
    slices = tuple(
        Slice(float(normal @ (np.array(cells[0].plane.position) - start)), tuple(cells))
        for cells in ordered
    )
    headers = [cell.header for cell in group.cells]
    view, view_certain, seen = recognise_view(
        first.sequence, headers, [one.plane for one in slices]
    )
    votes = dict.fromkeys(vote for piece in group.pieces for vote in piece.evidence)
    sequence_certain = all(piece.sequence_certain for piece in group.pieces)
    return Stack(
        study_instance_uid=headers[0].study_instance_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        recognised=SequenceEvidence(
            first.sequence, view, sequence_certain and view_certain, (*votes, *seen)
        ),
        slices=slices,
        phase_order=phase_order,
        findings=findings_of(group, slices, first.plane),
    )


def _in_order(
    places: Sequence[Sequence[Cell]], sequence: CardiacSequence
) -> tuple[str, list[list[Cell]]]:
    """The attribute that orders the phases, and the cells of each place in that order."""
    keywords = _IN_A_BEAT if sequence is CardiacSequence.CINE else _IN_TIME
    keyword = next((k for k in keywords if all(_tells_apart(k, cells) for cells in places)), "")

    def key(cell: Cell) -> tuple[float, str, int]:
        value = cell.header.number(keyword) if keyword else None
        return (value or 0.0, cell.instance.sop_instance_uid, cell.frame)

    return keyword or "SOPInstanceUID", [sorted(cells, key=key) for cells in places]


def _tells_apart(keyword: str, cells: Sequence[Cell]) -> bool:
    values = [cell.header.number(keyword) for cell in cells]
    return None not in values and len(set(values)) == len(values)


def _order(stack: Stack) -> tuple[float, str]:
    header = stack.slices[0].cells[0].header
    return (header.number("SeriesNumber") or 0.0, header.sop_instance_uid)
