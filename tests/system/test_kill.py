from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.system


def test_twelve_kills_at_random_lose_nothing_and_double_nothing() -> None:
    """The short form of ``python -m tests.system.kill --kills 200``.

    A process of its own: its sender, pynetdicom's, leaves the sockets of refused connections to
    the garbage collector, whose warnings would fail whatever test runs then.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.system.kill", "--kills", "12", "--seed", "7"],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("12 kills"), done.stdout
    assert ": 0 instances acknowledged" not in done.stdout
