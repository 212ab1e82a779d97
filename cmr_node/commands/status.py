"""``cmr-node status``: studies, stacks, decisions and deliveries, for people or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.dicom.sop_classes import class_name
from cmr_node.settings import Settings
from cmr_node.store.database import Database
from cmr_node.store.next_best import Capabilities, Taken
from cmr_node.store.overview import Overview, StudyOverview

COLOURS = {"act": "green", "leave": "dim", "ask": "yellow", "refused": "red"}


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "status",
        status,
        "Show the studies, what was decided for their stacks, and what reached whom.",
        "  cmr-node status\n"
        "  cmr-node status --study 1.2.840.113619.2.1 --json\n"
        "  cmr-node status --limit 500 --json | jq '.studies[] | select(.state==\"failed\")'",
    )
    parser.add_argument("--study", metavar="UID", help="only this Study Instance UID")
    parser.add_argument("--limit", type=int, default=20, help="newest studies shown (default: 20)")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def status(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the state of the node; 1 if a study failed or a delivery was given up."""
    database = Database.open(settings.storage.index_url)
    try:
        overview = Overview(database)
        studies = overview.studies(arguments.limit, arguments.study)
        dead = overview.dead_letters()
        capabilities = Capabilities(database).known()
        if arguments.json:
            document = _document(overview, studies, capabilities)
            print(json.dumps(document, default=_text, indent=2))
        else:
            _show(studies, overview.totals(), dead, capabilities)
    finally:
        database.close()
    return 1 if dead or any(study.state == "failed" for study in studies) else 0


def _document(
    overview: Overview, studies: list[StudyOverview], capabilities: list[Taken]
) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC),
        "totals": overview.totals(),
        "dead_letters": overview.dead_letters(),
        "backlog": [
            {"destination": destination, "instances": count, "since": since}
            for destination, count, since in overview.backlog()
        ],
        "capabilities": [
            {**asdict(one), "sop_class": class_name(one.sop_class_uid)} for one in capabilities
        ],
        "studies": [asdict(study) for study in studies],
    }


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in the status document")


def _show(
    studies: list[StudyOverview],
    totals: dict[str, int],
    dead: int,
    capabilities: list[Taken],
) -> None:
    console = Console(highlight=False)
    for study in studies:
        console.print(_heading(study))
        if study.error:
            console.print(f"  [red]{escape(study.error)}[/red]")
        for stack in study.stacks:
            for line in _stack(stack):
                console.print(line)
        for delivery in study.deliveries:
            console.print("  " + _delivery(delivery))
    for line in _refused_classes(capabilities):
        console.print(line)
    console.print(
        f"{totals['studies']} studies, {totals['instances']} instances, "
        f"{totals['bytes'] / 1e6:.1f} MB; {totals['aside']} kept aside, {dead} dead letters"
    )


def _refused_classes(capabilities: list[Taken]) -> Iterator[str]:
    """A line for each destination that does not take everything; ``--json`` has what it takes."""
    refused: dict[str, list[str]] = {}
    for one in capabilities:
        if not one.taken:
            said = f"{escape(class_name(one.sop_class_uid))} ({one.learned_at:%Y-%m-%d})"
            refused.setdefault(one.destination, []).append(said)
    for destination, classes in refused.items():
        yield f"{destination} does not take [yellow]{', '.join(classes)}[/yellow]"


def _heading(study: StudyOverview) -> str:
    text = (
        f"[bold]{study.study_instance_uid}[/bold]  {study.state}, version {study.version}, "
        f"{study.instances} instances, last {study.last_received_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    if study.reason:
        text += f", complete: {escape(study.reason)}"
    if study.aside:
        text += f"  [yellow]{study.aside} with other content kept aside[/yellow]"
    return text


def _stack(stack: dict[str, Any]) -> list[RenderableType]:
    """What a stack is and what was decided; below it, indented, why and what is odd."""
    colour = COLOURS.get(stack["decision"], "white")
    done = "" if stack["operation"] == "identity" else f" {stack['operation']}"
    heading = (
        f"  [{colour}]{stack['decision']}{done}[/{colour}]  {escape(stack['sequence'])}, view "
        f"{escape(stack['view'])}, {stack['slices']} slices, {stack['phases']} phases"
    )
    lines: list[RenderableType] = [heading, Padding(escape(stack["reason"]), (0, 0, 0, 6))]
    if odd := _findings(stack["evidence"]):
        lines.append(Padding(f"[yellow]odd:[/yellow] {escape(odd)}", (0, 0, 0, 6)))
    results = stack["evidence"].get("results", {})
    if made := results.get("made"):
        lines.append(Padding(f"made: {escape(', '.join(sorted(made)))}", (0, 0, 0, 6)))
    for name, reason in sorted(results.get("not_made", {}).items()):
        lines.append(Padding(f"[yellow]no {escape(name)}:[/yellow] {escape(reason)}", (0, 0, 0, 6)))
    return lines


def _findings(evidence: dict[str, Any]) -> str:
    """The kinds of what is odd about a stack, each once; ``--json`` has them in words."""
    return ", ".join(dict.fromkeys(found["kind"] for found in evidence.get("findings", ())))


def _delivery(delivery: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in sorted(delivery["instances"].items()))
    text = f"to {delivery['destination']}: {delivery['state']} ({counts})"
    if delivery["error"]:
        text += f", {escape(delivery['error'])}"
    if delivery["state"] == "pending" and delivery["failures"]:
        text += f"; {delivery['failures']} failed, next {delivery['next_attempt_at']:%H:%M:%S} UTC"
    return text
