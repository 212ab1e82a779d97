"""The files of one DICOM study: put in order, judged, and planned.

The promise kept here: every file of the study is in a plan, and in more than one only if its
frames make several stacks; something is done with it once.  Two files with one SOP
Instance UID are one image if their data sets are the same, and no image at all if not: which of
them is right is not known, and what is derived would collide as well.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from pydicom.dataset import FileDataset

from cmr_node.assemble.frames import frames_from
from cmr_node.assemble.loose import LooseStack, loose_stacks
from cmr_node.assemble.records import Assembly, Refusal, Refused, Stack
from cmr_node.assemble.stack import assemble
from cmr_node.batch.look import header_of
from cmr_node.batch.plan import Context, Plan, Shown, Work
from cmr_node.batch.planning import plan_of
from cmr_node.batch.report import REFUSED, Record
from cmr_node.batch.stated import with_stated
from cmr_node.dicom.header import Header
from cmr_node.dicom.part10 import read_meta
from cmr_node.dicom.products import is_own_product
from cmr_node.dicom.reading import read
from cmr_node.dicom.words import display_values
from cmr_node.errors import BadInstance
from cmr_node.inference.pixels_alone import HeaderTrust
from cmr_node.inference.recognition import Image
from cmr_node.judgement import Judged, cell_values, judge, judge_loose

logger = logging.getLogger(__name__)

LEFT: Final = (Refusal.NOT_MR_IMAGE, Refusal.COLOUR, Refusal.MOSAIC)
"""Instances that nothing is wrong with: there is nothing in them to be turned."""

LOOSE_IMAGES: Final = 9
"""Pictures of a stack without geometry that a network is shown, spread over it."""


def plan_study(
    context: Context, unit: bytes, rows: Sequence[tuple[bytes, bytes]], elsewhere: frozenset[str]
) -> list[Plan]:
    """Plan one study.

    Parameters
    ----------
    rows
        (path, packed header) of each of its files, by path.
    elsewhere
        SOP Instance UIDs of it that other studies have, too.
    """
    planned: set[Work] = set()
    plans = []
    for plan in _Study(context, unit, rows, elsewhere).plans():
        # The frames of one file may make several stacks; it is copied once.
        plans.append(replace(plan, work=tuple(one for one in plan.work if one not in planned)))
        planned.update(plan.work)
    return plans


class _Study:
    def __init__(
        self,
        context: Context,
        unit: bytes,
        rows: Sequence[tuple[bytes, bytes]],
        elsewhere: frozenset[str],
    ) -> None:
        self.context, self.unit, self.elsewhere = context, unit, elsewhere
        self.headers: dict[str, Header] = {}
        self.paths: dict[str, list[bytes]] = defaultdict(list)
        for path, packed in rows:
            header = header_of(packed)
            self.headers.setdefault(header.sop_instance_uid, header)
            self.paths[header.sop_instance_uid].append(path)

    def plans(self) -> Iterator[Plan]:
        options = self.context.options
        own = [header for header in self.headers.values() if is_own_product(header)]
        conflicts = [
            Refused(header, Refusal.TWICE, text)
            for header in self.headers.values()
            if (text := self.conflict(header.sop_instance_uid))
        ]
        out = {one.sop_instance_uid for one in (*own, *(c.instance for c in conflicts))}
        usable = [header for uid, header in self.headers.items() if uid not in out]
        assembly = assemble(usable, frames_from(self.read))
        refused = (*assembly.refused, *conflicts)
        loose = [one.instance for one in refused if one.reason is Refusal.GEOMETRY]
        stacks = assembly.stacks
        if options.trusting.header is HeaderTrust.ABSENT:
            loose += [header for stack in stacks for header in stack.instances]
            stacks = ()
        stacks = tuple(with_stated(stack, options) for stack in stacks)
        pixels = cell_values(self.read)
        judging = judge(Assembly(stacks, refused), pixels, options.policy, options.trusting)
        for judged in judging:
            yield self.stack_plan(judged, refused)
        for one in loose_stacks({header.sop_instance_uid: header for header in loose}.values()):
            yield self.loose_plan(with_stated(one, options))
        yield from self.rest(own, [one for one in refused if one.reason is not Refusal.GEOMETRY])

    def stack_plan(self, judged: Judged[Stack], refused: Sequence[Refused]) -> Plan:
        slices = judged.stack.slices
        cell = slices[len(slices) // 2].cells[0]
        shown = Shown(self.paths[cell.instance.sop_instance_uid][0], cell.frame)
        files = self.files(judged.stack.instances)
        return plan_of(self.context, self.unit, judged, files, shown, refused)

    def loose_plan(self, stack: LooseStack) -> Plan:
        options = self.context.options
        judged = judge_loose(stack, self.images, options.policy, options.trusting)
        middle = stack.instances[len(stack.instances) // 2]
        shown = Shown(self.paths[middle.sop_instance_uid][0])
        return plan_of(self.context, self.unit, judged, self.files(stack.instances), shown)

    def rest(self, own: Sequence[Header], refused: Sequence[Refused]) -> Iterator[Plan]:
        """Plans for the files that are in no stack, one a reason."""
        if own:
            reason = "Made by this product; what it makes is not turned again."
            record = self.record(own, "own_product", reason, left=True)
            yield Plan(self.unit, record, self.copies(own))
        for reason in Refusal:
            group = [one for one in refused if one.reason is reason]
            if group:
                headers = [one.instance for one in group]
                text = f"{len(group)} instances lie in no stack: {group[0].text}"
                record = self.record(headers, reason, text, left=reason in LEFT)
                without = self.context.options.without_asked and record.decision == REFUSED
                yield Plan(self.unit, record, () if without else self.copies(headers))

    def record(self, headers: Sequence[Header], kind: str, reason: str, *, left: bool) -> Record:
        return Record.of_no_stack(
            self.files(headers),
            kind,
            reason,
            decision="leave" if left else "refused",
            study=headers[0].study_instance_uid,
        )

    def files(self, headers: Iterable[Header]) -> list[bytes]:
        return [path for header in headers for path in self.paths[header.sop_instance_uid]]

    def copies(self, headers: Iterable[Header]) -> tuple[Work, ...]:
        return tuple(Work(path) for path in self.files(headers))

    def conflict(self, uid: str) -> str:
        """Why the files under one UID are no image, "" if they are one."""
        if uid in self.elsewhere:
            return f"SOP Instance UID {uid} occurs in another study as well"
        first, *others = self.paths[uid]
        if others and any(self.data_set(path) != self.data_set(first) for path in others):
            return f"{1 + len(others)} files with different content have SOP Instance UID {uid}"
        return ""

    def data_set(self, path: bytes) -> bytes:
        data = self.context.path_of(path).read_bytes()
        return data[read_meta(data).offset :]

    def read(self, header: Header) -> FileDataset:
        return read(self.context.path_of(self.paths[header.sop_instance_uid][0]))

    def images(self, stack: LooseStack) -> list[Image]:
        step = max(1, len(stack.instances) // LOOSE_IMAGES)
        found: list[Image] = []
        for header in stack.instances[step // 2 :: step]:
            try:
                found.append(display_values(self.read(header)))
            except BadInstance as error:
                logger.warning(
                    "instance %s is not shown to the network: %s", header.sop_instance_uid, error
                )
        return found
