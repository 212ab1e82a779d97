"""What is said of each stack of a folder: one record, its schema, and the JSON file of all.

The promise kept here: every file that looks like an image is named in a record (in more than one
only if its frames make several stacks), the file of records is whole or not there, and its
schema is published (``cmr-node recognise --schema``) and held to by tests.  Records are streamed:
memory does not grow with the tree.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from cmr_node.assemble.sequence import CardiacSequence
from cmr_node.durable import whole_file
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View

REFUSED = "refused"


class Fact(BaseModel):
    """A part of a record: nothing unknown in it, nothing changed after it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Vote(Fact):
    """One thing that speaks for a sequence or a view; a negative weight speaks against."""

    what: str
    value: str
    speaks_for: str = Field(alias="for")
    weight: int


class Oddity(Fact):
    """Something odd about the stack, with its numbers in words."""

    kind: str
    text: str


class Evidence(Fact):
    """How sequence and view were recognised, and which rule decided."""

    kind: str = Field(description="The rule that decided, one of a closed list.")
    certain: bool = Field(description="Whether everything agrees on sequence and view.")
    recognised: tuple[Vote, ...] = ()
    findings: tuple[Oddity, ...] = ()


class Network(Fact):
    """What the network sees in the pixels."""

    orientation: Orientation
    probability: float
    probabilities: dict[Orientation, float]
    sax: float = Field(description="Probability that it is a short axis.")
    doubt: str = Field(description="Why it is not sure; empty if it is.")
    mirrored: float | None = Field(description="Probability of a mirrored picture.")
    residual_deg: float | None = Field(
        description="Angle that stays when the orientation is undone, clockwise."
    )
    septal_deg: float | None = Field(
        description="From the picture's right to the way from left to right ventricle, clockwise; "
        "180 in an ideal standard view."
    )
    agreement: float = Field(description="Share of the slices that see it by themselves.")
    slices: int = Field(description="How many slices were looked at.")


class HeaderSays(Fact):
    """What the geometry of the header implies."""

    orientation: Orientation
    residual_deg: float = Field(description="Angle that stays when the orientation is undone.")
    margin_deg: float = Field(description="Angle to the point where another orientation wins.")
    conditioning: float = Field(description="0 to 1; below the setting the header is not believed.")


class Crossing(Fact):
    """How well slices that cross the stack agree; ``best`` is identity where they do."""

    best: Orientation
    margin: float
    pairs: int
    scores: dict[Orientation, float]


class Record(Fact):
    """One stack; files that make up none are grouped by the reason.

    Orientations are the o such that stored = o(standard view); ``operation`` undoes it.
    """

    files: tuple[str, ...] = Field(
        description="Paths below SOURCE, sorted; \\xNN for a byte that is not UTF-8."
    )
    study: str | None = Field(description="StudyInstanceUID; null for NIfTI and MHA.")
    sequence: CardiacSequence
    view: View
    evidence: Evidence
    network: Network | None
    header: HeaderSays | None
    crossing: Crossing | None
    decision: Literal["act", "leave", "ask", "refused"]
    operation: Orientation = Field(
        description="What was done to the pixels; with recognise and --dry-run, what would be."
    )
    reason: str

    @classmethod
    def of_no_stack(
        cls,
        files: Iterable[bytes],
        kind: str,
        reason: str,
        *,
        decision: Literal["leave", "ask", "refused"] = "refused",
        study: str | None = None,
    ) -> Self:
        """The record of files that are no stack, or of which nothing could be found out."""
        return cls(
            files=tuple(sorted(shown_path(path) for path in files)),
            study=study,
            sequence=CardiacSequence.OTHER,
            view=View.OTHER,
            evidence=Evidence(kind=kind, certain=False),
            network=None,
            header=None,
            crossing=None,
            decision=decision,
            operation=Orientation.IDENTITY,
            reason=reason,
        )

    @property
    def where(self) -> str:
        """Its file, or the folder of its files and how many they are."""
        if len(self.files) == 1:
            return self.files[0]
        folder = posixpath.commonpath([posixpath.dirname(path) for path in self.files])
        return f"{folder or '.'} ({len(self.files)} files)"

    def refused_because(self, reason: str) -> Record:
        """The same stack, of which nothing is turned after all."""
        return self.model_copy(
            update={"decision": REFUSED, "operation": Orientation.IDENTITY, "reason": reason}
        )


def shown_path(path: bytes) -> str:
    """A path as text that every reader of JSON takes: a byte that is not UTF-8 becomes \\xNN."""
    return path.decode("utf-8", "backslashreplace")


def schema() -> dict[str, Any]:
    """JSON Schema of the file ``write_report`` makes: a list of records."""
    found = TypeAdapter(list[Record]).json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Report of cmr-node standardise and recognise",
    } | found


def write_report(records: Iterable[Record], path: Path) -> None:
    """Write all records as one JSON list; ``path`` is whole or as it was before.

    Raises
    ------
    OSError
        ``path`` cannot be written.
    """
    with whole_file(path) as file:
        file.write(b"[")
        for number, record in enumerate(records):
            file.write(b",\n" if number else b"\n")
            file.write(json.dumps(record.model_dump(mode="json", by_alias=True)).encode())
        file.write(b"\n]\n")
