"""The contact sheet of a run: each stack before and after, read from the files themselves.

The promise kept here: "before" is read from SOURCE and "after" from TARGET, so the sheet shows
what a reader of the two will see and not what the run thought it did.  Only where nothing was
written (``recognise``, ``--dry-run``) is the picture turned here.  Panels come one after the
other, a few ahead of whoever draws them: memory does not grow with their number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmr_node.batch.book import Said
from cmr_node.batch.plan import Context, Shown
from cmr_node.batch.pool import Pool, Results
from cmr_node.batch.report import Record
from cmr_node.batch.target import Target
from cmr_node.dicom.reading import read
from cmr_node.dicom.words import display_values
from cmr_node.errors import NodeError, UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane, reorient
from cmr_node.inference.pixels_alone import HeaderTrust
from cmr_node.inference.recognition import Image
from cmr_node.outputs.functional_groups import frame_planes
from cmr_node.outputs.in_plane import plane_text
from cmr_node.outputs.suitability import is_enhanced
from cmr_node.pictures.picture import Panel, Picture
from cmr_node.volumes.files import is_volume, read_volume


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the pictures of one panel are made of; ``after`` is None where nothing was written."""

    before: Path
    after: Path | None
    frame: int
    operation: Orientation


Pair = tuple[Picture | None, Picture | None]


@dataclass(slots=True)
class _Slot:
    """A panel that waits for its pictures."""

    record: Record
    pair: Pair = (None, None)
    ready: bool = False


def panels(
    said: Iterable[Said], context: Context, target: Target | None, pool: Pool
) -> Iterator[Panel]:
    """The panels of all stacks, in order; those that have no picture go without."""
    waiting: deque[_Slot] = deque()
    for one in said:
        if one.shown is None:
            if one.record.decision == "leave":
                continue  # reports, screenshots, our own products: nothing to be seen
            waiting.append(_Slot(one.record, ready=True))
        else:
            waiting.append(_asked_for(one.record, one.shown, context, target, pool))
        while waiting and (waiting[0].ready or not pool.has_room):
            yield _panel(_ready(waiting.popleft(), pool))
    while waiting:
        yield _panel(_ready(waiting.popleft(), pool))


def draw(context: Context, drawings: Sequence[Drawing]) -> list[Pair]:
    """The pictures before and after; None for one that cannot be had or is not to be shown."""
    lettered = context.options.trusting.header is HeaderTrust.TRUSTED
    return [_pair(one, lettered=lettered) for one in drawings]


def _asked_for(
    record: Record, shown: Shown, context: Context, target: Target | None, pool: Pool
) -> _Slot:
    slot = _Slot(record)
    acted = record.decision == "act"
    drawing = Drawing(
        before=context.path_of(shown.path),
        after=target.path_of(shown.path) if acted and target else None,
        frame=shown.frame,
        operation=record.operation,
    )

    def then(items: Sequence[Drawing], pairs: Results) -> None:
        slot.ready = True
        if isinstance(pairs, Sequence):
            (slot.pair,) = pairs

    pool.submit(draw, context, [drawing], then)
    return slot


def _ready(slot: _Slot, pool: Pool) -> _Slot:
    while not slot.ready:
        pool.turn()
    return slot


def _pair(one: Drawing, *, lettered: bool) -> Pair:
    try:
        image, plane = _image(one.before, one.frame)
        before = _picture(image, plane, lettered=lettered)
        if one.operation is Orientation.IDENTITY:
            return before, None
        if one.after is not None:
            return before, _picture(*_image(one.after, one.frame), lettered=lettered)
    except (NodeError, OSError, IndexError):
        return None, None
    turned = one.operation.apply(image)
    return before, _picture(turned, plane and reorient(plane, one.operation), lettered=lettered)


def _image(path: Path, frame: int) -> tuple[Image, Plane | None]:
    if is_volume(path):
        volume = read_volume(path)
        phase, number = divmod(frame, volume.voxels.shape[1])
        return volume.picture(number, phase), volume.planes[number] if volume.planes else None
    ds = read(path)
    image = display_values(ds, frame)
    shape = (image.shape[0], image.shape[1])
    try:
        texts = frame_planes(ds, shape)[frame] if is_enhanced(ds) else plane_text(ds, shape)
    except UnusableGeometry:
        return image, None
    return image, texts.plane


def _picture(image: Image, plane: Plane | None, *, lettered: bool) -> Picture:
    if plane is None:
        return Picture(image)
    return Picture.on(plane, image) if lettered else Picture(image, plane.pixel_spacing)


def _panel(slot: _Slot) -> Panel:
    record, (before, after) = slot.record, slot.pair
    return Panel(
        title=f"{record.sequence} {record.view}: {record.where}",
        caption=record.reason,
        before=before,
        after=after,
        decision=record.decision,
    )
