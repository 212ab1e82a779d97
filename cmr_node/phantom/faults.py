"""What goes wrong between a scanner and an archive, as a list of orders.

The promise kept here: each fault has a name, hits the series it names and no other, and leaves
a record of what it did, which the truth of the study repeats.

Written ``NAME[:VALUE][@SERIES]``:

    unlogged:rot90cw@cine_sax    the pixels are turned, the header is not
    logged:flip_lr@lge_sax       both are turned
    dropped:2@cine_sax           slices that never arrive
    duplicated:1@t2_sax          slices scanned again later, as a series of their own
    unplaced@t1_sax              without orientation and position
    late@lge_sax                 arrives after the rest of the study

Without a value an operation is drawn from the seed, and one slice is hit; without a series it is
``cine_sax``.  ``@all`` hits every series but the localizer, and slices only where there are
enough; it turns each series by the same operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

import numpy as np

from cmr_node.geometry.orientation import Orientation
from cmr_node.phantom.series import HOLD_S, LOCALIZER, Series

EVERY = "all"


class FaultKind(StrEnum):
    """What goes wrong."""

    UNLOGGED = "unlogged"
    LOGGED = "logged"
    DROPPED = "dropped"
    DUPLICATED = "duplicated"
    UNPLACED = "unplaced"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Fault:
    """One order; ``value`` is an orientation or a number of slices, empty where not said."""

    kind: FaultKind
    value: str = ""
    series: str = "cine_sax"

    def __post_init__(self) -> None:
        if self.kind in (FaultKind.UNLOGGED, FaultKind.LOGGED):
            allowed = {"", *Orientation}
            if self.value not in allowed:
                raise ValueError(
                    f"{self.kind} by {self.value!r}, allowed are {', '.join(Orientation)}"
                )
        elif self.kind in (FaultKind.DROPPED, FaultKind.DUPLICATED):
            if self.value and not (self.value.isdecimal() and int(self.value) > 0):
                raise ValueError(f"{self.kind} {self.value!r} slices, allowed is 1 or more")
        elif self.value:
            raise ValueError(f"{self.kind} takes no value, found {self.value!r}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``NAME[:VALUE][@SERIES]``.

        Raises
        ------
        ValueError
            It has another form, or an unknown name or value.
        """
        order, at, series = text.partition("@")
        name, _, value = order.partition(":")
        if name not in list(FaultKind):
            raise ValueError(f"no fault {name!r}, allowed are {', '.join(FaultKind)}")
        if at and not series:
            raise ValueError(f"{text!r} names no series after @")
        return cls(FaultKind(name), value, series or "cine_sax")

    def __str__(self) -> str:
        value = f":{self.value}" if self.value else ""
        return f"{self.kind}{value}@{self.series}"


@dataclass(frozen=True, slots=True)
class Record:
    """What a fault did to the series of one name."""

    fault: str  #: as ordered
    series: str
    orientation: Orientation | None = None
    slices: tuple[int, ...] = ()  #: indices within the stack


def befall(
    faults: Sequence[Fault], series: Sequence[Series], seed: int
) -> tuple[tuple[Series, ...], tuple[Record, ...]]:
    """The series as the faults leave them, one fault after the other, and what each did.

    Raises
    ------
    ValueError
        A fault names a series the study does not have, or more slices than it has.
    """
    left, records = list(series), []
    for number, fault in enumerate(faults):
        rng = np.random.default_rng([seed, 77, number])
        names = dict.fromkeys(one.name for one in left if one.name != LOCALIZER)
        hit = [fault.series]
        if fault.series == EVERY:
            hit = [name for name in names if len(_slices(left, name)) >= _least(fault)]
        if not set(hit) <= {one.name for one in left}:
            raise ValueError(f"{fault}: the study has no such series, it has {', '.join(names)}")
        operation = _operation(fault, rng)
        for name in hit:
            left, record = _hit(left, name, fault, operation, rng)
            records.append(record)
    return tuple(left), tuple(records)


def _operation(fault: Fault, rng: np.random.Generator) -> Orientation:
    if fault.kind in (FaultKind.UNLOGGED, FaultKind.LOGGED) and fault.value:
        return Orientation(fault.value)
    return Orientation(str(rng.choice([o for o in Orientation if o is not Orientation.IDENTITY])))


def _hit(
    series: list[Series], name: str, fault: Fault, operation: Orientation, rng: np.random.Generator
) -> tuple[list[Series], Record]:
    record = Record(str(fault), name)

    def changed(**changes: object) -> list[Series]:
        return [replace(s, **changes) if s.name == name else s for s in series]  # type: ignore[arg-type]

    match fault.kind:
        case FaultKind.UNLOGGED:
            before = next(one.unlogged for one in series if one.name == name)
            turned = changed(unlogged=operation.after(before))
            return turned, replace(record, orientation=operation)
        case FaultKind.LOGGED:
            # Done last and known to the header: what was unlogged before is seen from the new side.
            one = next(one for one in series if one.name == name)
            turned = changed(
                logged=operation.after(one.logged),
                unlogged=operation.after(one.unlogged).after(operation.inverse),
            )
            return turned, replace(record, orientation=operation)
        case FaultKind.UNPLACED:
            return changed(placed=False), record
        case FaultKind.LATE:
            return changed(late=True), record
        case FaultKind.DROPPED:
            gone = _drawn(series, name, fault, rng)
            kept = [
                replace(one, shots=tuple(s for s in one.shots if s.cut.index not in gone))
                if one.name == name
                else one
                for one in series
            ]
            return [one for one in kept if one.shots], replace(record, slices=gone)
        case FaultKind.DUPLICATED:
            twice = _drawn(series, name, fault, rng)
            return [*series, _again(series, name, twice)], replace(record, slices=twice)


def _least(fault: Fault) -> int:
    """How many slices a stack must have; of those that are dropped one must be left."""
    count = int(fault.value) if fault.value.isdecimal() else 1
    return count + (fault.kind is FaultKind.DROPPED)


def _slices(series: Sequence[Series], name: str) -> list[int]:
    return sorted({shot.cut.index for one in series if one.name == name for shot in one.shots})


def _drawn(
    series: Sequence[Series], name: str, fault: Fault, rng: np.random.Generator
) -> tuple[int, ...]:
    """Which slices are hit."""
    there = _slices(series, name)
    if len(there) < _least(fault):
        raise ValueError(f"{fault}: {name} has {len(there)} slices, needed are {_least(fault)}")
    drawn = rng.choice(there, int(fault.value or 1), replace=False)
    return tuple(sorted(int(index) for index in drawn))


def _again(series: Sequence[Series], name: str, twice: tuple[int, ...]) -> Series:
    """The slices ``twice`` of a scan once more, after all others."""
    of_it = [one for one in series if one.name == name]
    shots = {shot.cut.index: shot for one in of_it for shot in one.shots}
    last = max(shot.seconds for one in series for shot in one.shots)
    takes = 1 + max(shot.take for one in of_it for shot in one.shots)
    again = tuple(
        replace(shots[index], seconds=last + HOLD_S * (number + 1), take=takes)
        for number, index in enumerate(twice)
    )
    number = 1 + max(one.number for one in series)
    return replace(of_it[0], shots=again, part=f"again {takes}", number=number)
