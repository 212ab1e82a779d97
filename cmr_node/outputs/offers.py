"""Which of the results go to a destination, and which go in place of what it does not take.

The promise kept here: a destination gets each result once, in the best form that it is told to
get and takes; where it takes neither segmentations nor reports, it gets the page of pictures,
which every archive stores.

    label map -> segmentation -> page        what is left of it: settings, ``Peer.segmentation``
    report -> page                           and ``Peer.secondary_capture``
    report of a question -> key objects      these go anyway, and say why
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from cmr_node.settings import Peer


@dataclass(frozen=True, slots=True)
class Segmentations:
    """The SOP Instance UIDs of the outlines of one phase; "" where that encoding was not made."""

    binary: str
    label_map: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """The SOP Instance UIDs of what asks a person; "" where one of them could not be made."""

    key_objects: str
    report: str


@dataclass(frozen=True, slots=True)
class Results:
    """The SOP Instance UIDs of what was made of one stack.

    page
        The secondary capture; "" where there is none.
    others
        What has no other form: derived images.
    """

    segmentations: Sequence[Segmentations] = ()
    reports: Sequence[str] = ()
    page: str = ""
    question: Question | None = None
    others: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """What a destination is to have, and what it is to have instead.

    Both are what ``store.ledger`` takes: ``wanted`` in order, each once; ``next_best`` maps an
    instance to the one that goes in its place where its SOP class is not taken.
    """

    wanted: tuple[str, ...] = ()
    next_best: dict[str, str] = field(default_factory=dict)


def offer(results: Sequence[Results], peer: Peer) -> Offer:
    """What ``peer`` is to have of the results of a study, by its settings."""
    wanted: list[str] = []
    next_best: dict[str, str] = {}
    for result in results:
        page = "" if peer.secondary_capture == "never" else result.page
        wanted += result.others
        for outlines in result.segmentations:
            forms = [outlines.label_map] if peer.segmentation == "label_map" else []
            _chain([*forms, outlines.binary, page], wanted, next_best)
        for report in result.reports:
            _chain([report, page], wanted, next_best)
        if (question := result.question) is not None:
            wanted += [question.key_objects] if question.key_objects else []
            _chain([question.report, question.key_objects], wanted, next_best)
        if page and peer.secondary_capture == "always":
            wanted.append(page)
    return Offer(tuple(dict.fromkeys(wanted)), next_best)


def _chain(forms: Sequence[str], wanted: list[str], next_best: dict[str, str]) -> None:
    made = [form for form in forms if form]
    if len(made) == 1 and made[0] == forms[-1]:
        return  # the last resort stands for nothing by itself
    wanted.extend(made[:1])
    next_best.update(pairwise(made))
