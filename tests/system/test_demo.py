from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system


def test_the_demonstration_brings_every_view_back_with_outlines_and_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CMR_NODE_INFERENCE_NETWORK")  # as its user sees it
    folder = tmp_path / "demo"
    command = [sys.executable, "-m", "cmr_node", "demo", "--folder", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("yes") == 7
    for picture in ("before-after.png", "results.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")
    for words in ("2 Segmentation Storage", "1 Comprehensive 3D SR Storage", "LV mass"):
        assert words in done.stdout
    again = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert again.returncode == 2
    assert "exists" in again.stderr
