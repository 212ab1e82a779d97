"""What the processes do: look, plan, carry out.  All that a process needs is imported here.

The promise kept here: a file that is made is durable, read back and proved before it is told of,
and lies among the parts until then; the name it gets in TARGET is not the business of who makes it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cmr_node import __version__
from cmr_node.batch.plan import Context, Doing, Plan, Work
from cmr_node.batch.study import plan_study
from cmr_node.batch.volume import plan_volume
from cmr_node.dicom.reading import read
from cmr_node.durable import sync_file_system
from cmr_node.errors import BadInstance, GeometryNotKept, RefusedStack
from cmr_node.inference.pixels_alone import NOT_VOUCHED
from cmr_node.outputs.corrected import correct_instance
from cmr_node.outputs.corrected_proof import prove_correction
from cmr_node.outputs.proof import prove
from cmr_node.outputs.reoriented import reorient_instance
from cmr_node.outputs.turned import encode
from cmr_node.volumes.files import is_volume, reorient_volume


@dataclass(frozen=True, slots=True)
class Unit:
    """A study, with (path, header) of its files, or a volume, with its path alone."""

    unit: bytes
    rows: Sequence[tuple[bytes, bytes]]
    elsewhere: frozenset[str] = frozenset()

    @property
    def is_study(self) -> bool:
        """Whether it is DICOM."""
        return self.unit.startswith(b"study\0")


@dataclass(frozen=True, slots=True)
class Making:
    """One file to be made as ``part``, about as large as its source."""

    work: Work
    part: Path
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a ``Making``: "" or why there is no part, and if that may pass."""

    making: Making
    problem: str = ""
    passing: bool = False


def plan_units(context: Context, units: Sequence[Unit]) -> list[list[Plan]]:
    """The plans of each unit."""
    return [
        plan_study(context, one.unit, one.rows, one.elsewhere)
        if one.is_study
        else [plan_volume(context, one.unit, one.rows[0][0])]
        for one in units
    ]


def carry_out(context: Context, makings: Sequence[Making]) -> list[Made]:
    """Make some files; what cannot be made leaves no part."""
    if context.parts is None:
        raise ValueError("nothing is to be written")
    file_system = os.open(context.parts, os.O_RDONLY | os.O_DIRECTORY)
    try:
        made = [_made(context, making) for making in makings]
        sync_file_system(file_system)
    finally:
        os.close(file_system)
    return made


def _made(context: Context, making: Making) -> Made:
    making.part.unlink(missing_ok=True)  # of a process that died while it made it
    try:
        _make(context, making)
    except OSError as error:
        made = Made(making, error.strerror or str(error), passing=True)
    except (BadInstance, RefusedStack, GeometryNotKept) as error:
        made = Made(making, str(error))
    else:
        return Made(making)
    making.part.unlink(missing_ok=True)
    return made


def _make(context: Context, making: Making) -> None:
    work, part = making.work, making.part
    source = context.path_of(work.path)
    if work.doing is Doing.COPY:
        shutil.copyfile(source, part)
    elif is_volume(source):
        keep = work.doing is Doing.CORRECT
        reorient_volume(source, part, work.operation, _note(work), keep_geometry=keep)
    else:
        part.write_bytes(_derived(source, work, context))


def _derived(path: Path, work: Work, context: Context) -> bytes:
    source, producer = read(path), context.options.producer
    if work.doing is Doing.CORRECT:
        part10 = encode(correct_instance(source, work.operation, producer))
        prove_correction(part10, source, work.operation)
        return part10
    part10 = encode(reorient_instance(source, work.operation, producer))
    prove(part10, source)
    return part10


def _note(work: Work) -> str:
    """What a volume says of what was done to it."""
    if work.doing is Doing.CORRECT:
        return (
            f"cmr-node {__version__}: in-plane correction {work.operation} of the pixels alone, "
            f"no interpolation, header left as it was; {NOT_VOUCHED}"
        )
    return (
        f"cmr-node {__version__}: in-plane re-indexing {work.operation}, no interpolation; "
        "every voxel keeps its place"
    )
