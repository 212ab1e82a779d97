"""``status``: what people are shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cmr_node import cli
from cmr_node.dicom.header import Header
from cmr_node.store.arrival import Arrival
from cmr_node.store.database import Database
from cmr_node.store.index import Index, StudyVersion
from cmr_node.store.ledger import Ledger, StackRecord

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STUDY = "1.2.3"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a node with a study of one turned and one refused stack."""
    path = tmp_path / "cmr-node.toml"
    path.write_text(f'[storage]\nroot = "{tmp_path}"\n')
    database = Database.open(f"sqlite:///{tmp_path / 'index.sqlite'}")
    index = Index(database)
    header = Header("1.2.3.1", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1", STUDY, "1.2.3.9")
    index.register([Arrival(header, "00", 10, NOW, "SCANNER", False)])
    number = index.open_studies()[0].last_number
    version = index.complete(STUDY, "proven", NOW, number)
    Ledger(database).finish(
        StudyVersion(STUDY, version),
        [stack("act", "gap", "gap", "missing_phases"), stack("refused")],
        {},
        NOW,
    )
    database.close()
    return path


def stack(decision: str, *findings: str) -> StackRecord:
    evidence: dict[str, Any] = {"kind": "plain"}
    if findings:
        evidence["findings"] = [{"kind": kind, "text": f"[{kind}] in words"} for kind in findings]
        evidence["results"] = {"made": {"report": "2.25.1"}, "not_made": {"page": "no [time]"}}
    return StackRecord("cine", "sax", ["1.2.3.9"], 2, 3, decision, "identity", "why", evidence)


def test_each_stack_says_what_was_decided_why_what_is_odd_and_what_was_made(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["--config", str(config), "status"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    act = lines.index("act  cine, view sax, 2 slices, 3 phases")
    assert lines[act + 1 : act + 5] == [
        "why",
        "odd: gap, missing_phases",
        "made: report",
        "no page: no [time]",
    ]
    refused = lines.index("refused  cine, view sax, 2 slices, 3 phases")
    assert lines[refused + 1] == "why"


def test_json_has_the_findings_in_words(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--config", str(config), "status", "--json"]) == 0
    assert "[missing_phases] in words" in capsys.readouterr().out
