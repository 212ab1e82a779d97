"""A network that cannot be used stops whoever would ask it, before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmr_node.cli import UNUSABLE, main
from tests.inference.networks import network, weights_folder_of


@pytest.mark.parametrize(
    "words",
    [["work-slot", "0"], ["recognise", "source"], ["standardise", "source", "target"]],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("fault", ["damaged", "not there", "no CUDA"])
def test_nothing_starts(
    words: list[str],
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source").mkdir()
    weights = weights_folder_of(tmp_path / "w", network().SerializeToString())
    if fault == "damaged":
        whole = (weights / "small.onnx").read_bytes()
        (weights / "small.onnx").write_bytes(whole[:-1] + b"\xff")
    named = weights if fault != "not there" else tmp_path / "nowhere"
    monkeypatch.setenv("CMR_NODE_INFERENCE_NETWORK", str(named))
    monkeypatch.setenv("CMR_NODE_INFERENCE_DEVICE", "cuda" if fault == "no CUDA" else "cpu")
    monkeypatch.setenv("CMR_NODE_STORAGE_ROOT", str(tmp_path / "root"))
    before = sorted(tmp_path.rglob("*"))
    assert main(words) == UNUSABLE
    said = capsys.readouterr().err
    assert {"damaged": "SHA-256", "not there": "nowhere", "no CUDA": "cuda"}[fault] in said
    assert sorted(tmp_path.rglob("*")) == before
