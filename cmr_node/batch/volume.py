"""One NIfTI or MHA volume: judged like a DICOM stack, and planned.

The promise kept here: a volume goes through the same judgement as the slices of a scanner.  Its
affine stands for their positions, its time step for their trigger times, and the words of its
file name for their SeriesDescription; the votes say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from cmr_node.assemble.loose import LooseStack, loose_stacks
from cmr_node.assemble.records import Assembly, Cell, Slice, Stack
from cmr_node.assemble.sequence import SequenceEvidence, recognise_sequence
from cmr_node.assemble.view import recognise_view
from cmr_node.batch.plan import Context, Plan, Shown, Work
from cmr_node.batch.planning import plan_of
from cmr_node.batch.report import Record
from cmr_node.batch.stated import with_stated
from cmr_node.dicom.header import Header
from cmr_node.errors import BadInstance, RefusedStack
from cmr_node.geometry.plane import Plane
from cmr_node.inference.decide import Decision, Reason, ask
from cmr_node.inference.pixels_alone import HeaderTrust
from cmr_node.inference.recognition import Image
from cmr_node.judgement import is_unknown, judge, judge_loose
from cmr_node.volumes.files import read_volume
from cmr_node.volumes.volume import Volume

WHERE: Final = {
    "SeriesDescription": "file name",
    "TriggerTime": "time step",
    "ImageOrientationPatient": "affine",
    "positions": "affine",
    "orientations": "affine",
}
"""What a vote was seen on in DICOM -> in a volume."""


UNKNOWN: Final = (
    "Neither the file name nor the geometry tells what this shows; --sequence and --view can."
)


def plan_volume(context: Context, unit: bytes, path: bytes) -> Plan:
    """Plan one volume."""
    options = context.options
    try:
        volume = read_volume(context.path_of(path))
    except OSError as error:
        record = Record.of_no_stack([path], "unreadable", f"it cannot be read: {error.strerror}")
        return Plan(unit, record, (), passing=True)
    except BadInstance as error:
        return Plan(unit, Record.of_no_stack([path], "unreadable", str(error)), ())
    except RefusedStack as error:
        record = Record.of_no_stack([path], "no_volume_of_ours", str(error))
        return Plan(unit, record, () if options.without_asked else (Work(path),))
    slices = volume.voxels.shape[1]
    shown = Shown(path, slices // 2)
    words = _words(path)
    if volume.planes is None or options.trusting.header is HeaderTrust.ABSENT:
        loose = _loose(volume, words)

        def images(stack: LooseStack) -> list[Image]:
            return [volume.picture(number) for number in range(slices)]

        stated = with_stated(loose, options)
        found = judge_loose(stated, images, options.policy, options.trusting)
        plan = plan_of(context, unit, found, [path], shown)
        if volume.planes is None:
            reason = f"{plan.record.reason} {volume.geometry_fault.rstrip('.')}."
            plan = replace(plan, record=plan.record.model_copy(update={"reason": reason}))
        return plan
    stack = with_stated(_stack(volume, volume.planes, words), options)

    def pixels(cell: Cell) -> Image:
        phase, number = divmod(cell.frame, slices)
        return volume.picture(number, phase)

    (judged,) = judge(Assembly((stack,), ()), pixels, options.policy, options.trusting)
    if is_unknown(stack) and judged.verdict.decision is Decision.LEAVE:
        judged = replace(judged, verdict=ask(Reason.UNCERTAIN_VIEW, UNKNOWN))
    return plan_of(context, unit, judged, [path], shown)


def _words(path: bytes) -> str:
    """The file's name without its ending."""
    name = path.rpartition(b"/")[2].decode("utf-8", "replace")
    for ending in (".gz", ".nii", ".mha"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name


def _header(number: int, words: str, shape: Sequence[int], **attributes: Any) -> Header:
    """What a volume says of one of its pictures, in the words of the MR Image."""
    rows, columns = shape
    held = {"InstanceNumber": number, "Rows": rows, "Columns": columns} | attributes
    return Header("", "", "", "", "", held | ({"SeriesDescription": words} if words else {}))


def _stack(volume: Volume, planes: Sequence[Plane], words: str) -> Stack:
    phases, slices = volume.voxels.shape[:2]
    normal = planes[0].normal
    order = sorted(range(slices), key=lambda number: float(normal @ planes[number].position))
    first = planes[order[0]]
    whole = _header(1, words, first.shape, NumberOfFrames=phases * slices)

    def cell(number: int, phase: int) -> Cell:
        plane, frame = planes[number], phase * slices + number
        attributes: dict[str, Any] = {
            "ImagePositionPatient": list(plane.position),
            "ImageOrientationPatient": [*plane.row_direction, *plane.column_direction],
            "PixelSpacing": list(plane.pixel_spacing),
        }
        if volume.phase_duration:
            attributes["TriggerTime"] = 1000 * phase * volume.phase_duration
        header = _header(frame + 1, words, plane.shape, **attributes)
        return Cell(whole, frame, header, plane)

    ordered = tuple(
        Slice(
            float(first.distance(planes[number].position)),
            tuple(cell(number, phase) for phase in range(phases)),
        )
        for number in order
    )
    headers = [cell.header for one in ordered for cell in one.cells]
    sequence, sequence_certain, votes = recognise_sequence(headers)
    view, view_certain, seen = recognise_view(sequence, headers, [one.plane for one in ordered])
    recognised = SequenceEvidence(sequence, view, sequence_certain and view_certain, votes + seen)
    return Stack("", "", _seen_in_a_volume(recognised), ordered, "TriggerTime", ())


def _loose(volume: Volume, words: str) -> LooseStack:
    phases, slices = volume.voxels.shape[:2]
    shape = volume.voxels.shape[2:]
    headers = [_header(number + 1, words, shape) for number in range(phases * slices)]
    (stack,) = loose_stacks(headers)
    spacing = volume.planes[0].pixel_spacing if volume.planes else None
    return replace(stack, recognised=_seen_in_a_volume(stack.recognised), pixel_spacing=spacing)


def _seen_in_a_volume(recognised: SequenceEvidence) -> SequenceEvidence:
    votes = tuple(
        replace(vote, what=WHERE.get(vote.what, vote.what)) for vote in recognised.evidence
    )
    return replace(recognised, evidence=votes)
