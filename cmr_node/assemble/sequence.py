"""What a series shows (cine, LGE, T1 map ...) and in which view, with everything that says so.

The promise kept here: nothing is guessed in silence.  Words, physics and geometry each cast
their votes; the winner is ``certain`` only if it has enough of them and nothing of weight
contradicts; every vote is handed on.

Descriptions may be empty or wrong: Sunnybrook's are empty, a GE ProtocolName speaks of the whole
examination, and people type what they like.  So SeriesDescription is one strong vote, and
ProtocolName a weak one where SeriesDescription says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np

from cmr_node.assemble import words
from cmr_node.dicom.header import Header
from cmr_node.geometry.standard_view import View

STRONG, FAIR, WEAK = 3, 2, 1
PHASES = 8  # fewer images of one slice are no film of a heart beat
BEAT = (0.15, 2.5)  # s; the trigger times of one cine lie within one beat
DYNAMIC = 12.0  # s; a slice whose images were taken over longer is a series in time, not in a beat
INVERSION = (120.0, 600.0)  # ms; inversion times that null myocardium
T2_ECHO = 40.0  # ms; from here on a spin echo is T2-weighted
PERPENDICULAR_DEG = 85.0
CONTRASTS = 3  # this many echo or inversion times of one slice are a measurement, not a picture


class CardiacSequence(StrEnum):
    """What a stack shows."""

    CINE = "cine"
    LGE = "lge"
    T1_MAP = "t1_map"
    T2 = "t2"
    LOCALIZER = "localizer"
    OTHER = "other"  #: anything else (flow, perfusion, source images of a map), or not known


PLANNED_ON_THE_HEART = frozenset(
    {CardiacSequence.CINE, CardiacSequence.LGE, CardiacSequence.T1_MAP, CardiacSequence.T2}
)
"""Sequences whose stacks lie along or across the heart: which view it is matters."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One vote: where it was seen, what was seen, what it speaks for and how much.

    A negative weight speaks against.  ``value`` is a word or number found, never a whole text.
    """

    what: str
    value: str
    speaks_for: str
    weight: int


@dataclass(frozen=True, slots=True)
class SequenceEvidence:
    """Sequence and view of a stack; ``certain`` only if both are and nothing contradicts.

    ``View.OTHER`` where no view with a standard could be shown.
    """

    sequence: CardiacSequence
    view: View
    certain: bool
    evidence: tuple[Evidence, ...]


Verdict = tuple[CardiacSequence, bool, tuple[Evidence, ...]]


def recognise_sequence(headers: Sequence[Header]) -> Verdict:
    """What the images of (a part of) one series show.

    Parameters
    ----------
    headers
        Those of all its frames (``assemble.frames``), in any order.

    Returns
    -------
    The sequence, whether that is certain, and the votes.
    """
    votes = (*_word_votes(headers), *_physics_votes(headers))
    scores: dict[str, int] = defaultdict(int)
    for vote in votes:
        scores[vote.speaks_for] += vote.weight
    if not scores:
        nothing = Evidence("headers", "nothing that tells sequences apart", "other", 0)
        return CardiacSequence.OTHER, False, (nothing,)
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    best, score = ranked[0]
    runner_up = ranked[1][1] if len(ranked) > 1 else 0
    if runner_up == score:
        return CardiacSequence.OTHER, False, votes
    certain = score >= STRONG > runner_up and score >= 2 * runner_up
    return CardiacSequence(best), certain, votes


def _word_votes(headers: Sequence[Header]) -> Iterator[Evidence]:
    said = False
    for keyword, weight in (("SeriesDescription", STRONG), ("ProtocolName", WEAK)):
        if said:
            return
        for text in sorted({header.text(keyword) for header in headers}):
            if found := words.sequence_word(text):
                said = True
                yield Evidence(keyword, found[1], found[0], weight)
            elif found := words.readout_word(text):
                yield Evidence(keyword, found[1], found[0], WEAK)


def _physics_votes(headers: Sequence[Header]) -> Iterator[Evidence]:
    kinds = {value.upper() for header in headers for value in _values(header, "ImageType")}
    if kinds & {"T1 MAP", "T1_MAP", "T1MAP"}:
        yield Evidence("ImageType", "T1 MAP", "t1_map", STRONG)
    elif kinds & {"T2 MAP", "T2_MAP", "T2MAP"}:
        yield Evidence("ImageType", "T2 MAP", "t2", STRONG)
    if kinds & {"LOCALIZER"}:
        yield Evidence("ImageType", "LOCALIZER", "localizer", STRONG)
    if phase := sorted(kinds & {"P", "PHASE", "VELOCITY", "PHASE MAP", "VELOCITY MAP"}):
        yield Evidence("ImageType", phase[0], "other", STRONG)
    slices = list(_by_slice(headers).values())
    images = float(np.median([len(one) for one in slices]))
    scanning = {value for header in headers for value in _values(header, "ScanningSequence")}
    contrasts = [
        Evidence(keyword, f"{most} values in one slice", "other", STRONG)
        for keyword in ("EchoTime", "InversionTime")
        if (most := max(len(_distinct(one, keyword)) for one in slices)) >= CONTRASTS
    ]
    yield from contrasts
    if images >= PHASES and not contrasts:
        yield from _film_votes(slices, headers)
    inversion = _median(headers, "InversionTime")
    low, high = INVERSION
    if images == 1 and {"GR", "IR"} <= scanning and inversion and low <= inversion <= high:
        yield Evidence("InversionTime", f"{inversion:g} ms, one image per slice", "lge", STRONG)
    echo = _median(headers, "EchoTime")
    if echo and echo >= T2_ECHO and "SE" in scanning:
        yield Evidence("EchoTime", f"{echo:g} ms, spin echo", "t2", FAIR)
    if images <= 2 and _perpendicular(headers):
        yield Evidence("orientations", "three at right angles", "localizer", STRONG + WEAK)


def _film_votes(
    slices: Sequence[Sequence[Header]], headers: Sequence[Header]
) -> Iterator[Evidence]:
    """Votes on many images of one place: a beat (cine) or a course in time (perfusion)."""
    triggers = [sorted(_distinct(one, "TriggerTime")) for one in slices]
    spans = [(times[-1] - times[0]) / 1000 for times in triggers if len(times) >= PHASES]
    taken = [_distinct(one, "AcquisitionTime") for one in slices]
    course = max((max(times) - min(times) for times in taken if times), default=0.0)
    low, high = BEAT
    if len(spans) * 2 > len(slices) and low <= float(np.median(spans)) <= high:
        value = f"{np.median([len(t) for t in triggers]):g} per slice over {np.median(spans):.2f} s"
        yield Evidence("TriggerTime", value, "cine", STRONG + WEAK)
    elif course > DYNAMIC:
        yield Evidence("AcquisitionTime", f"one slice over {course:.0f} s", "other", STRONG)
    announced = _median(headers, "CardiacNumberOfImages")
    if announced and announced >= PHASES:
        yield Evidence("CardiacNumberOfImages", f"{announced:g}", "cine", FAIR)
    variants = {value for header in headers for value in _values(header, "SequenceVariant")}
    flip = _median(headers, "FlipAngle")
    if "SS" in variants and flip and flip >= 30:
        yield Evidence("SequenceVariant", f"SS, flip angle {flip:g} deg", "cine", WEAK)


def _by_slice(headers: Sequence[Header]) -> dict[object, list[Header]]:
    slices: dict[object, list[Header]] = defaultdict(list)
    for header in headers:
        place = header.numbers("ImagePositionPatient") + header.numbers("ImageOrientationPatient")
        slices[tuple(round(value, 1) for value in place)].append(header)
    return slices


def _values(header: Header, keyword: str) -> list[str]:
    return [value.strip() for value in header.text(keyword).split("\\") if value.strip()]


def _distinct(headers: Sequence[Header], keyword: str) -> set[float]:
    """The values; times of day (TM) in seconds."""
    if keyword == "AcquisitionTime":
        times = (header.text(keyword) for header in headers)
        return {seconds for text in times if (seconds := _of_day(text)) is not None}
    values = (header.number(keyword) for header in headers)
    return {value for value in values if value is not None}


def _of_day(text: str) -> float | None:
    """Seconds since midnight of a TM value."""
    try:
        return int(text[0:2]) * 3600 + int(text[2:4]) * 60 + float(text[4:] or 0)
    except ValueError:
        return None


def _median(headers: Sequence[Header], keyword: str) -> float | None:
    values = [value for header in headers if (value := header.number(keyword)) is not None]
    return float(np.median(values)) if values else None


def _perpendicular(headers: Sequence[Header]) -> bool:
    """Whether three of the orientations stand at right angles to each other."""
    rounded = {
        tuple(round(value, 2) for value in cosines)
        for header in headers
        if len(cosines := header.numbers("ImageOrientationPatient")) == 6
    }
    if not 3 <= len(rounded) <= 12:
        return False
    normals = [np.cross(cosines[:3], cosines[3:]) for cosines in rounded]
    limit = np.cos(np.radians(PERPENDICULAR_DEG))
    return any(
        all(abs(float(a @ b)) <= limit for a, b in combinations(three, 2))
        for three in combinations(normals, 3)
    )
