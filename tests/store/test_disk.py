"""Free space against the marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmr_node.errors import StoreBroken
from cmr_node.settings import Storage
from cmr_node.store.disk import Disk, DiskState, disk_state, free_bytes


@pytest.mark.parametrize(
    ("free", "state"),
    [
        (0, DiskState.HARD),
        (9, DiskState.HARD),
        (10, DiskState.SOFT),
        (19, DiskState.SOFT),
        (20, DiskState.OK),
        (1 << 50, DiskState.OK),
    ],
)
def test_the_marks_themselves_still_count_as_enough(free: int, state: DiskState) -> None:
    assert disk_state(free, Storage(soft_free_bytes=20, hard_free_bytes=10)) is state


def test_the_disk_is_asked_again_only_after_a_second() -> None:
    answers, now = [30, 15, 5], [0.0]
    disk = Disk(
        Storage(soft_free_bytes=20, hard_free_bytes=10),
        free=lambda folder: answers.pop(0),
        clock=lambda: now[0],
    )
    seen = []
    for now[0] in (0.0, 0.5, 1.0, 1.1, 2.0, 2.2):
        seen.append(disk.state())
    assert seen == [DiskState.OK] * 3 + [DiskState.SOFT] * 2 + [DiskState.HARD]


def test_a_folder_that_is_gone_is_a_broken_store(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
    with pytest.raises(StoreBroken, match="free space"):
        free_bytes(tmp_path / "gone")
