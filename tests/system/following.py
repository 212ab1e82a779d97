"""A running node followed through its index, which costs far less than a process per look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from cmr_node.dicom.part10 import read_meta
from cmr_node.settings import Settings
from cmr_node.store.database import Database
from cmr_node.store.files import Files
from cmr_node.store.overview import Overview
from tests.peers import wait_until
from tests.raw_scu import RawScu
from tests.samples import data_set_bytes
from tests.system.node import Node, running_node

FINISH_S = 90.0

Message = tuple[str, str, str, bytes]
"""SOP class, transfer syntax to announce, SOP instance, data set."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A node, and the index it writes."""

    node: Node
    overview: Overview

    def study(self, uid: str) -> dict[str, Any] | None:
        """What ``status --json`` says of one study, read from the index."""
        found = self.overview.studies(1, uid)
        return asdict(found[0]) if found else None

    def at(self, uid: str, *states: str, deliveries: Sequence[str] = ("delivered",)) -> bool:
        """Whether the study is in one of the states and its deliveries are too."""
        study = self.study(uid)
        return (
            study is not None
            and study["state"] in states
            and all(delivery["state"] in deliveries for delivery in study["deliveries"])
        )

    def finish(self, uid: str) -> dict[str, Any]:
        """Wait until the study is done and delivered; gives it."""
        wait_until(lambda: self.at(uid, "done", "failed"), f"study {uid} is done", FINISH_S)
        study = self.study(uid)
        assert study is not None
        assert study["state"] == "done", study["error"]
        return study

    def stored(self, sop_instance_uid: str) -> bytes:
        """The data set of an instance as it lies in the store."""
        path = Files(self.node.settings.storage.root).path_of(sop_instance_uid)
        return body_of(path)

    def holds(self, sop_instance_uid: str) -> bool:
        """Whether the instance has its file."""
        return Files(self.node.settings.storage.root).path_of(sop_instance_uid).exists()

    def said(self) -> str:
        """The log so far."""
        return self.node.log.read_text(errors="replace")


@contextmanager
def followed_node(folder: Path, settings: Settings) -> Iterator[Followed]:
    """As ``running_node``."""
    with running_node(folder, settings) as node:
        database = Database.open(settings.storage.index_url)
        try:
            yield Followed(node, Overview(database))
        finally:
            database.close()


def body_of(path: Path) -> bytes:
    """The data set of a DICOM file, as it lies there."""
    whole = path.read_bytes()
    return whole[read_meta(whole).offset :]


def message(ds: Dataset, announced: str = "") -> Message:
    """The data set as it is to go out; ``announced`` is another syntax than its own."""
    syntax = announced or str(ds.file_meta.TransferSyntaxUID)
    return str(ds.SOPClassUID), syntax, str(ds.SOPInstanceUID), data_set_bytes(ds)


def send_raw(port: int, messages: Iterable[Message]) -> list[int]:
    """C-STORE over one association, each in its own context; gives the statuses."""
    waiting = list(messages)
    contexts = list(dict.fromkeys((sop_class, syntax) for sop_class, syntax, _, _ in waiting))
    with RawScu(port) as scu:
        assert scu.associate([(sop_class, [syntax]) for sop_class, syntax in contexts]) == 2
        statuses = [
            scu.store(2 * contexts.index((sop_class, syntax)) + 1, sop_class, uid, body)
            for sop_class, syntax, uid, body in waiting
        ]
        assert scu.release() == 6
    return statuses
