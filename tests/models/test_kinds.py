"""Tables of kinds: rows are what is shown, columns what it is taken for."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from models.evaluation import kinds
from models.pool import KINDS, Pool

SHOWN = np.array([0, 0, 0, 0, 4])
TAKEN_FOR = np.array([0, 0, 0, 1, 3])
LOGITS = np.eye(len(KINDS))[TAKEN_FOR]


def test_a_row_adds_to_one_and_kinds_not_shown_have_none() -> None:
    told = kinds.table(LOGITS, SHOWN)
    assert list(told) == ["short_axis", "other"]
    assert told["short_axis"]["pictures"] == 4
    assert told["short_axis"]["short_axis"] == 0.75
    assert told["short_axis"]["above_base"] == 0.25
    assert told["other"]["long_axis"] == 1
    for row in told.values():
        assert sum(share for name, share in row.items() if name != "pictures") == 1


def test_short_axes_are_told_apart_by_what_they_show_of_the_ventricle() -> None:
    masks = np.zeros((5, 128, 128), np.uint8)
    masks[0, :30, :30], masks[1, :30, :30], masks[2, :50, :10], masks[3, :5, :5] = 1, 2, 3, 2
    nothing = np.full((5, 2), np.nan, np.float32)
    pool = Pool(
        images=masks.astype(np.float16),
        masks=masks,
        kind=SHOWN.astype(np.uint8),
        sequence=np.zeros(5, np.uint8),
        right=nothing,
        septal=nothing,
        spacing=np.array([1, 1.5, 1, 1, 1], np.float32),
    )
    told = kinds.known_by_size(LOGITS, pool)
    assert told == {
        "0 to 800 mm2": {"pictures": 2, "known": 0.5},
        "800 to 1500 mm2": {"pictures": 1, "known": 1.0},
        "1500 to inf mm2": {"pictures": 1, "known": 1.0},
    }
