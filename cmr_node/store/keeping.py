"""What the node itself made, put beside what it was sent.

The promise kept here: when ``keep`` returns, the instance is durable and in the index, and what
lies under its UID is what was handed in; the same again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cmr_node.errors import InconsistentInstance
from cmr_node.store.files import Files, Kept
from cmr_node.store.index import Index


@dataclass(frozen=True, slots=True)
class Keeping:
    """The store as a place for own products; ``ae_title`` stands for who sent them."""

    files: Files
    index: Index
    ae_title: str
    now: Callable[[], datetime]

    def keep(self, part10: bytes) -> str:
        """Store one Part 10 file; its SOP Instance UID.

        Raises
        ------
        InconsistentInstance
            Other content is stored under its UID.
        BadInstance
            It is no Part 10 file.
        StoreBroken
            The disk answered with an error.
        """
        kept, arrival = self.files.write_file(part10, self.now(), self.ae_title)
        self.index.register([arrival])
        uid = arrival.header.sop_instance_uid
        if kept is Kept.ASIDE:
            raise InconsistentInstance(
                f"other content is stored under the UID of its derived instance, {uid}"
            )
        return uid
