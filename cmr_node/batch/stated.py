"""What a person states of stacks whose headers do not tell.

The promise kept here: a header that tells is never overruled.  ``--sequence`` counts where no
sequence was recognised, ``--view`` where no view was, and geometry may still contradict either.
"""

from __future__ import annotations

from dataclasses import replace

from cmr_node.assemble.loose import LooseStack
from cmr_node.assemble.records import Stack
from cmr_node.assemble.sequence import (
    STRONG,
    CardiacSequence,
    Evidence,
    SequenceEvidence,
)
from cmr_node.assemble.view import contradicts, recognise_view
from cmr_node.batch.plan import Options
from cmr_node.geometry.standard_view import View
from cmr_node.judgement import AnyStack


def with_stated(stack: AnyStack, options: Options) -> AnyStack:
    """The stack as recognised by its header and, where that is silent, by what was stated."""
    return replace(stack, recognised=_recognised(stack, options))


def _recognised(stack: Stack | LooseStack, options: Options) -> SequenceEvidence:
    told = stack.recognised
    sequence, view, certain, votes = told.sequence, told.view, told.certain, told.evidence
    if sequence is CardiacSequence.LOCALIZER:
        return told
    if options.sequence is not None and sequence is CardiacSequence.OTHER:
        sequence = options.sequence
        votes += (Evidence("--sequence", sequence, sequence, STRONG),)
        view, certain, seen = _view_of(stack, sequence)
        votes = tuple(dict.fromkeys((*votes, *seen)))
    if options.view is not None and view is View.OTHER:
        view = options.view
        votes += (Evidence("--view", view, view, STRONG),)
        certain = isinstance(stack, LooseStack) or not contradicts(stack.plane, view)
    return SequenceEvidence(sequence, view, certain, votes)


def _view_of(
    stack: Stack | LooseStack, sequence: CardiacSequence
) -> tuple[View, bool, tuple[Evidence, ...]]:
    """The view once the sequence is known, where there are planes that tell more of it."""
    if isinstance(stack, LooseStack):
        return stack.view, stack.recognised.certain, ()
    headers = [cell.header for cell in stack.cells]
    return recognise_view(sequence, headers, [one.plane for one in stack.slices])
