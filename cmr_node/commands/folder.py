"""What ``cmr-node standardise`` and ``cmr-node recognise`` share: options, a run, its table."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from cmr_node.assemble.sequence import CardiacSequence
from cmr_node.batch.book import Book
from cmr_node.batch.plan import Context, Options
from cmr_node.batch.pool import Pool
from cmr_node.batch.report import Record, schema, write_report
from cmr_node.batch.run import Run
from cmr_node.batch.sheet import panels
from cmr_node.batch.target import Target, fresh_parts, make_own_folder
from cmr_node.batch.walk import Entry, file_at, walk
from cmr_node.commands.progress import progress_bar
from cmr_node.errors import ConfigurationError
from cmr_node.geometry.standard_view import View
from cmr_node.inference.pixels_alone import HeaderTrust
from cmr_node.judgement import Trusting
from cmr_node.outputs.uids import Producer
from cmr_node.pictures.contact_sheet import contact_sheet
from cmr_node.settings import Settings

SHOWN_REASONS = 20
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


class _NothingThere(ConfigurationError):
    """SOURCE holds no image."""


def run_over(
    arguments: argparse.Namespace, settings: Settings, target: Path | None, *, without_asked: bool
) -> int:
    """Go through SOURCE; 1 if anything was refused or asked.

    Raises
    ------
    ConfigurationError
        The arguments cannot be used; nothing was done.
    """
    began = time.monotonic()
    source = _source(arguments, target)
    written = None if target is None or arguments.dry_run else target
    options = _options(arguments, settings, without_asked=without_asked)
    console = Console(highlight=False)
    log = (settings.observe.log_format, "ERROR")
    with (
        _workplace(source, written, options) as (context, book, place),
        Pool.open(arguments.workers, settings.work.job_timeout, log) as pool,
        progress_bar(console) as progress,
    ):
        shown = _Shown(progress, "standardising" if written else "recognising")
        run = Run(context, book, pool, place, shown)
        met = run.look(_entries(source))
        if not run.images:
            raise _NothingThere(
                f"{source} holds no DICOM, NIfTI or MHA file ({met} others); nothing was done"
            )
        run.work()
        tally = Tally()
        for said in book.said():
            tally.add(said.record)
        if arguments.json:
            write_report((said.record for said in book.said()), arguments.json)
        if arguments.sheet:
            drawing = progress.add_task("drawing the sheet", total=tally.stacks)
            drawn = progress.track(panels(book.said(), context, place, pool), task_id=drawing)
            heading = f"cmr-node {'standardise' if target else 'recognise'}"
            pages = contact_sheet(drawn, arguments.sheet, heading)
    tally.show(console)
    if arguments.json:
        console.print(f"records: {_plain(str(arguments.json))}")
    if arguments.sheet:
        more = f" and {len(pages) - 1} more pages" if len(pages) > 1 else ""
        console.print(f"sheet: {_plain(str(arguments.sheet))}{more}")
    seconds = time.monotonic() - began
    console.print(
        f"{run.images} images in {tally.stacks} stacks in {seconds:.1f} s "
        f"({run.images / seconds:.0f} a second); {met - run.images} other files passed over"
        + (f"; {shown.kept} were done before" if shown.kept else "")
    )
    return 1 if tally.undecided else 0


@contextlib.contextmanager
def _workplace(
    source: Path, written: Path | None, options: Options
) -> Iterator[tuple[Context, Book, Target | None]]:
    """Where the run works: its book, and the target if one is written.

    What a run leaves that ends well: TARGET with its book, or nothing.  One that does not leaves
    its book, and what lies among the parts is cleared away by the next.
    """
    root = source if source.is_dir() else source.parent
    new = written is not None and not written.exists()
    folder = make_own_folder(written) if written else _state_folder(source)
    with Book.open(folder / "book.sqlite", root) as book:  # no other run is at work from here on
        try:
            if written is None:
                yield Context(root, None, options), book, None
                shutil.rmtree(folder)
            else:
                parts = fresh_parts(folder)
                yield Context(root, parts, options), book, Target(written, book)
                shutil.rmtree(parts)
        except _NothingThere:
            if written is None or new:
                shutil.rmtree(written or folder)
            raise


class Tally:
    """How many stacks of what were decided how, and why those that need a person were."""

    def __init__(self) -> None:
        self.stacks = self.undecided = 0
        self._kinds: Counter[tuple[str, ...]] = Counter()
        self._files: Counter[tuple[str, ...]] = Counter()
        self._reasons: list[Record] = []

    def add(self, record: Record) -> None:
        """Count one more stack in."""
        kind = (record.decision, record.sequence, record.view, record.operation)
        self._kinds[kind] += 1
        self._files[kind] += len(record.files)
        self.stacks += 1
        if record.decision in ("ask", "refused"):
            self.undecided += 1
            if len(self._reasons) < SHOWN_REASONS:
                self._reasons.append(record)

    def show(self, console: Console) -> None:
        """Print the table, then the reasons."""
        table = Table("decision", "sequence", "view", "operation", "stacks", "files")
        for kind, stacks in sorted(self._kinds.items()):
            table.add_row(*kind, str(stacks), str(self._files[kind]))
        console.print(table)
        for record in self._reasons:
            console.print(f"{record.decision}: {_plain(record.where)}: {_plain(record.reason)}")
        if self.undecided > len(self._reasons):
            console.print(f"and {self.undecided - len(self._reasons)} more; see --json")


class _Shown:
    """The run's progress, as bars."""

    def __init__(self, progress: Progress, doing: str) -> None:
        self._progress, self._doing = progress, doing
        self._looking = progress.add_task("looking at files", total=None)
        self._working: TaskID | None = None
        self._files = self.kept = 0

    def looked(self, files: int, images: int) -> None:
        """So many files were looked at."""
        self._progress.update(self._looking, completed=files)

    def done(self, files: int, of: int, record: Record | None) -> None:
        """So many images are dealt with, of so many."""
        if self._working is None:
            self._progress.update(self._looking, total=self._progress.tasks[0].completed)
            self._working = self._progress.add_task(self._doing, total=of)
        if record is None:
            self.kept += files - self._files
        self._files = files
        self._progress.update(self._working, completed=files)


def _plain(text: str) -> str:
    """Text of a file or a name of one: it can neither style nor control the terminal."""
    return escape("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text))


def _entries(source: Path) -> Iterator[Entry]:
    place = os.fsencode(source)
    return walk(place) if source.is_dir() else file_at(place, os.fsencode(source.name))


def _options(arguments: argparse.Namespace, settings: Settings, *, without_asked: bool) -> Options:
    policy = settings.standardise
    return Options(
        policy=policy,
        producer=Producer(policy.device_serial, policy.station_name),
        trusting=Trusting(arguments.header, arguments.accept_network),
        sequence=arguments.sequence,
        view=arguments.view,
        without_asked=without_asked,
    )


def _source(arguments: argparse.Namespace, target: Path | None) -> Path:
    """SOURCE as an absolute path, all arguments checked against each other."""
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


def _state_folder(source: Path) -> Path:
    """Where a run that writes no image keeps its book, so that it too can be gone on with."""
    name = hashlib.sha256(os.fsencode(source)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cmr-node"
    if source in cache.resolve().parents:  # somebody looks through a home
        cache = Path(tempfile.gettempdir()) / f"cmr-node-{os.getuid()}"
    if source in cache.resolve().parents:
        raise ConfigurationError(
            f"{cache} lies in SOURCE, where nothing is written; XDG_CACHE_HOME may name another"
        )
    folder = cache / name
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be made ({error.strerror}); XDG_CACHE_HOME may name another place"
        ) from error
    if cache.stat().st_uid != os.getuid():
        raise ConfigurationError(
            f"{cache} belongs to somebody else; XDG_CACHE_HOME may name another"
        )
    return folder
