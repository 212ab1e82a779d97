"""Which images belong to one stack.

The promise kept here: two acquisitions of the same place never end up interleaved in one stack,
whether they came in one series or in many.

    1. *part*: images of one series with one SeriesNumber and ImageType (anonymisers have merged
       series under one UID); its sequence is recognised as a whole, so that three planes at
       right angles are seen to be a localizer
    2. *piece*: the images of a part with one orientation (within ``TILT_LIMIT_DEG``) and, where
       a place was acquired again under another AcquisitionNumber, of one acquisition
    3. *stack*: pieces that share frame of reference, sequence, ImageType, size, spacing and
       orientation and have no place in common.  So one series per slice becomes one stack, and
       of a place acquired twice the later one goes with the others (it was repeated for a
       reason) and the earlier one is a stack of its own.

Series of an unknown sequence and localizers are not joined across series.  A part that names
more than one frame of reference names none (a series has one: PS3.3 C.7.4.1; Sunnybrook's
anonymiser gave each image its own): it is kept together, and not joined to other series.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cmr_node.assemble.records import Cell
from cmr_node.assemble.sequence import CardiacSequence, Evidence, recognise_sequence
from cmr_node.geometry.plane import PARALLEL_LIMIT_DEG, Plane

TILT_LIMIT_DEG = 5.0  # images of one series tilted further are another stack
SAME_IMAGE_PLACE = 0.1  # mm; phases of one slice
SAME_SLICE = 1.0  # mm; a slice acquired again, the positioning re-entered by hand

#: One image per slice, so AcquisitionNumber can only mean acquired again.
_SINGLE_IMAGE = frozenset({CardiacSequence.LGE, CardiacSequence.T1_MAP})
_NEVER_JOINED = frozenset({CardiacSequence.OTHER, CardiacSequence.LOCALIZER})


@dataclass(slots=True)
class Piece:
    """Images that belong together whatever else there is."""

    cells: list[Cell]
    frame_of_reference_uid: str
    frames_of_reference: int
    sequence: CardiacSequence
    sequence_certain: bool
    evidence: tuple[Evidence, ...]

    @property
    def plane(self) -> Plane:
        """A plane with the commonest orientation of the piece, of its first image if tied."""
        common = Counter(_cosines(cell.plane) for cell in self.cells).most_common(1)[0][0]
        return next(cell.plane for cell in self.cells if _cosines(cell.plane) == common)


@dataclass(slots=True)
class Group:
    """The pieces of one stack; ``repeats`` others of the same places lie in stacks beside it."""

    pieces: list[Piece] = field(default_factory=list)
    repeats: int = 0

    @property
    def cells(self) -> list[Cell]:
        """All images, unordered."""
        return [cell for piece in self.pieces for cell in piece.cells]


def groups_of(cells: Iterable[Cell]) -> list[Group]:
    """The images of one study as groups, one per stack.

    Ties are broken by the order of ``cells``, so let it be a fixed one.
    """
    parts: dict[tuple[str, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        header = cell.header
        parts[
            header.series_instance_uid, header.text("SeriesNumber"), header.text("ImageType")
        ].append(cell)
    joinable: dict[tuple[object, ...], list[Piece]] = defaultdict(list)
    for key, part in parts.items():
        for piece in _pieces(part):
            alone = piece.sequence in _NEVER_JOINED or not piece.frame_of_reference_uid
            joinable[_joining_key(piece, key if alone else key[2:])].append(piece)
    return [
        group
        for pieces in joinable.values()
        for parallel in _parallel(pieces)
        for group in _takes(parallel)
    ]


def by_place(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Images of one orientation, one list per place, in order along the normal of the first."""
    normal = cells[0].plane.normal
    places: dict[tuple[float, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        places[cell.plane.position].append(cell)
    merged: list[tuple[npt.NDArray[np.float64], list[Cell]]] = []
    for position in sorted(places, key=lambda p: (float(np.dot(normal, p)), p)):
        here = np.array(position)
        near = [c for at, c in merged[-3:] if np.linalg.norm(at - here) <= SAME_IMAGE_PLACE]
        if near:
            near[0].extend(places[position])
        else:
            merged.append((here, list(places[position])))
    return [found for _, found in merged]


def turn_deg(one: Plane, other: Plane) -> float:
    """The angle of the rotation between the frames of two planes, 0 to 180 degrees."""
    frames = [
        np.array([plane.row_direction, plane.column_direction, plane.normal])
        for plane in (one, other)
    ]
    chord = float(np.linalg.norm(frames[0] - frames[1])) / np.sqrt(8)
    return float(np.degrees(2 * np.arcsin(min(1.0, chord))))


def _pieces(part: list[Cell]) -> Iterable[Piece]:
    headers = [cell.header for cell in part]
    sequence, certain, evidence = recognise_sequence(headers)
    named = {header.text("FrameOfReferenceUID") for header in headers} - {""}
    uid = next(iter(named)) if len(named) == 1 else ""
    for oriented in _by_orientation(part):
        for cells in _acquisitions(oriented, sequence):
            yield Piece(cells, uid, len(named), sequence, certain, evidence)


def _by_orientation(cells: list[Cell]) -> list[list[Cell]]:
    """Clusters around the commonest orientations."""
    same: dict[tuple[float, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        same[_cosines(cell.plane)].append(cell)
    clusters: list[list[Cell]] = []
    for cosines in sorted(same, key=lambda c: (-len(same[c]), c)):
        found = same[cosines]
        for cluster in clusters:
            if turn_deg(cluster[0].plane, found[0].plane) <= TILT_LIMIT_DEG:
                cluster.extend(found)
                break
        else:
            clusters.append(list(found))
    return clusters


def _acquisitions(cells: list[Cell], sequence: CardiacSequence) -> list[list[Cell]]:
    """``cells`` apart by acquisition where a place was acquired more than once, newest first."""
    places = by_place(cells)
    if sequence not in _SINGLE_IMAGE and not (
        sequence is CardiacSequence.CINE and any(_collide(place) for place in places)
    ):
        return [cells]
    takes: dict[int, list[Cell]] = defaultdict(list)
    for place in places:
        numbers = sorted({_acquisition(cell) for cell in place}, reverse=True)
        for cell in place:
            takes[numbers.index(_acquisition(cell))].append(cell)
    return [takes[rank] for rank in sorted(takes)]


def _collide(place: Sequence[Cell]) -> bool:
    """Whether two images of one place claim the same moment of the beat."""
    times = [cell.header.number("TriggerTime") for cell in place]
    known = [time for time in times if time is not None]
    return len(set(known)) < len(known)


def _acquisition(cell: Cell) -> float:
    return cell.header.number("AcquisitionNumber") or 0.0


def _joining_key(piece: Piece, apart: tuple[str, ...]) -> tuple[object, ...]:
    plane = piece.plane
    spacing = tuple(round(value, 4) for value in plane.pixel_spacing)
    return (piece.frame_of_reference_uid, piece.sequence, plane.shape, spacing, apart)


def _parallel(pieces: list[Piece]) -> list[list[Piece]]:
    """Pieces that may share a stack, by orientation."""
    families: list[list[Piece]] = []
    for piece in sorted(pieces, key=_chronology):
        for family in families:
            if turn_deg(family[0].plane, piece.plane) <= PARALLEL_LIMIT_DEG:
                family.append(piece)
                break
        else:
            families.append([piece])
    return families


def _takes(pieces: list[Piece]) -> list[Group]:
    """Parallel pieces apart so that no group holds a place twice, the newest with the most."""
    normal = pieces[0].plane.normal
    groups: list[tuple[Group, list[float]]] = []
    for piece in reversed(pieces):
        places = [float(np.dot(normal, c[0].plane.position)) for c in by_place(piece.cells)]
        for group, taken in groups:
            if not any(abs(place - other) < SAME_SLICE for place in places for other in taken):
                group.pieces.append(piece)
                taken.extend(places)
                break
        else:
            groups.append((Group([piece]), places))
    for group, _ in groups:
        group.repeats = len(groups) - 1
    return [group for group, _ in groups]


def _chronology(piece: Piece) -> tuple[str, float, float, float, str]:
    """Oldest first; what is not known sorts first."""
    header = max(
        (cell.header for cell in piece.cells),
        key=lambda h: (h.text("AcquisitionDate"), _time(h.text("AcquisitionTime"))),
    )
    return (
        header.text("AcquisitionDate"),
        _time(header.text("AcquisitionTime")),
        header.number("SeriesNumber") or 0.0,
        header.number("AcquisitionNumber") or 0.0,
        header.series_instance_uid,
    )


def _time(text: str) -> float:
    """A TM value as a number that sorts; -1 if it is none."""
    try:
        return float(text.replace(":", ""))
    except ValueError:
        return -1.0


def _cosines(plane: Plane) -> tuple[float, ...]:
    return tuple(round(v, 4) + 0.0 for v in (*plane.row_direction, *plane.column_direction))
