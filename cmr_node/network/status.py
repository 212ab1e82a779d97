"""DIMSE statuses by name, and what each answer of a peer means for a delivery.

The promise kept here: every status from 0x0000 to 0xFFFF has exactly one meaning, each row names
its table in the Standard, and what is not in any table is refused rather than believed.

    DELIVERED   the peer has the instance; done
    RETRY       not now: the same object may be taken later
    REFUSED     not this object, or not from us: sending it again unchanged would not help

Sources: PS3.7 Annex C (general statuses), PS3.4 Tables B.2-1 and GG.4-1 (C-STORE),
PS3.7 9.1.1.1.9 (which of the general ones a C-STORE-RSP may carry).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Status(IntEnum):
    """The statuses this node answers with."""

    SUCCESS = 0x0000  #: PS3.7 Annex C
    DUPLICATE_SOP_INSTANCE = 0x0111  #: PS3.7 Annex C; by policy, for known UID with other content
    PROCESSING_FAILURE = 0x0110  #: PS3.7 Annex C; a fault of this node
    INVALID_SOP_INSTANCE = 0x0117  #: PS3.7 Annex C; a UID that is none, such as "../x"
    OUT_OF_RESOURCES = 0xA700  #: PS3.4 Table B.2-1; disk full or broken, worth another attempt
    DATA_SET_DOES_NOT_MATCH = 0xA900  #: PS3.4 Table B.2-1; data set contradicts the command
    CANNOT_UNDERSTAND = 0xC000  #: PS3.4 Table B.2-1; no data set, or past the reader's limits
    ELEMENTS_DISCARDED = 0xB006  #: PS3.4 Table B.2-1; never sent by this node
    DATA_SET_DOES_NOT_MATCH_WARNING = 0xB007  #: PS3.4 Table B.2-1; kept beside the first content


class Meaning(Enum):
    """What a C-STORE answer means for the queue."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: statuses ``first`` to ``last``, both included."""

    first: int
    last: int
    meaning: Meaning
    text: str
    source: str


TABLE: tuple[Row, ...] = (
    Row(0x0000, 0x0000, Meaning.DELIVERED, "success", "PS3.7 Annex C"),
    Row(0x0001, 0x0001, Meaning.DELIVERED, "success with warning", "PS3.7 Annex C"),
    Row(0x0105, 0x0106, Meaning.REFUSED, "attribute or its value not taken", "PS3.7 Annex C"),
    Row(0x0107, 0x0107, Meaning.DELIVERED, "attribute list warning", "PS3.7 Annex C"),
    Row(0x0110, 0x0110, Meaning.RETRY, "processing failure", "PS3.7 Annex C"),
    Row(
        0x0111, 0x0111, Meaning.DELIVERED, "duplicate SOP instance: there already", "PS3.7 Annex C"
    ),
    Row(0x0112, 0x0115, Meaning.REFUSED, "no such instance, event, or argument", "PS3.7 Annex C"),
    Row(0x0116, 0x0116, Meaning.DELIVERED, "attribute value out of range", "PS3.7 Annex C"),
    Row(0x0117, 0x0117, Meaning.REFUSED, "invalid SOP instance", "PS3.7 Annex C"),
    Row(0x0118, 0x0123, Meaning.REFUSED, "SOP class or action not supported", "PS3.7 Annex C"),
    Row(0x0124, 0x0124, Meaning.REFUSED, "not authorised", "PS3.7 Annex C"),
    Row(0x0210, 0x0210, Meaning.RETRY, "duplicate invocation", "PS3.7 Annex C"),
    Row(0x0211, 0x0212, Meaning.REFUSED, "operation unrecognised or mistyped", "PS3.7 Annex C"),
    Row(0x0213, 0x0213, Meaning.RETRY, "resource limitation", "PS3.7 Annex C"),
    Row(0xA700, 0xA7FF, Meaning.RETRY, "out of resources", "PS3.4 B.2-1"),
    Row(0xA900, 0xA9FF, Meaning.REFUSED, "data set does not match SOP class", "PS3.4 B.2-1"),
    Row(0xB000, 0xBFFF, Meaning.DELIVERED, "stored, with a warning", "PS3.4 B.2-1, PS3.7 Annex C"),
    Row(0xC000, 0xCFFF, Meaning.REFUSED, "cannot understand", "PS3.4 B.2-1"),
    Row(0xFE00, 0xFE00, Meaning.RETRY, "cancelled", "PS3.7 Annex C"),
    Row(0xFF00, 0xFF01, Meaning.RETRY, "pending, which ends no C-STORE", "PS3.7 Annex C"),
)
UNLISTED = (Meaning.REFUSED, "status in no table of the Standard")


def row_of(status: int) -> Row | None:
    """The row of ``TABLE`` that holds ``status``; None if it is in no table.

    Raises
    ------
    ValueError
        ``status`` is no 16-bit number.
    """
    if not 0 <= status <= 0xFFFF:
        raise ValueError(f"a DIMSE status is 0 to 0xFFFF, found {status}")
    for row in TABLE:
        if row.first <= status <= row.last:
            return row
    return None


def meaning_of(status: int) -> Meaning:
    """What a C-STORE-RSP with ``status`` means for the instance sent."""
    row = row_of(status)
    return row.meaning if row else UNLISTED[0]


def describe(status: int) -> str:
    """``status`` in words, such as "0xA700 out of resources"."""
    row = row_of(status)
    return f"0x{status:04X} {row.text if row else UNLISTED[1]}"
