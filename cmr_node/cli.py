"""The one command, ``cmr-node``: what can be asked of it, with examples, and its exit codes.

Only the module of the command that was asked for is imported: the door in holds no queue engine
in memory, and ``cmr-node status`` starts at once.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cmr_node import __version__
from cmr_node.commands.arguments import EXIT_CODES
from cmr_node.errors import ConfigurationError, NodeError
from cmr_node.settings import Settings, load
from cmr_node.telemetry import set_up_logging

logger = logging.getLogger(__name__)

DONE, PARTLY, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
SYSTEM_SETTINGS = Path("/etc/cmr-node/cmr-node.toml")

COMMANDS = {
    "serve": "run the whole node: every role under one supervisor",
    "receive": "run the door in alone",
    "assemble": "run the watch for complete studies alone",
    "work": "run the workers alone",
    "deliver": "run the door out alone",
    "standardise": "bring a folder of DICOM, NIfTI and MHA to the standard view",
    "recognise": "say how the images of a folder are stored, change nothing",
    "send": "send files and folders to an AE",
    "status": "show studies, stacks, decisions and deliveries",
    "retry": "try again what was given up",
    "check": "check settings, database, disk, models and peers; say what to mend",
    "reindex": "rebuild the index from the files",
    "phantom": "simulate studies with known truth, and write them as DICOM",
    "demo": "simulate a study, send it through a node, show what comes back",
}
"""Each is a module of ``cmr_node.commands``, with ``add_to``."""

FOR_ITSELF = ("work-slot",)
"""Commands that only the node gives itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is spelt
            stream.reconfigure(errors="backslashreplace")
    try:
        chosen = _parser(words).parse_args(words)
        settings = load(chosen.config)
        set_up_logging(settings.observe.log_format, settings.observe.log_level)
        command: Callable[[argparse.Namespace, Settings], int] = chosen.command
        return command(chosen, settings)
    except ConfigurationError as error:
        print(f"cmr-node: {error}", file=sys.stderr)
        return UNUSABLE
    except NodeError as error:
        print(f"cmr-node: {error}", file=sys.stderr)
        return INTERRUPTED if _came_of_interrupt(error) else PARTLY
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        # In the log's words: those of a library's error may quote a header.
        logger.exception("cmr-node ended by a fault")
        return INTERRUPTED if _came_of_interrupt(error) else PARTLY


def _came_of_interrupt(error: BaseException | None) -> bool:
    """Whether somebody interrupted, and what was cut off went wrong on its way out."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for these words: whole for the command among them, names for the others."""
    parser = argparse.ArgumentParser(
        prog="cmr-node",
        description="A PACS node that brings cardiac MR studies to the standard view.",
        epilog="cmr-node COMMAND --help explains each by example.\n\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cmr-node {__version__}")
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=SYSTEM_SETTINGS if SYSTEM_SETTINGS.exists() else None,
        help=f"TOML settings file (default: {SYSTEM_SETTINGS} if it is there); "
        "CMR_NODE_<SECTION>_<NAME> from the environment goes on top",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    asked = _asked(words)
    for name, summary in COMMANDS.items():
        if name != asked:
            commands.add_parser(name, help=summary)
    if asked is not None:
        module = importlib.import_module(f"cmr_node.commands.{asked.replace('-', '_')}")
        module.add_to(commands)
    return parser


def _asked(words: Sequence[str]) -> str | None:
    """The command among the words, if there is one."""
    for before, word in zip(("", *words), words, strict=False):
        if before != "--config" and (word in COMMANDS or word in FOR_ITSELF):
            return word
    return None
