"""The one command, ``cmr-node``: what can be asked of it, with examples, and its exit codes.

0   done, or everything is well
1   done in part: something was refused, is not well, or was given up
2   the arguments or the settings cannot be used; nothing was done
130 interrupted
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cmr_node import __version__
from cmr_node.commands import check, demo, reindex, retry, roles, send, status
from cmr_node.errors import ConfigurationError, NodeError
from cmr_node.settings import Settings, load
from cmr_node.telemetry import set_up_logging

DONE, PARTLY, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
SYSTEM_SETTINGS = Path("/etc/cmr-node/cmr-node.toml")

EXIT_CODES = """exit codes:
  0    done, or everything is well
  1    done in part: something was refused, is not well, or was given up
  2    the arguments or the settings cannot be used; nothing was done
  130  interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        settings = load(chosen.config)
        set_up_logging(settings.observe.log_format, settings.observe.log_level)
        command: Callable[[argparse.Namespace, Settings], int] = chosen.command
        return command(chosen, settings)
    except ConfigurationError as error:
        print(f"cmr-node: {error}", file=sys.stderr)
        return UNUSABLE
    except NodeError as error:
        print(f"cmr-node: {error}", file=sys.stderr)
        return PARTLY
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
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
    for module in (roles, send, status, retry, check, reindex, demo):
        module.add_to(commands)
    return parser
