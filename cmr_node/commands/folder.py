"""A run of ``cmr-node standardise`` or ``cmr-node recognise`` over a folder, and its table."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from cmr_node.batch.book import Book
from cmr_node.batch.plan import Context, Options
from cmr_node.batch.pool import Pool
from cmr_node.batch.report import Record, write_report
from cmr_node.batch.run import Run
from cmr_node.batch.sheet import panels
from cmr_node.batch.target import Target, fresh_parts, make_own_folder
from cmr_node.batch.walk import Entry, file_at, walk
from cmr_node.commands.folder_arguments import options_of, source_of
from cmr_node.commands.progress import progress_bar
from cmr_node.errors import ConfigurationError
from cmr_node.inference.opening import open_session, told
from cmr_node.pictures.contact_sheet import contact_sheet
from cmr_node.settings import Settings

SHOWN_REASONS = 20


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
    source = source_of(arguments, target)
    written = None if target is None or arguments.dry_run else target
    session = open_session(settings.inference)
    options = options_of(arguments, settings, session, without_asked=without_asked)
    console = Console(highlight=False)
    console.print(_plain(told(settings.inference, session)))
    del session  # each process opens its own; here it was only to be seen that it can
    log = (settings.observe.log_format, "ERROR")
    with (
        _prepared(source, written, options) as (context, book, place),
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
def _prepared(
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
