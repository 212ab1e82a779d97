"""``cmr-node demo``: a simulated study goes through a real node, and you see what comes back.

Nothing here is a short cut: the node is started as ``serve`` starts it, the study is sent by
C-STORE, the results arrive by C-STORE at a second node that only receives and plays the PACS,
and what is shown is read from the files of that PACS.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from socket import socket

from pydicom.dataset import FileDataset
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cmr_node.assemble.stack import MR_IMAGES
from cmr_node.commands.arguments import Commands, add_command
from cmr_node.commands.demo_results import show_results
from cmr_node.commands.printed_settings import settings_as_toml
from cmr_node.dicom.reading import read
from cmr_node.dicom.words import display_values
from cmr_node.errors import NodeError, PeerUnreachable
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View, implied_orientation
from cmr_node.network.scu import echo, send
from cmr_node.outputs.proof import prove
from cmr_node.phantom.plan import STILLS
from cmr_node.phantom.study import Plan, Truth, write_study
from cmr_node.pictures.before_after import before_after_sheet
from cmr_node.pictures.picture import Panel, Picture
from cmr_node.settings import Observe, Peer, Receive, Settings, Standardise, Storage
from cmr_node.store.database import Database
from cmr_node.store.files import Files
from cmr_node.store.overview import Overview, StudyOverview

LOOPBACK = "127.0.0.1"
START_S, FINISH_S, STOP_S = 60.0, 300.0, 60.0
STORED_AS = {
    View.SAX: Orientation.ROT90CW,
    View.TWO_CHAMBER: Orientation.FLIP_LR,
    View.FOUR_CHAMBER: Orientation.ROT180,
}
"""How the simulated scanner stores the views; the node has to find out."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One instance that was sent and what came back for it; ``error_mm`` as proved."""

    source: FileDataset
    derived: FileDataset
    error_mm: float


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "demo",
        demo,
        "Simulate a study stored wrongly turned, send it through a node, show what comes back.",
        "  cmr-node demo\n  cmr-node demo --seed 7 --folder /tmp/demo",
    )
    parser.add_argument("--seed", type=int, default=2, help="which simulated patient (default: 2)")
    parser.add_argument(
        "--folder",
        type=Path,
        help="where everything goes; must be new (default: ./cmr-node-demo-<date>-<time>)",
    )


