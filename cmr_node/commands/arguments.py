"""How a command is added to the parser: one sentence, its examples, its exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

from cmr_node.settings import Settings

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

EXIT_CODES = """exit codes:
  0    done, or everything is well
  1    done in part: something was refused, is not well, or was given up
  2    the arguments or the settings cannot be used; nothing was done
  130  interrupted
"""

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
        epilog=f"examples:\n{examples}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser
