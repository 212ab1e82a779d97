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
    told = stack.recognised
    states_sequence = options.sequence is not None and told.sequence is CardiacSequence.OTHER
    states_view = options.view is not None and told.view is View.OTHER
    if told.sequence is CardiacSequence.LOCALIZER or not (states_sequence or states_view):
        return stack
    sequence: CardiacSequence = told.sequence
    view, certain = told.view, told.certain
    votes: tuple[Evidence, ...] = told.evidence
    if states_sequence and options.sequence is not None:
        sequence = options.sequence
        votes += (Evidence("--sequence", sequence, sequence, STRONG),)
        verdict = _view_of(stack, sequence)
        view, certain = verdict[:2]
        votes = tuple(dict.fromkeys((*votes, *verdict[2])))
    if options.view is not None and view is View.OTHER:
        view = options.view
        votes += (Evidence("--view", view, view, STRONG),)
        certain = isinstance(stack, LooseStack) or not contradicts(stack.plane, view)
    return replace(stack, recognised=SequenceEvidence(sequence, view, certain, votes))


def _view_of(
    stack: Stack | LooseStack, sequence: CardiacSequence
) -> tuple[View, bool, tuple[Evidence, ...]]:
    """The view once the sequence is known, where there are planes that tell more of it."""
    if isinstance(stack, LooseStack):
        return stack.view, stack.recognised.certain, ()
    headers = [cell.header for cell in stack.cells]
    return recognise_view(sequence, headers, [one.plane for one in stack.slices])
