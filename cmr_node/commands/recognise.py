"""``cmr-node recognise``: say how the images of a folder are stored, and change nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.commands.folder import run_over
from cmr_node.commands.folder_arguments import add_options
from cmr_node.settings import Settings


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "recognise",
        recognise,
        "Say of every stack below SOURCE how it is stored and what standardise would do with it; "
        "nothing is written but the report.",
        "  cmr-node recognise study/\n"
        "  cmr-node recognise study/ --json report.json --sheet sheet.png\n"
        "  cmr-node recognise --sequence lge --view sax volumes/",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder, or one file")
    add_options(parser)


def recognise(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run over SOURCE and report."""
    return run_over(arguments, settings, None, without_asked=False)
