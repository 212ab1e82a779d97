"""``cmr-node standardise``: bring a folder of DICOM, NIfTI and MHA to the standard view."""

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
        "standardise",
        standardise,
        "Bring every stack below SOURCE to the standard view, in TARGET, which gets the same "
        "tree. Stacks that are left or asked are copied unchanged; SOURCE is never touched. "
        "An interrupted run is gone on with by the same command.",
        "  cmr-node standardise study/ standard/\n"
        "  cmr-node standardise study/ standard/ --json report.json --sheet sheet.html\n"
        "  cmr-node standardise --dry-run study/ standard/\n"
        "  cmr-node standardise --sequence cine --view sax volumes/ standard/\n"
        "  cmr-node standardise --header absent --without-asked converted/ standard/",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder, or one file")
    parser.add_argument("target", type=Path, metavar="TARGET", help="folder; made if need be")
    add_options(parser)
    parser.add_argument(
        "--without-asked",
        action="store_true",
        help="leave out of TARGET the stacks that were asked or refused",
    )


def standardise(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run over SOURCE and write TARGET."""
    return run_over(arguments, settings, arguments.target, without_asked=arguments.without_asked)
