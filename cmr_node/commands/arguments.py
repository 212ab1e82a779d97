"""How a command is added to the parser: one sentence, its examples, its exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

from cmr_node.settings import Settings

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

Command = Callable[[argparse.Namespace, Settings], int]


def add_command(
    commands: Commands, name: str, command: Command, summary: str, examples: str
) -> argparse.ArgumentParser:
    """Add ``cmr-node NAME``.

    Parameters
    ----------
    examples
        Shown under ``--help``, as they are to be typed.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog="examples:\n" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser
