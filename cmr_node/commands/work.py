"""``cmr-node work``: the workers alone."""

from __future__ import annotations

import argparse

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.commands.node_gauges import NodeGauges
from cmr_node.commands.queue import open_jobs
from cmr_node.commands.running import (
    UNUSABLE,
    command_line,
    health_page,
    only_one,
    open_database,
    until_told,
)
from cmr_node.inference.builds import installed_build
from cmr_node.jobs.slots import executor_name, run_slots
from cmr_node.settings import Settings
from cmr_node.telemetry import collecting


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "work",
        work,
        "Run the workers alone; on as many hosts as there are, with PostgreSQL.",
        "  cmr-node work             as many as work.slots says\n"
        "  cmr-node work --slots 4   four jobs at once on this host",
    )
    parser.add_argument("--slots", type=int, metavar="N", help="jobs at once, one process each")


def work(arguments: argparse.Namespace, settings: Settings) -> int:
    """Keep the slots at work until SIGTERM."""
    installed_build()
    slots = arguments.slots or settings.work.slots
    command = command_line(arguments)
    children = {
        executor_name("work", number): (*command, "work-slot", str(number), "--of", str(slots))
        for number in range(slots)
    }
    with (
        only_one(settings, "work"),
        until_told() as stop,
        open_database(settings) as database,
        open_jobs(settings) as jobs,
        collecting(NodeGauges(database, jobs)),
        health_page(settings, "work"),
    ):
        run_slots(settings.storage.queue_url, children, settings.work, stop, fatal=UNUSABLE)
    return 0
