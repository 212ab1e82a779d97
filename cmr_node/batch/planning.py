"""From a judgement to a record and a plan, the same for DICOM and volumes.

The promise kept here: files are turned only where the verdict is to act, and then all files of
the stack or none; every other file is copied as it is, or left out if that was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from cmr_node.assemble.records import Refused, Stack
from cmr_node.batch.plan import Context, Doing, Plan, Shown, Work
from cmr_node.batch.report import Record, shown_path
from cmr_node.errors import RefusedStack
from cmr_node.inference.decide import Decision
from cmr_node.inference.pixels_alone import HeaderTrust
from cmr_node.judgement import AnyStack, Judged, evidence_of, must_be_turnable


def plan_of(
    context: Context,
    unit: bytes,
    judged: Judged[AnyStack],
    files: Sequence[bytes],
    shown: Shown,
    refused: Sequence[Refused] = (),
) -> Plan:
    """The plan for one stack.

    Parameters
    ----------
    files
        All files of the stack, paths below the source.
    refused
        What of the same study lies in no stack.
    """
    options, verdict = context.options, judged.verdict
    plan = Plan(unit, _record(judged, files), tuple(Work(path) for path in files), shown)
    if verdict.decision is Decision.ACT:
        try:
            if isinstance(judged.stack, Stack):
                must_be_turnable(judged.stack, refused)
        except RefusedStack as error:
            return plan.refused(str(error), copied=not options.without_asked)
        trusted = options.trusting.header is HeaderTrust.TRUSTED
        doing = Doing.REORIENT if trusted else Doing.CORRECT
        turned = tuple(Work(path, doing, verdict.operation) for path in files)
        return Plan(unit, plan.record, turned, shown)
    return plan.of_no_work() if plan.is_undecided and options.without_asked else plan


def _record(judged: Judged[AnyStack], files: Sequence[bytes]) -> Record:
    stack, verdict, facts = judged.stack, judged.verdict, evidence_of(judged)
    return Record.model_validate(
        {
            "files": sorted(shown_path(path) for path in files),
            "study": stack.study_instance_uid or None,
            "sequence": stack.sequence,
            "view": stack.view,
            "evidence": {
                name: facts[name] for name in ("kind", "certain", "recognised", "findings")
            },
            "network": facts["network"],
            "header": facts["header"],
            "crossing": facts["crossing"],
            "decision": str(verdict.decision),
            "operation": verdict.operation,
            "reason": verdict.reason,
        }
    )
