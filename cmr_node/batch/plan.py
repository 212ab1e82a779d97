"""What is to be done with the files of one stack, before any of it is done.

The promise kept here: a plan is data and nothing else.  It goes from the process that judged to
those that carry it out, and its ``key`` is the same only where a second run would do the same.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from cmr_node import __version__
from cmr_node.assemble.sequence import CardiacSequence
from cmr_node.batch.report import REFUSED, Record
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.judgement import Trusting
from cmr_node.outputs.uids import Producer
from cmr_node.settings import Standardise


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asked for.

    sequence, view
        What the stacks show of which neither header nor file name tells.
    without_asked
        Whether TARGET goes without the stacks that were asked or refused.
    """

    policy: Standardise
    producer: Producer
    trusting: Trusting = field(default_factory=Trusting)
    sequence: CardiacSequence | None = None
    view: View | None = None
    without_asked: bool = False

    @property
    def fingerprint(self) -> str:
        """The same where the same files would be treated the same."""
        facts = (
            __version__,
            self.policy.model_dump_json(),
            self.producer,
            self.trusting.header,
            self.trusting.accept_network,
            self.trusting.network,
            self.sequence,
            self.view,
            self.without_asked,
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Context:
    """Where everything is; handed to every process.

    source
        The folder that was asked for, or that of the one file.
    parts
        Folder for what is not whole yet; None if nothing is to be written.
    """

    source: Path
    parts: Path | None
    options: Options

    def path_of(self, path: bytes) -> Path:
        """A file of the source by its path below it."""
        return self.source / os.fsdecode(path)


class Doing(StrEnum):
    """What is done with a file."""

    COPY = "copy"  #: the same bytes
    REORIENT = "reorient"  #: pixels and geometry turned: every pixel keeps its place
    CORRECT = "correct"  #: pixels turned, the header left as it is


@dataclass(frozen=True, slots=True)
class Work:
    """One file, what is done with it, and the operation on its pixels (identity for a copy)."""

    path: bytes
    doing: Doing = Doing.COPY
    operation: Orientation = Orientation.IDENTITY


@dataclass(frozen=True, slots=True)
class Shown:
    """Which picture stands for a stack on the sheet: a frame (DICOM) or a slice (volume)."""

    path: bytes
    frame: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A stack: what is said of it, what is done with its files, and which picture shows it.

    ``passing`` says that what was in the way may be gone by the next run, which tries again: no
    permission, no room, something in its place.
    """

    unit: bytes
    record: Record
    work: tuple[Work, ...]
    shown: Shown | None = None
    passing: bool = False

    @property
    def key(self) -> str:
        """Names the plan within its unit; two stacks of one file differ in what shows them."""
        facts = (self.unit, self.record.model_dump_json(), self.work, self.shown)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def refused(self, reason: str, *, copied: bool, passing: bool = False) -> Plan:
        """The plan where none of its files can be turned: copies, or nothing."""
        copies = tuple(Work(one.path) for one in self.work) if copied else ()
        record = self.record.refused_because(reason)
        return replace(self, record=record, work=copies, passing=self.passing or passing)

    def of_no_work(self) -> Plan:
        """The plan that leaves the stack out of TARGET."""
        return replace(self, work=())

    @property
    def is_undecided(self) -> bool:
        """Whether a person has to look at it."""
        return self.record.decision in ("ask", REFUSED)