def demo(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the demonstration; 0 if every turned series came back in the standard view."""
    here_and_now = datetime.now(UTC).astimezone()
    folder = arguments.folder or Path(f"cmr-node-demo-{here_and_now:%Y%m%d-%H%M%S}")
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        print(f"cmr-node: {folder} exists; --folder must name a new one", file=sys.stderr)
        return 2
    console = Console(highlight=False)
    plan = Plan(seed=arguments.seed, slices=10, stored_as=STORED_AS, stills=STILLS)
    with _progress(console) as progress:
        truth = _simulate(folder / "study", plan, progress)
    pacs, node = _two_nodes(folder)
    console.print("starting a receiving PACS and the node on loopback ...")
    with _running(folder / "pacs", pacs, "receive"), _running(folder / "node", node, "serve"):
        began = time.monotonic()
        with _progress(console) as progress:
            _send(folder / "study", node, plan, progress)
            sent = time.monotonic()
            study = _wait(node, progress)
        done = time.monotonic()
    held = {path: read(path) for path in Files(pacs.storage.root).walk()}
    pairs = _pairs(folder / "study", held)
    picture, page = folder / "before-after.png", folder / "results.png"
    _draw(pairs, study, truth, picture)
    well = _show(console, pairs, study, truth)
    console.print(
        f"{plan.instances} instances sent in {sent - began:.1f} s; {len(pairs)} derived instances "
        f"were back {done - sent:.1f} s after the last one"
    )
    look = f"[bold]{picture}[/bold]"
    if show_results(console, held.values(), study, plan, page):
        look += f" and [bold]{page}[/bold]"
    console.print(f"Look at {look}; node and PACS left their files beside.")
    return 0 if well else 1


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _simulate(folder: Path, plan: Plan, progress: Progress) -> Truth:
    task = progress.add_task("simulating a study", total=plan.instances)
    return write_study(folder, plan, lambda done, total: progress.update(task, completed=done))


def _two_nodes(folder: Path) -> tuple[Settings, Settings]:
    """Settings of a PACS that only receives, and of the node that delivers to it."""
    pacs = Settings(
        storage=_storage(folder / "pacs"),
        receive=Receive(ae_title="DEMOPACS", host=LOOPBACK, port=_free_port()),
        observe=Observe(port=0),
    )
    receiver = Peer(
        name="pacs",
        ae_title="DEMOPACS",
        host=LOOPBACK,
        port=pacs.receive.port,
        receives=("derived",),
        secondary_capture="always",
    )
    sender = Peer(name="scanner", ae_title="SCANNER", host=LOOPBACK, sends=True)
    node = Settings(
        storage=_storage(folder / "node"),
        receive=Receive(host=LOOPBACK, port=_free_port()),
        standardise=Standardise(long_axis="act"),
        observe=Observe(port=0),
        peer=(sender, receiver),
    )
    return pacs, node


def _storage(root: Path) -> Storage:
    # A demonstration writes 30 MB; the marks of a hospital would refuse it on a small disk.
    return Storage(root=root, soft_free_bytes=200_000_000, hard_free_bytes=100_000_000)


def _free_port() -> int:
    with socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(folder: Path, settings: Settings, role: str) -> Iterator[None]:
    """Run ``cmr-node ROLE``; returns when it answers C-ECHO."""
    folder.mkdir()
    config, log = folder / "cmr-node.toml", folder / "log.txt"
    config.write_text(settings_as_toml(settings))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cmr_node", "--config", str(config), role],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    door = _door(settings)
    try:
        _until(
            lambda: process.poll() is not None or echo(door, "SCANNER", settings.deliver).ok,
            f"{role} does not answer C-ECHO; see {log}",
            START_S,
        )
        if process.poll() is not None:
            raise NodeError(f"{role} ended with {process.returncode}; see {log}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _door(settings: Settings) -> Peer:
    return Peer(
        name="door",
        ae_title=settings.receive.ae_title,
        host=LOOPBACK,
        port=settings.receive.port,
    )


def _send(folder: Path, node: Settings, plan: Plan, progress: Progress) -> None:
    task = progress.add_task("C-STORE to the node", total=plan.instances)
    files = sorted(folder.rglob("*.dcm"))
    failed = []
    for result in send(_door(node), files, "SCANNER", node.deliver):
        progress.advance(task)
        if not result.delivered:
            failed.append(result)
    if failed:
        raise PeerUnreachable(f"{len(failed)} instances not taken: {failed[0].comment}")


def _wait(node: Settings, progress: Progress) -> StudyOverview:
    task = progress.add_task("waiting for the results", total=None)
    database = Database.open(node.storage.index_url)
    overview = Overview(database)
    try:

        def delivered() -> bool:
            studies = overview.studies()
            if not studies:
                return False
            counts = [one for delivery in studies[0].deliveries for one in [delivery["instances"]]]
            progress.update(
                task,
                completed=sum(one.get("delivered", 0) for one in counts),
                total=sum(sum(one.values()) for one in counts) or None,
                description=f"node: {studies[0].state}, PACS",
            )
            return studies[0].state in ("done", "failed") and all(
                delivery["state"] != "pending" for delivery in studies[0].deliveries
            )

        _until(delivered, "the results did not come back", FINISH_S)
        return overview.studies()[0]
    finally:
        database.close()


def _until(true: Callable[[], bool], otherwise: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise PeerUnreachable(f"{otherwise} (waited {seconds:.0f} s)")
        time.sleep(0.1)


def _pairs(folder: Path, held: Mapping[Path, FileDataset]) -> list[Pair]:
    """Derived images beside their sources, every pixel's position proved once more."""
    sources = {}
    for path in folder.rglob("*.dcm"):
        source = read(path)
        sources[source.SOPInstanceUID] = source
    pairs = []
    for path, derived in held.items():
        if derived.SOPClassUID not in MR_IMAGES:
            continue  # see ``demo_results``
        source = sources[derived.SourceImageSequence[0].ReferencedSOPInstanceUID]
        pairs.append(Pair(source, derived, prove(path.read_bytes(), source)))
    return sorted(pairs, key=lambda p: (p.source.SeriesNumber, p.source.InstanceNumber))


def _plane(ds: FileDataset) -> Plane:
    return Plane.from_dicom(
        ds.ImageOrientationPatient, ds.ImagePositionPatient, ds.PixelSpacing, ds.Rows, ds.Columns
    )


def _picture(ds: FileDataset) -> Picture:
    return Picture.on(_plane(ds), display_values(ds))


def _by_series(pairs: list[Pair]) -> dict[str, list[Pair]]:
    series: dict[str, list[Pair]] = {}
    for pair in pairs:
        series.setdefault(str(pair.source.SeriesInstanceUID), []).append(pair)
    return series


def _draw(pairs: list[Pair], study: StudyOverview, truth: Truth, path: Path) -> None:
    panels = []
    for uid, ours in _by_series(pairs).items():
        shown = ours[len(ours) // 2]
        stack = next(stack for stack in study.stacks if uid in stack["series"])
        panels.append(
            Panel(
                title=f"{_named(truth[uid])}, stored {truth[uid]['stored_as']}",
                caption=f"{stack['decision']}: {stack['operation']}; every pixel keeps its place "
                f"in the patient ({max(pair.error_mm for pair in ours):.0e} mm)",
                before=_picture(shown.source),
                after=_picture(shown.derived),
                decision=stack["decision"],
            )
        )
    if panels:
        before_after_sheet(panels, path, heading="CMR Node: as stored, and as it came back")


def _show(console: Console, pairs: list[Pair], study: StudyOverview, truth: Truth) -> bool:
    """Print what was decided against the truth; whether all is as it should be."""
    back = _by_series(pairs)
    table = Table(title="What the node made of it")
    for column in ("series", "stored as", "decision", "operation", "back", "standard now", "mm"):
        table.add_column(column)
    well = True
    for uid, fact in truth.items():
        stack = next((stack for stack in study.stacks if uid in stack["series"]), None)
        view, ours = View(fact["view"]), back.get(uid, [])
        evidence = [implied_orientation(_plane(pair.derived), view) for pair in ours]
        standard = bool(ours) and all(e and e.orientation is Orientation.IDENTITY for e in evidence)
        well &= standard
        table.add_row(
            _named(fact),
            fact["stored_as"],
            stack["decision"] if stack else "no stack",
            stack["operation"] if stack else "",
            str(len(ours)),
            "[green]yes[/green]" if standard else "[red]no[/red]",
            f"{max((pair.error_mm for pair in ours), default=float('nan')):.1e}",
        )
    console.print(table)
    return well


def _named(fact: dict[str, str]) -> str:
    """For example ``cine SAX``."""
    contrast, view = fact["name"].rsplit("_", 1)
    return f"{contrast} {view.upper()}"
