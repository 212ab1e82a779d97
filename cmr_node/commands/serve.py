"""``cmr-node serve``: every role under one supervisor.

The promise kept here: each role is a process that may be killed at any moment and started again;
between two roles lies nothing but the index, the queue and the files.
"""

from __future__ import annotations

import argparse

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.commands.running import UNUSABLE, command_line
from cmr_node.settings import Settings
from cmr_node.store.database import Database
from cmr_node.supervisor import Role
from cmr_node.supervisor import serve as supervise

WORK_GRACE_S = 40.0
"""Longer than the workers themselves wait for a running job when they are told to stop."""


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    add_command(
        commands,
        "serve",
        serve,
        "Run the whole node: every role in a process of its own, restarted when it dies.",
        "  cmr-node serve\n"
        "  cmr-node --config /etc/cmr-node/cmr-node.toml serve\n"
        "  CMR_NODE_RECEIVE_PORT=104 cmr-node serve\n"
        "  kill -TERM <pid>         stops the roles in order; what is unfinished goes on later",
    )


def serve(arguments: argparse.Namespace, settings: Settings) -> int:
    """Supervise all roles until SIGTERM; 0 if all stopped in time."""
    Database.open(settings.storage.index_url).close()
    command = command_line(arguments)
    roles = [
        Role("receive", (*command, "receive")),
        Role("assemble", (*command, "assemble")),
        Role("work", (*command, "work"), grace_s=WORK_GRACE_S),
        Role("deliver", (*command, "deliver")),
    ]
    return supervise(roles, fatal=UNUSABLE)
