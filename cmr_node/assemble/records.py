"""What assembling hands on: stacks of slices of phases, and what was found wrong with them.

The promise kept here: a stack looks the same whether it came as one series per slice, as one
series or as one Enhanced multi-frame object, and nothing that was received is missing: each
instance lies in a stack or among the refused, with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cmr_node.assemble.sequence import CardiacSequence, SequenceEvidence
from cmr_node.dicom.header import Header
from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View


class FindingKind(StrEnum):
    """What can be odd about a stack that is a stack nevertheless."""

    GAP = "gap"  #: a slice is missing: half as much again as the usual step, or more
    UNEVEN_STEPS = "uneven_steps"  #: the distance between slices varies, without a whole gap
    DUPLICATE_POSITIONS = "duplicate_positions"  #: two slices, or two phases of one, in one place
    REPEATED = "repeated"  #: the same slices were acquired more than once; each time is a stack
    TILTED_SLICES = "tilted_slices"  #: not all slices are parallel
    MIXED_SIZES = "mixed_sizes"  #: Rows or Columns differ
    MIXED_SPACINGS = "mixed_spacings"  #: PixelSpacing differs
    MISSING_PHASES = "missing_phases"  #: not all slices have as many phases
    FRAME_OF_REFERENCE = "frame_of_reference"  #: absent, or several within one series


@dataclass(frozen=True, slots=True)
class Finding:
    """One oddity, with the numbers in words."""

    kind: FindingKind
    text: str


class Refusal(StrEnum):
    """Why an instance lies in no stack."""

    NOT_MR_IMAGE = "not_mr_image"  #: another SOP class: report, presentation state, CT ...
    NO_PIXELS = "no_pixels"  #: Rows or Columns are missing
    COLOUR = "colour"  #: more than one sample per pixel: a screenshot or a coloured map
    MOSAIC = "mosaic"  #: many slices in one picture
    GEOMETRY = "geometry"  #: position, cosines or spacing missing or impossible
    TWICE = "twice"  #: other content under the same SOP Instance UID: which is right is not known
    FRAMES = "frames"  #: the functional groups of a multi-frame object are missing or wrong


@dataclass(frozen=True, slots=True)
class Refused:
    """An instance that cannot lie in a stack."""

    instance: Header
    reason: Refusal
    text: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One slice at one phase.

    instance, frame
        Where its pixels are: the instance as received and the zero-based frame in it.
    header
        What is true of the frame, in the words of the single-frame MR Image.
    """

    instance: Header
    frame: int
    header: Header
    plane: Plane


@dataclass(frozen=True, slots=True)
class Slice:
    """One place; ``cells`` are its phases in order, never empty.

    ``position`` is the distance (mm) along the stack's normal from its first slice.
    """

    position: float
    cells: tuple[Cell, ...]

    @property
    def plane(self) -> Plane:
        """The plane of its first phase."""
        return self.cells[0].plane


@dataclass(frozen=True, slots=True)
class Stack:
    """Parallel slices of one sequence, in order along the normal of the first.

    ``frame_of_reference_uid`` is "" where the series name none, or several.
    ``phase_order`` is the attribute that put the phases in order.
    """

    study_instance_uid: str
    frame_of_reference_uid: str
    recognised: SequenceEvidence
    slices: tuple[Slice, ...]
    phase_order: str
    findings: tuple[Finding, ...]

    @property
    def sequence(self) -> CardiacSequence:
        """What it shows."""
        return self.recognised.sequence

    @property
    def view(self) -> View:
        """In which view; ``View.OTHER`` if not known."""
        return self.recognised.view

    @property
    def plane(self) -> Plane:
        """The plane of the first slice; its normal is the direction of the slice order."""
        return self.slices[0].plane

    @property
    def phases(self) -> int:
        """The most phases any slice has."""
        return max(len(one.cells) for one in self.slices)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, slice by slice."""
        return tuple(cell for one in self.slices for cell in one.cells)

    @property
    def instances(self) -> tuple[Header, ...]:
        """The instances it is made of, each once, in the order of the cells."""
        return tuple({c.instance.sop_instance_uid: c.instance for c in self.cells}.values())

    @property
    def series_instance_uids(self) -> tuple[str, ...]:
        """The series it is made of, each once, in the order of the cells."""
        return tuple(dict.fromkeys(cell.instance.series_instance_uid for cell in self.cells))


@dataclass(frozen=True, slots=True)
class Assembly:
    """All that was received of one study, put in order."""

    stacks: tuple[Stack, ...]
    refused: tuple[Refused, ...]
