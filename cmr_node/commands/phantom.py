"""``cmr-node phantom``: simulated studies of as many patients as wanted, truth beside them.

The promise kept here: OUT holds what was asked for and nothing else, and the same words give the
same files again, whatever the number of workers.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.phantom.case import Case, write_case
from cmr_node.phantom.dicom.vendors import Vendor
from cmr_node.phantom.faults import Fault, FaultKind
from cmr_node.phantom.plan import Plan
from cmr_node.phantom.schedule import Scanner, schedule
from cmr_node.phantom.sheet import contact_sheet
from cmr_node.phantom.study import instances
from cmr_node.settings import Settings

ALL, ANY = "all", "any"
SMALLEST = 16  #: columns
FIELD_OF_VIEW = 358.4  #: mm, along the rows
VENDORS = (Vendor.SIEMENS, Vendor.GE, Vendor.PHILIPS)


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "phantom",
        phantom,
        "Simulate cardiac MR studies with known truth, as scanners of three vendors write them.",
        "  cmr-node phantom out\n"
        "  cmr-node phantom out --patients 20 --seed 100 --vendor all --field 3 --workers 4\n"
        "  cmr-node phantom out --fault unlogged:rot90cw@cine_sax --fault late@lge_sax\n"
        "  cmr-node phantom out --patients 8 --turn any\n"
        "  cmr-node phantom out --fault dropped:2 --fault duplicated:1@t2_sax"
        " --fault unplaced@t1_sax",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder; must be new or empty")
    parser.add_argument(
        "--patients", type=_count, default=1, metavar="N", help="how many (default: 1)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="S",
        help="of the first patient; the next has S + 1 (default: 1)",
    )
    parser.add_argument(
        "--vendor",
        choices=[*VENDORS, ALL],
        default=Vendor.SIEMENS,
        help="whose scanner; all: each patient by each (default: siemens)",
    )
    parser.add_argument(
        "--field", type=float, choices=[1.5, 3.0], default=1.5, help="tesla (default: 1.5)"
    )
    parser.add_argument(
        "--turn",
        type=_turn,
        default=0.0,
        metavar="DEG",
        help="by how much the short axis is planned turned in its plane, clockwise; any: each "
        "patient by an angle of its own, from the whole circle (default: 0)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        type=_fault,
        default=[],
        metavar="NAME[:VALUE][@SERIES]",
        help=f"{', '.join(FaultKind)}; VALUE is an operation or a number of slices, SERIES for "
        "example cine_sax, cine_4ch, lge_sax, psir_sax, t2_sax, t1_sax, or all "
        "(default: cine_sax); may be given many times",
    )
    parser.add_argument("--slices", type=_count, default=11, help="of the short axis (default: 11)")
    parser.add_argument("--phases", type=_count, default=25, help="of each cine (default: 25)")
    parser.add_argument(
        "--matrix",
        type=_columns,
        default=256,
        metavar="COLUMNS",
        help="of a cine; the field of view stays (default: 256)",
    )
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help="processes at once (default: 1)"
    )


def phantom(arguments: argparse.Namespace, settings: Settings) -> int:
    """Write the studies and the contact sheet; 2 if OUT holds something or a fault cannot be."""
    out: Path = arguments.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return _refused(f"{out} holds something; OUT must be new or empty")
    plans = list(_plans(arguments))
    try:
        # Faults are ordered alike for all patients, so each has as many images.
        images = sum(instances(plan, schedule(plan)) for plan in plans[0])
    except ValueError as error:
        return _refused(str(error))
    out.mkdir(parents=True, exist_ok=True)
    console = Console(highlight=False)
    began = time.monotonic()
    cases = []
    with _progress(console) as progress:
        task = progress.add_task("simulating studies", total=images * len(plans))
        if arguments.workers == 1:
            for ours in plans:
                cases.extend(_write_patient(out, ours, lambda *_: progress.advance(task)))
        else:
            for written in _written(out, plans, arguments.workers):
                cases.extend(written)
                progress.advance(task, images)
    seconds = time.monotonic() - began
    pages = contact_sheet([case.row for case in cases], out / "contact-sheet.png")
    size = sum(case.size_bytes for case in cases) / 1e6
    console.print(
        f"{len(cases)} studies in {seconds:.1f} s ({seconds / len(cases):.1f} s and "
        f"{size / len(cases):.1f} MB of DICOM each); look at {', '.join(map(str, pages))}"
    )
    return 0


def _plans(arguments: argparse.Namespace) -> Iterator[list[Plan]]:
    """The studies of each patient."""
    columns = arguments.matrix
    vendors = VENDORS if arguments.vendor == ALL else [Vendor(arguments.vendor)]
    for seed in range(arguments.seed, arguments.seed + arguments.patients):
        yield [
            Plan.examination(
                seed,
                vendor,
                arguments.field,
                tuple(arguments.fault),
                slices=arguments.slices,
                phases=arguments.phases,
                rows=round(columns * 13 / 16),
                columns=columns,
                pixel_spacing=round(FIELD_OF_VIEW / columns, 3),
                turn_deg=_turn_of(seed) if arguments.turn is None else arguments.turn,
            )
            for vendor in vendors
        ]


def _turn_of(seed: int) -> float:
    """An angle from the whole circle, the same for all vendors."""
    return round(float(np.random.default_rng([seed, 9]).uniform(-180, 180)), 1)


def _written(out: Path, plans: Sequence[list[Plan]], workers: int) -> Iterator[list[Case]]:
    """Patient by patient in the order of the plans, whoever wrote them."""
    with ProcessPoolExecutor(min(workers, len(plans)), get_context("spawn")) as pool:
        yield from pool.map(_write_patient, [out] * len(plans), plans)


def _write_patient(
    out: Path, plans: list[Plan], progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Case]:
    """The same scans, as each vendor writes them."""
    scanner = Scanner(schedule(plans[0]).patient)
    return [
        write_case(out / f"patient-{plan.seed:04d}-{plan.vendor}", plan, scanner, progress)
        for plan in plans
    ]


class _Rate(ProgressColumn):
    """Instances per second."""

    def render(self, task: Task) -> Text:
        # Over all of the time: with several workers a whole patient comes at once.
        elapsed = task.finished_time or task.elapsed
        return Text(f"{task.completed / elapsed:.1f} images/s" if elapsed else "")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}, allowed is 1 or more")
    return number


def _turn(text: str) -> float | None:
    """An angle; None means any."""
    if text == ANY:
        return None
    angle_deg = float(text)
    if not -360 <= angle_deg <= 360:
        raise argparse.ArgumentTypeError(f"{text}, allowed are -360 to 360 degrees and {ANY}")
    return angle_deg


def _columns(text: str) -> int:
    number = int(text)
    if number < SMALLEST:
        raise argparse.ArgumentTypeError(f"{number}, allowed is {SMALLEST} or more")
    return number


def _fault(text: str) -> Fault:
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _refused(why: str) -> int:
    print(f"cmr-node: {why}", file=sys.stderr)
    return 2
