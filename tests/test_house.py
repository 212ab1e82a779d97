"""The documents say what the code does: checked, so that they cannot fall behind."""

from __future__ import annotations

import re
from pathlib import Path

from cmr_node import cli
from cmr_node.network.status import TABLE

TOP = Path(__file__).parents[1]


def test_every_command_is_in_the_readme() -> None:
    readme = (TOP / "README.md").read_text()
    for name in cli.COMMANDS:
        assert f"`{name}" in readme or f"cmr-node {name}" in readme, name


def test_every_metric_is_in_the_operations_guide_and_every_one_there_exists() -> None:
    code = "".join(path.read_text() for path in (TOP / "cmr_node").rglob("*.py"))
    made = set(re.findall(r'"(cmr_node_[a-z_]+)"', code))
    told = set(re.findall(r"\b(cmr_node_[a-z_]+)\b", (TOP / "deploy/OPERATIONS.md").read_text()))
    assert made == told


def test_every_status_is_in_the_conformance_statement_with_its_meaning() -> None:
    text = (TOP / "deploy/CONFORMANCE.md").read_text()
    for row in TABLE:
        span = f"{row.first:04X}" + (f"-{row.last:04X}" if row.last != row.first else "")
        assert f"| {span} | {row.meaning.value} | {row.text} |" in text


def test_every_module_is_short_enough_to_be_read() -> None:
    for path in (TOP / "cmr_node").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 420, path
