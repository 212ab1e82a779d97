"""When a series and a study are complete: a rule of facts and a clock reading.

The promise kept here: a series that announced more than came is not complete before the stall
period is over, every study becomes complete in the end, and the verdict says why.

DICOM storage has no "that was all".  What a header announces is counted, each in its own scope:

    ImagesInAcquisition          images of one AcquisitionNumber (GE: of the whole series)
    CardiacNumberOfImages        images at one slice position, and with one ImageType
    NumberOfTemporalPositions    the same, by TemporalPositionIdentifier where there is one
    InConcatenationTotalNumber   instances that make up one multi-frame object

An announcement of 0 or 1 announces nothing: it fits the first instance of any series.  Three
cases follow for a series, and each has its own clock, started by the newest instance of *that*
series, so one series that trickles does not hold up what the others have proved:

    short      an announcement is not met: wait ``stall_period``, then go without the rest
    proven     every instance lies under an announcement that is met, or is a whole multi-frame
               object: only ``settle`` to wait
    silent     anything else (localizers, single-phase stacks): wait ``quiet_period``

Only ImagesInAcquisition announces how many slices there are.  A closed grid of slices and
announced phases is therefore true of a series sent slice by slice after each slice, and no tag
tells the number of series of a study: ``settle`` bridges the gaps of a sender at work, and a
study that was completed once too early has refuted its tags: from then on proven series, too,
wait for ``quiet_period``.  A grid whose size nobody announced proves nothing.  More images than
announced means that the tag counts something else here; it is then not listened to.

The study is ready when all its series are.  A study that never falls silent is due
``study_period`` after the first instance that no version holds yet: silent series then have to
wait for ``settle`` only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from cmr_node.dicom.header import Header
from cmr_node.settings import Assemble

SHOWN = 3  # announcements spelled out in a text, the rest counted
DIGITS = 2  # decimals of a position (mm) or a cosine that tell two slices apart

Scope = tuple[object, ...]


class Reason(StrEnum):
    """What a complete study (or series) rests on; a metric label."""

    PROVEN = "proven"  #: the tags announced what came
    QUIET = "quiet"  #: nothing announced, nothing came for the quiet period
    STALLED = "stalled"  #: more was announced, nothing came for the stall period
    OVERDUE = "overdue"  #: still trickling when the study period was over


@dataclass(slots=True)
class _Announcement:
    """One announced number, and how much of it came."""

    what: str
    announced: int
    repeats: bool  # whether a multiple is as good: the slice was acquired again
    came: int = 0
    marks: set[float] = field(default_factory=set)

    @property
    def short(self) -> bool:
        return self.came < self.announced or 1 < len(self.marks) < self.announced

    @property
    def met(self) -> bool:
        if self.repeats:
            return not self.short and self.came % self.announced == 0
        return self.came == self.announced

    def __str__(self) -> str:
        came = len(self.marks) if 1 < len(self.marks) < self.announced else self.came
        return f"{came} of {self.announced} {self.what}"


@dataclass(slots=True)
class SeriesFacts:
    """What is known of one series; grows with every header, never looks back at them."""

    series_instance_uid: str
    first_received_at: datetime
    last_received_at: datetime
    instances: int = 0
    _announced: dict[Scope, _Announcement] = field(default_factory=dict)
    _covered: Counter[tuple[Scope, ...]] = field(default_factory=Counter)

    def add(self, header: Header, received_at: datetime) -> None:
        """Count one more instance in."""
        self.instances += 1
        self.first_received_at = min(self.first_received_at, received_at)
        self.last_received_at = max(self.last_received_at, received_at)
        scopes = []
        for scope, announcement, mark in _announcements(header):
            held = self._announced.setdefault(scope, announcement)
            held.came += 1
            if mark is not None:
                held.marks.add(mark)
            scopes.append(scope)
        if _is_whole(header) and not scopes:
            scopes.append(("whole",))
        self._covered[tuple(scopes)] += 1

    def short(self) -> tuple[str, ...]:
        """The announcements that are not met yet, in words."""
        return tuple(str(one) for one in self._announced.values() if one.short)

    def proof(self) -> tuple[str, ...]:
        """The announcements that prove every instance to have its fellows; () if not proven."""
        met = {scope: str(one) for scope, one in self._announced.items() if one.met}
        met[("whole",)] = "one multi-frame object"
        if not all(any(scope in met for scope in scopes) for scopes in self._covered):
            return ()
        used = {scope for scopes in self._covered for scope in scopes}
        return tuple(text for scope, text in met.items() if scope in used)


@dataclass(slots=True)
class StudyFacts:
    """What is known of one study: its series, and whether a version of it was completed before.

    ``open_since`` is the arrival of the first instance that no complete version holds.
    """

    study_instance_uid: str
    series: dict[str, SeriesFacts] = field(default_factory=dict)
    reopened: bool = False
    open_since: datetime | None = None
    instances: int = 0

    def add(self, header: Header, received_at: datetime) -> None:
        """Count one more instance in; O(1)."""
        uid = header.series_instance_uid
        if uid not in self.series:
            self.series[uid] = SeriesFacts(uid, received_at, received_at)
        self.series[uid].add(header, received_at)
        self.instances += 1
        if self.open_since is None:
            self.open_since = received_at

    def completed(self) -> None:
        """A version now holds what came so far; what comes from here on is late."""
        self.reopened = True
        self.open_since = None


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """One series: what it rests on, until when it is waited for, and why in words."""

    series_instance_uid: str
    reason: Reason
    due: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One study: whether it is ready, what that rests on, and when to look again if not.

    Without a further instance the answer is the same until ``look_again_at``.
    """

    ready: bool
    reason: Reason
    look_again_at: datetime
    series: tuple[SeriesVerdict, ...]

    @property
    def text(self) -> str:
        """The verdict in one line: counts per reason, and what is missing."""
        counts = Counter(one.reason for one in self.series)
        parts = [f"{counts[reason]} series {reason}" for reason in Reason if counts[reason]]
        missing = [one.text for one in self.series if one.reason is Reason.STALLED]
        return "; ".join([", ".join(parts), *missing[:SHOWN]])


def judge(study: StudyFacts, now: datetime, clocks: Assemble) -> Verdict:
    """Whether ``study`` is complete at ``now``; O(series and slices), no side effect.

    Raises
    ------
    ValueError
        The study has no instance; there is nothing to judge.
    """
    if not study.series:
        raise ValueError(f"study {study.study_instance_uid} has no instance to judge")
    overdue_from = None
    if study.open_since is not None:
        overdue_from = study.open_since + timedelta(seconds=clocks.study_period)
    series = tuple(
        _judge_series(one, study.reopened, overdue_from, clocks) for one in study.series.values()
    )
    last = max(one.last_received_at for one in study.series.values())
    settled = last + timedelta(seconds=clocks.settle)
    ready_at = max(settled, *(one.due for one in series))
    reasons = {one.reason for one in series}
    order = (Reason.STALLED, Reason.OVERDUE, Reason.QUIET, Reason.PROVEN)
    reason = next(reason for reason in order if reason in reasons)
    return Verdict(now >= ready_at, reason, ready_at, series)


def _judge_series(
    facts: SeriesFacts, reopened: bool, overdue_from: datetime | None, clocks: Assemble
) -> SeriesVerdict:
    def after(seconds: float) -> datetime:
        return facts.last_received_at + timedelta(seconds=seconds)

    uid, count = facts.series_instance_uid, facts.instances
    if short := facts.short():
        text = f"series {uid}: {_listed(short)}"
        return SeriesVerdict(uid, Reason.STALLED, after(clocks.stall_period), text)
    proof = facts.proof()
    if proof and not reopened:
        text = f"series {uid}: {_listed(proof)}"
        return SeriesVerdict(uid, Reason.PROVEN, after(clocks.settle), text)
    quiet = after(clocks.quiet_period)
    why = "tags were met before" if proof else "nothing announced covers them"
    text = f"series {uid}: {count} instances, {why}"
    if overdue_from is not None and overdue_from < quiet:
        due = max(overdue_from, after(clocks.settle))
        return SeriesVerdict(uid, Reason.OVERDUE, due, text)
    return SeriesVerdict(uid, Reason.QUIET, quiet, text)


def _announcements(header: Header) -> Iterator[tuple[Scope, _Announcement, float | None]]:
    """(scope, an empty count for it, what tells this instance from its fellows) per tag."""
    parts = _announced(header, "InConcatenationTotalNumber")
    if parts:
        uid = header.text("ConcatenationUID")
        yield (
            ("concatenation", uid, parts),
            _Announcement(f"parts of concatenation {uid}", parts, False),
            header.number("InConcatenationNumber"),
        )
    if _is_whole(header):
        return
    images = _announced(header, "ImagesInAcquisition")
    if images:
        number = header.number("AcquisitionNumber") or 0
        scope = ("acquisition", number, images)
        yield scope, _Announcement(f"images of acquisition {number:g}", images, False), None
    place = _place(header)
    if place is None:
        return
    where = f"at {' '.join(f'{value:g}' for value in _position(header))}"
    phases = _announced(header, "CardiacNumberOfImages")
    if phases:
        mark = header.number("TriggerTime")
        yield ("phases", phases, *place), _Announcement(f"phases {where}", phases, True), mark
    positions = _announced(header, "NumberOfTemporalPositions")
    if positions:
        mark = header.number("TemporalPositionIdentifier")
        what = f"temporal positions {where}"
        yield ("temporal", positions, *place), _Announcement(what, positions, True), mark


def _announced(header: Header, keyword: str) -> int:
    """The announced number; 0 where it announces nothing."""
    value = header.number(keyword)
    return int(value) if value is not None and 1 < value < float("inf") else 0


def _is_whole(header: Header) -> bool:
    """Whether the instance is a multi-frame object."""
    return _announced(header, "NumberOfFrames") > 0


def _place(header: Header) -> Scope | None:
    """What the images of one slice share: kind, position and cosines; None if not known."""
    position = _position(header)
    if not position:
        return None
    cosines = header.numbers("ImageOrientationPatient")
    rounded = tuple(round(value, DIGITS) + 0.0 for value in (*position, *cosines))
    return (header.text("ImageType"), *rounded)


def _position(header: Header) -> tuple[float, ...]:
    return header.numbers("ImagePositionPatient") or header.numbers("SliceLocation")


def _listed(texts: tuple[str, ...]) -> str:
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
