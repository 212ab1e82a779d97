"""The arguments of ``cmr-node standardise`` and ``cmr-node recognise``.

The promise kept here: arguments that would write into SOURCE, or over a result, are refused
before anything is done.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from cmr_node.assemble.sequence import CardiacSequence
from cmr_node.batch.plan import Options
from cmr_node.batch.report import schema
from cmr_node.errors import ConfigurationError
from cmr_node.geometry.standard_view import View
from cmr_node.inference.opening import OpenedInEachProcess
from cmr_node.inference.pixels_alone import HeaderTrust
from cmr_node.inference.runtime import Session
from cmr_node.judgement import Trusting
from cmr_node.outputs.uids import Producer
from cmr_node.settings import Settings

SHEET_NAMES = (".png", ".html")
SEQUENCES = [s for s in CardiacSequence if s is not CardiacSequence.OTHER]
VIEWS = [view for view in View if view is not View.OTHER]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what both commands take."""
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write one record a stack as a JSON list"
    )
    parser.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        help="draw each stack before and after; .png (further pages -2, -3 ...) or .html",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        default=len(os.sched_getaffinity(0)),
        help="processes at work (default: one for each core)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done and write no image"
    )
    parser.add_argument(
        "--header",
        type=HeaderTrust,
        choices=list(HeaderTrust),
        default=HeaderTrust.TRUSTED,
        help="what the headers of this source are worth: trusted (default), untrusted (the "
        "network corrects the pixels alone, once accepted), absent (it corrects them); patient "
        "geometry is then not vouched for",
    )
    parser.add_argument(
        "--accept-network",
        action="store_true",
        help="let the network correct against an untrusted header",
    )
    parser.add_argument(
        "--sequence",
        type=CardiacSequence,
        choices=SEQUENCES,
        help="what the images are where neither header nor file name tells",
    )
    parser.add_argument(
        "--view",
        type=View,
        choices=VIEWS,
        help="which view they show where neither header, name nor geometry tells",
    )
    parser.add_argument(
        "--schema", action=_Schema, nargs=0, help="print the JSON Schema of --json and end"
    )


class _Schema(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *unused: Any) -> None:
        print(json.dumps(schema(), indent=2))
        parser.exit()


def options_of(
    arguments: argparse.Namespace,
    settings: Settings,
    session: Session | None,
    *,
    without_asked: bool,
) -> Options:
    """What was asked for, and the network as it was opened here."""
    policy = settings.standardise
    recognise = None
    if session is not None:
        recognise = OpenedInEachProcess(settings.inference, arguments.workers, session.digest)
    return Options(
        policy=policy,
        producer=Producer(policy.device_serial, policy.station_name),
        trusting=Trusting(
            arguments.header,
            arguments.accept_network,
            recognise,
            session.digest if session else "",
            session.card.thresholds if session else None,
        ),
        sequence=arguments.sequence,
        view=arguments.view,
        without_asked=without_asked,
    )


def source_of(arguments: argparse.Namespace, target: Path | None) -> Path:
    """SOURCE as an absolute path, all arguments checked against each other.

    Raises
    ------
    ConfigurationError
        They cannot be used.
    """
    source: Path = arguments.source
    if not source.exists():
        raise ConfigurationError(f"SOURCE {source} is not there")
    if arguments.workers < 1:
        raise ConfigurationError(f"--workers {arguments.workers}; allowed: 1 or more")
    if arguments.accept_network and arguments.header is not HeaderTrust.UNTRUSTED:
        raise ConfigurationError("--accept-network goes with --header untrusted only")
    sheet = arguments.sheet
    if sheet and sheet.suffix.lower() not in SHEET_NAMES:
        raise ConfigurationError(f"--sheet {sheet}; allowed: a name that ends in .png or .html")
    real = source.resolve()
    for name, path in (("--json", arguments.json), ("--sheet", sheet)):
        if path and not path.resolve().parent.is_dir():
            raise ConfigurationError(f"{name} {path}: there is no folder {path.parent}")
        if path and path.is_dir():
            raise ConfigurationError(f"{name} {path} is a folder; allowed: a file, or a new name")
        if path and real in (path.resolve(), *path.resolve().parents):
            raise ConfigurationError(f"{name} {path} lies in SOURCE, where nothing is written")
        if path and target and _is_result(path.resolve(), real, target.resolve()):
            raise ConfigurationError(f"{name} {path} is where a result goes; allowed: a new name")
    if target is not None:
        _check_apart(real, target)
    return real


def _is_result(path: Path, source: Path, target: Path) -> bool:
    """Whether what is made of a file of the source goes to ``path``."""
    root = source if source.is_dir() else source.parent
    return target in path.parents and (root / path.relative_to(target)).exists()


def _check_apart(source: Path, target: Path) -> None:
    real = target.resolve()
    if target.exists() and not target.is_dir():
        raise ConfigurationError(f"TARGET {target} is a file; allowed: a folder, or a new name")
    folder = source if source.is_dir() else source.parent
    if real == folder or folder in real.parents or real in folder.parents:
        raise ConfigurationError(
            f"TARGET {target} and SOURCE {source} must not lie in each other: nothing is ever "
            "written into a source"
        )
