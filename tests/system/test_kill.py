from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.kill import kill_and_count

# The sender is pynetdicom's: it leaves the socket of a refused connection to the collector.
pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_twelve_kills_at_random_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """The short form of ``python -m tests.system.kill --kills 200``."""
    outcome = kill_and_count(tmp_path, kills=12, seed=7)
    assert outcome.clean, outcome
    assert outcome.acknowledged > 0
    assert sum(outcome.kills.values()) == 12
