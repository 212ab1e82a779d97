"""``assemble``: when new work may start, and who is told."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cmr_node.commands.assemble import RoomForWork
from cmr_node.settings import Storage
from cmr_node.store.disk import Disk

STORAGE = Storage(root=Path("nowhere"), soft_free_bytes=100, hard_free_bytes=10)


def test_only_enough_room_starts_work_and_each_change_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = iter(range(0, 1000, 2))  # seconds; the disk is asked anew each time
    free = [500]
    disk = Disk(STORAGE, free=lambda folder: free[0], clock=lambda: next(clock))
    room = RoomForWork(disk)
    told: list[str] = []
    with caplog.at_level(logging.INFO):
        for now_free, may in (
            (500, True),
            (99, False),
            (98, False),
            (9, False),
            (50, False),
            (100, True),
            (500, True),
        ):
            free[0] = now_free
            assert room() is may
            told += [record.getMessage() for record in caplog.records]
            caplog.clear()
    assert told == [
        "99 bytes are free, less than storage.soft_free_bytes: no new work is started",
        "9 bytes are free, less than storage.hard_free_bytes: nothing is received",
        "50 bytes are free, less than storage.soft_free_bytes: no new work is started",
        "100 bytes are free: new work is started again",
    ]
