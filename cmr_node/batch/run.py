"""A run over a tree: look at every file, plan every study and volume, carry the plans out.

The promise kept here: a run that is interrupted at any moment is gone on with by the same
command.  What may hang or die is done by the processes of the ``Pool``; what is known is in the
``Book``; here is only what is done next.  At no time are more studies in memory than keep the
processes busy.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cmr_node.batch.book import Book
from cmr_node.batch.look import Found, Kind, look_at
from cmr_node.batch.plan import Context, Doing, Plan
from cmr_node.batch.pool import Died, Pool, Results
from cmr_node.batch.report import Record, shown_path
from cmr_node.batch.target import Target
from cmr_node.batch.walk import Entry
from cmr_node.batch.work import Made, Making, Unit, carry_out, plan_units

LOOK, MAKE = 64, 16
"""Files in one call: enough that handing out costs nothing, few enough that all have work."""


class Listener(Protocol):
    """Told how far a run is."""

    def looked(self, files: int, images: int) -> None:
        """So many files were looked at, and so many of them are or should be images."""

    def done(self, files: int, of: int, record: Record | None) -> None:
        """So many images are dealt with, of so many; ``record`` is new, None if gone on with."""


@dataclass(slots=True)
class _Unit:
    """A unit at work: how many of its plans are not done, and whether all will stay done."""

    unit: bytes
    fingerprint: str
    files: int
    open: int = 0
    final: bool = True
    counted: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Carried:
    """A plan at work: its key as planned, what is still being made, and what was."""

    unit: _Unit
    plan: Plan
    key: str
    missing: int = 0
    made: list[Made] = field(default_factory=list)


class Run:
    """One run."""

    def __init__(
        self, context: Context, book: Book, pool: Pool, target: Target | None, listener: Listener
    ) -> None:
        self._context, self._book, self._pool = context, book, pool
        self._target, self._listener = target, listener
        self._parts = itertools.count()
        self.images = self._done = self._promised = 0

    def look(self, entries: Iterable[Entry]) -> int:
        """Look at the files that the book does not know; gives how many files were met.

        ``images`` is then how many of them are or should be images.  Where there is none the
        book keeps what it had: the source may not be mounted.
        """
        met = 0
        remaining = iter(entries)
        while chunk := list(itertools.islice(remaining, LOOK)):
            met += len(chunk)
            with self._book.whole():
                known = {entry.path for entry in chunk if self._book.knows(entry)}
            self.images += len(known)
            for entry in chunk:
                if entry.problem:
                    self._noted([entry], Died(entry.problem))
            self._look_at([e for e in chunk if not e.problem and e.path not in known])
            self._listener.looked(met, self.images)
        while self._pool.busy:
            self._pool.turn()
        if self.images:
            self._book.forget_the_rest()
        self._listener.looked(met, self.images)
        return met

    def work(self) -> None:
        """Plan and carry out what is not finished."""
        units = self._unfinished()
        ended = False
        while self._pool.busy or not ended:
            while not ended and self._pool.has_room:
                unit = next(units, None)
                if unit is None:
                    ended = True
                else:
                    self._plan(unit)
            self._pool.turn()

    # -- looking ----------------------------------------------------------------------------

    def _look_at(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        while not self._pool.has_room:
            self._pool.turn()
        self._pool.submit(look_at, self._context, entries, self._noted)

    def _noted(self, entries: Sequence[Entry], found: Results) -> None:
        if isinstance(found, Died):
            (entry,) = entries
            unit = b"problem\0" + entry.path
            found = [Found(entry, Kind.PROBLEM, unit, problem=found.reason)]
        images = [one for one in found if one.kind is not Kind.PASSED_OVER]
        self.images += len(images)
        with self._book.whole():
            self._book.note(images)

    # -- planning ---------------------------------------------------------------------------

    def _unfinished(self) -> Iterator[_Unit]:
        fingerprint = self._context.options.fingerprint
        for name, files in self._book.units():
            unit = _Unit(name, self._book.fingerprint(name, fingerprint), files)
            there = self._target is None or self._target.has_all(name)
            if there and self._book.is_finished(name, unit.fingerprint):
                self._count(files, None)
            else:
                yield unit

    def _plan(self, unit: _Unit) -> None:
        self._book.begin(unit.unit, unit.fingerprint)
        kind = unit.unit.partition(b"\0")[0]
        if kind == b"problem":
            path, text = self._book.problem(unit.unit)
            record = Record.of_no_stack([path], "unreadable", text)
            self._planned(unit, [Plan(unit.unit, record, (), passing=True)])
            return
        rows = self._book.study(unit.unit)
        elsewhere = frozenset(self._book.uids_elsewhere(unit.unit))
        item = Unit(unit.unit, rows, elsewhere)

        def then(items: Sequence[Unit], results: Results) -> None:
            if isinstance(results, Died):
                paths = [path for path, _ in rows]
                record = Record.of_no_stack(paths, "unreadable", results.reason)
                results = [[Plan(unit.unit, record, (), passing=True)]]
            self._planned(unit, results[0])

        self._pool.submit(plan_units, self._context, [item], then)

    def _planned(self, unit: _Unit, plans: Sequence[Plan]) -> None:
        unit.open = len(plans)
        for plan in plans:
            there = self._target is None or self._target.has(one.path for one in plan.work)
            if there and self._book.is_done(plan):
                self._close(unit, plan, None)
            else:
                self._carry(_Carried(unit, plan, plan.key))

    # -- carrying out -----------------------------------------------------------------------

    def _carry(self, carried: _Carried) -> None:
        plan, target = carried.plan, self._target
        if target is None or self._context.parts is None or not plan.work:
            self._say(carried)
            return
        blocked = [(one.path, text) for one in plan.work if (text := target.blocked(one.path))]
        if blocked:
            self._give_up(carried, *blocked[0], passing=True)
            return
        makings = [
            Making(one, self._context.parts / str(next(self._parts)), self._size(one.path))
            for one in plan.work
        ]
        needed = sum(one.size_bytes for one in makings)
        if self._promised + needed > target.room_bytes():
            self._give_up(carried, plan.work[0].path, os.strerror(errno.ENOSPC), passing=True)
            return
        self._promised += needed
        carried.missing, carried.made = len(makings), []
        for start in range(0, len(makings), MAKE):
            self._pool.submit(
                carry_out,
                self._context,
                makings[start : start + MAKE],
                lambda items, results: self._made(carried, target, items, results),
            )

    def _size(self, path: bytes) -> int:
        try:
            return self._context.path_of(path).stat().st_size
        except OSError:  # gone meanwhile; who makes the file will say so
            return 0

    def _made(
        self, carried: _Carried, target: Target, makings: Sequence[Making], results: Results
    ) -> None:
        if isinstance(results, Died):
            results = [Made(making, results.reason, passing=True) for making in makings]
        self._promised -= sum(one.size_bytes for one in makings)
        carried.made += results
        carried.missing -= len(results)
        if carried.missing:
            return
        faulty = next((one for one in carried.made if one.problem), None)
        if faulty is None:
            try:
                made = [(one.making.work.path, one.making.part) for one in carried.made]
                target.place(carried.unit.unit, made)
            except OSError as error:
                path, problem = carried.plan.work[0].path, error.strerror or str(error)
                self._give_up(carried, path, problem, passing=True)
            else:
                self._say(carried)
        else:
            path = faulty.making.work.path
            self._give_up(carried, path, faulty.problem, passing=faulty.passing)

    def _give_up(self, carried: _Carried, path: bytes, problem: str, *, passing: bool) -> None:
        """Refuse the stack: its files are copied instead of turned, or stay out of TARGET."""
        for one in carried.made:
            one.making.part.unlink(missing_ok=True)
        plan, options = carried.plan, self._context.options
        turned = any(one.doing is not Doing.COPY for one in plan.work)
        carried.plan = plan.refused(
            f"{shown_path(path)}: {problem}",
            copied=turned and not options.without_asked,
            passing=passing,
        )
        self._carry(carried)

    def _say(self, carried: _Carried) -> None:
        with self._book.whole():
            self._book.say(carried.plan, carried.key)
        self._close(carried.unit, carried.plan, carried.plan.record)

    def _close(self, unit: _Unit, plan: Plan, record: Record | None) -> None:
        unit.open -= 1
        unit.final &= not plan.passing
        if not unit.open:
            if self._target:
                self._target.clear_outdated(unit.unit)
            if unit.final:
                with self._book.whole():
                    self._book.finish(unit.unit, unit.fingerprint)
        # The frames of one file may make several stacks; it is one file all the same.
        new = set(plan.record.files) - unit.counted
        unit.counted |= new
        self._count(len(new), record)

    def _count(self, files: int, record: Record | None) -> None:
        self._done += files
        self._listener.done(self._done, self.images, record)
