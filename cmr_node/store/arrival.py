"""What the store tells the index about one instance that became durable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cmr_node.dicom.header import Header


@dataclass(frozen=True, slots=True)
class Arrival:
    """One instance that is durable on disk.

    ``digest`` is the SHA-256 (hex) of the data set as sent, without preamble and file meta
    information; ``aside`` marks other content under a known SOP Instance UID, kept beside it.
    """

    header: Header
    digest: str
    size_bytes: int
    received_at: datetime
    calling_ae: str
    aside: bool = False
