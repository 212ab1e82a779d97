"""What is known of each stack of a study, and what is to be done with it.

The promise kept here: the node and the folder tool judge alike, because both ask here.  A stack
is heard whole before anything is done: what its header implies (``geometry.standard_view``),
whether the slices that cross it agree (``geometry.consistency``), what the network sees in a
short axis; then, all stacks heard, ``inference`` decides.  A stack of which the network can make
nothing is one it is not sure of, with the reason: neither an error nor a stack without network.
Nothing is written and no file is opened but through ``Pixels``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from pydicom.dataset import FileDataset

from cmr_node.assemble.loose import LooseStack
from cmr_node.assemble.records import Assembly, Cell, FindingKind, Refusal, Refused, Stack
from cmr_node.assemble.sequence import PLANNED_ON_THE_HEART, Evidence
from cmr_node.dicom.header import Header
from cmr_node.dicom.words import display_values
from cmr_node.errors import BadInstance, RefusedStack
from cmr_node.geometry.consistency import MAX_SLICES, CrossingEvidence, Slice, crossing_evidence
from cmr_node.geometry.standard_view import HeaderEvidence, View, implied_orientation
from cmr_node.inference.card import Thresholds
from cmr_node.inference.decide import Reason, Verdict, ask, decide, left_by_policy
from cmr_node.inference.fusion import fuse_stacks
from cmr_node.inference.hearing import as_json, hear
from cmr_node.inference.pixels_alone import HeaderTrust, decide_by_pixels
from cmr_node.inference.recognition import Image, NetworkEvidence, Recogniser
from cmr_node.settings import Standardise

logger = logging.getLogger(__name__)

AnyStack = TypeVar("AnyStack", Stack, LooseStack)

Pixels = Callable[[Cell], Image]
"""The door to the values of one cell, (rows, columns), brighter larger; raises BadInstance."""

Images = Callable[[LooseStack], Sequence[Image]]
"""The door to the pictures of a stack without geometry, those that can be read."""

UNKNOWN_SPACING = (1.33, 1.33)
"""mm; what a cardiac MR image has where nobody says."""

UNPLACED = (Refusal.GEOMETRY, Refusal.FRAMES, Refusal.NO_PIXELS, Refusal.TWICE)
"""Why an image that belongs to a stack, as far as can be told, lies in none."""

UNTURNABLE = (
    FindingKind.TILTED_SLICES,
    FindingKind.MIXED_SIZES,
    FindingKind.MIXED_SPACINGS,
)
"""Findings that leave it open whether one operation is right for all slices of a stack."""


@dataclass(frozen=True, slots=True)
class Trusting:
    """How far the headers of a source are believed, and what stands in for them.

    accept_network
        Whether the network may correct pixels against an untrusted header.
    recognise
        The network; None if none is installed.
    network
        What tells it from another one: its digest, "" if none is installed.
    thresholds
        When it counts as sure, for stacks that are heard together; None: each for itself.
    """

    header: HeaderTrust = HeaderTrust.TRUSTED
    accept_network: bool = False
    recognise: Recogniser | None = None
    network: str = ""
    thresholds: Thresholds | None = None


BY_THE_HEADER = Trusting()


@dataclass(frozen=True, slots=True)
class _Heard:
    """A stack and all that spoke of it, before anything is decided."""

    stack: Stack
    header: HeaderEvidence | None
    crossing: CrossingEvidence | None
    network: NetworkEvidence | None


@dataclass(frozen=True, slots=True)
class Judged(Generic[AnyStack]):
    """A stack with everything that was found out about it."""

    stack: AnyStack
    header: HeaderEvidence | None
    crossing: CrossingEvidence | None
    network: NetworkEvidence | None
    verdict: Verdict


def judge(
    assembly: Assembly, pixels: Pixels, policy: Standardise, trusting: Trusting = BY_THE_HEADER
) -> Iterator[Judged[Stack]]:
    """Judge the stacks of one study, in their order; the first comes when all were heard."""
    alone = [_heard(stack, assembly.stacks, pixels, policy, trusting) for stack in assembly.stacks]
    heard = _together(alone, policy, trusting)
    for one in heard:
        if trusting.header is HeaderTrust.TRUSTED:
            verdict = _by_header(one, policy)
        else:
            verdict = _by_pixels(one.stack, one.network, policy, trusting)
        yield Judged(one.stack, one.header, one.crossing, one.network, verdict)


def judge_loose(
    stack: LooseStack, images: Images, policy: Standardise, trusting: Trusting = BY_THE_HEADER
) -> Judged[LooseStack]:
    """Judge images that have no place in the patient, or whose place is not believed."""
    network = None
    if trusting.header is HeaderTrust.TRUSTED:
        verdict = decide(stack.view, None, policy)
        if is_unknown(stack):
            verdict = ask(
                Reason.NO_GEOMETRY, "Neither the view nor the place in the patient is known."
            )
    else:
        if (recognise := _network_for(stack, trusting)) is not None:
            uid = stack.instances[0].series_instance_uid
            network = hear(recognise, images(stack), stack.pixel_spacing or UNKNOWN_SPACING, uid)
        verdict = _by_pixels(stack, network, policy, trusting)
    return Judged(stack, None, None, network, verdict)


def is_unknown(stack: Stack | LooseStack) -> bool:
    """Whether nothing tells if the stack shows a view that has a standard."""
    return stack.view is View.OTHER and not stack.recognised.certain


def cell_values(read: Callable[[Header], FileDataset]) -> Pixels:
    """The door to the values of DICOM images; ``read`` opens the file of an instance.

    The frames of one instance are mostly asked for one after the other: the last one is kept.
    """
    latest: dict[str, FileDataset] = {}

    def values(cell: Cell) -> Image:
        uid = cell.instance.sop_instance_uid
        if uid not in latest:
            latest.clear()
            latest[uid] = read(cell.instance)
        return display_values(latest[uid], cell.frame)

    return values


def must_be_turnable(stack: Stack, refused: Sequence[Refused]) -> None:
    """Raise ``RefusedStack`` where one operation for all slices cannot be vouched for.

    Parameters
    ----------
    refused
        What of the same study lies in no stack (``Assembly.refused``).
    """
    for one in refused:
        if one.reason in UNPLACED and (
            one.instance.series_instance_uid in stack.series_instance_uids
        ):
            uid = one.instance.sop_instance_uid
            raise RefusedStack(f"instance {uid} of its series lies in no stack: {one.text}")
    for finding in stack.findings:
        if finding.kind in UNTURNABLE:
            raise RefusedStack(f"{finding.kind}: {finding.text}")
    frames: dict[str, set[int]] = {}
    for cell in stack.cells:
        frames.setdefault(cell.instance.sop_instance_uid, set()).add(cell.frame)
    for header in stack.instances:
        held, here = int(header.number("NumberOfFrames") or 1), frames[header.sop_instance_uid]
        if len(here) != held:
            raise RefusedStack(
                f"instance {header.sop_instance_uid} has {held} frames, {len(here)} of them in "
                "this stack; an instance is turned whole or not at all"
            )


def evidence_of(judged: Judged[AnyStack]) -> dict[str, Any]:
    """Everything that spoke for or against, as JSON."""
    stack, header, crossing, network = (
        judged.stack, judged.header, judged.crossing, judged.network
    )  # fmt: skip
    return {
        "kind": str(judged.verdict.kind),
        "certain": stack.recognised.certain,
        "recognised": [vote_as_json(vote) for vote in stack.recognised.evidence],
        "header": header
        and {
            "orientation": str(header.orientation),
            "residual_deg": round(header.residual_deg, 3),
            "margin_deg": round(header.margin_deg, 3),
            "conditioning": round(header.conditioning, 4),
        },
        "crossing": crossing
        and {
            "best": str(crossing.best),
            "margin": round(crossing.margin, 4),
            "pairs": crossing.pairs,
            "scores": {str(o): round(score, 4) for o, score in crossing.scores.items()},
        },
        "network": network and as_json(network),
        "findings": [{"kind": str(f.kind), "text": f.text} for f in stack.findings],
    }


def vote_as_json(vote: Evidence) -> dict[str, Any]:
    """One vote on what a stack shows."""
    return {"what": vote.what, "value": vote.value, "for": vote.speaks_for, "weight": vote.weight}


def _heard(
    stack: Stack,
    others: Sequence[Stack],
    pixels: Pixels,
    policy: Standardise,
    trusting: Trusting,
) -> _Heard:
    left = left_by_policy(stack.view, policy) is not None
    across = [] if left else _crossing_stacks(stack, others)
    theirs = [one for other in across for one in _first_phases(other, pixels)]
    recognise = _network_for(stack, trusting)
    mine = _first_phases(stack, pixels) if theirs or recognise else []
    crossing = crossing_evidence(mine, theirs) if theirs else None
    network = None
    if recognise is not None:
        images = [np.asarray(one.pixels) for one in mine]
        uid = stack.series_instance_uids[0]
        network = hear(recognise, images, stack.plane.pixel_spacing, uid)
    return _Heard(stack, implied_orientation(stack.plane, stack.view), crossing, network)


def _together(heard: Sequence[_Heard], policy: Standardise, trusting: Trusting) -> Sequence[_Heard]:
    """Short-axis stacks of one frame of reference hear what the network saw in each other.

    Only where headers are believed do they say how one stack lies to another.
    """
    if trusting.thresholds is None or trusting.header is not HeaderTrust.TRUSTED:
        return heard
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(heard):
        frame, header = one.stack.frame_of_reference_uid, one.header
        known = header is not None and header.conditioning >= policy.min_conditioning
        if frame and known and one.network is not None and one.stack.view is View.SAX:
            groups.setdefault(frame, []).append(place)
    found = list(heard)
    for places in groups.values():
        pairs = [(one.network, one.header) for one in (heard[place] for place in places)]
        told = fuse_stacks([(n, h) for n, h in pairs if n and h], trusting.thresholds)
        for place, network in zip(places, told, strict=True):
            found[place] = replace(heard[place], network=network)
    return found


def _crossing_stacks(stack: Stack, others: Sequence[Stack]) -> list[Stack]:
    """The other stacks of the same frame of reference and sequence that cross it."""
    return [
        other
        for other in others
        if other is not stack
        and other.frame_of_reference_uid
        and other.frame_of_reference_uid == stack.frame_of_reference_uid
        and other.sequence == stack.sequence
        and (other.view is View.SAX) != (stack.view is View.SAX)
    ]


def _network_for(stack: Stack | LooseStack, trusting: Trusting) -> Recogniser | None:
    """The network, if there is one and the stack may be the short axis it knows."""
    alone = trusting.header is not HeaderTrust.TRUSTED
    known = stack.view is View.SAX or (alone and is_unknown(stack))
    return trusting.recognise if known else None


def _by_header(heard: _Heard, policy: Standardise) -> Verdict:
    stack = heard.stack
    if is_unknown(stack) and stack.sequence in PLANNED_ON_THE_HEART:
        return ask(
            Reason.UNCERTAIN_VIEW,
            f"Neither words nor geometry tell which view of the heart this {stack.sequence} shows.",
        )
    certain = stack.recognised.certain
    return decide(
        stack.view, heard.header, policy, heard.crossing, heard.network, view_certain=certain
    )


def _by_pixels(
    stack: Stack | LooseStack,
    network: NetworkEvidence | None,
    policy: Standardise,
    trusting: Trusting,
) -> Verdict:
    return decide_by_pixels(
        stack.view,
        network,
        policy,
        trusting.header,
        view_certain=stack.recognised.certain,
        accept_network=trusting.accept_network,
    )


def _first_phases(stack: Stack, pixels: Pixels) -> list[Slice]:
    """The slices of a stack at its first phase, thinned out to what is compared.

    An image that cannot be read bears no witness; whoever derives from it has to refuse it.
    """
    step = max(1, len(stack.slices) // MAX_SLICES)
    found: list[Slice] = []
    for cell in (one.cells[0] for one in stack.slices[step // 2 :: step]):
        try:
            found.append(Slice(pixels(cell), cell.plane))
        except BadInstance as error:
            uid = cell.instance.sop_instance_uid
            logger.warning("instance %s is not compared with crossing planes: %s", uid, error)
    return found
