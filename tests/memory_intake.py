"""A stand-in for the store: keeps data sets in memory, and fails on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum

from cmr_node.errors import NodeError


class Kept(Enum):
    STORED = "stored"
    ALREADY = "already"
    ASIDE = "aside"


class MemoryIntake:
    """``kept`` maps SOP Instance UID to (class, transfer syntax, calling AE, data set).

    ``fail`` names the call ("begin", "write" or "keep") that raises ``error``; ``hold`` is
    waited for before anything is kept.
    """

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, str, str, bytes]] = {}
        self.discarded: list[str] = []
        self.largest_fragment = 0
        self.fail: dict[str, NodeError | Exception] = {}
        self.hold: threading.Event | None = None
        self.keeping = threading.Event()
        self.tap: Callable[[str], None] = lambda step: None

    def begin(
        self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, calling_ae: str
    ) -> MemoryReception:
        self.step("begin")
        return MemoryReception(
            self, sop_instance_uid, (sop_class_uid, transfer_syntax_uid, calling_ae)
        )

    def step(self, name: str) -> None:
        self.tap(name)
        if name in self.fail:
            raise self.fail[name]


class MemoryReception:
    def __init__(self, intake: MemoryIntake, uid: str, rest: tuple[str, str, str]) -> None:
        self.intake, self.uid, self.rest = intake, uid, rest
        self.parts: list[bytes | memoryview] = []

    def write(self, fragment: bytes | memoryview) -> None:
        self.intake.step("write")
        self.intake.largest_fragment = max(self.intake.largest_fragment, len(fragment))
        self.parts.append(fragment)  # kept as it is: the caller must never change it

    def keep(self) -> Kept:
        self.intake.keeping.set()
        if self.intake.hold is not None:
            self.intake.hold.wait(20)
        self.intake.step("keep")
        data = b"".join(self.parts)
        known = self.intake.kept.get(self.uid)
        if known is None:
            self.intake.kept[self.uid] = (*self.rest, data)
            return Kept.STORED
        return Kept.ALREADY if known[3] == data else Kept.ASIDE

    def discard(self) -> None:
        self.intake.discarded.append(self.uid)
