"""Act, leave, or ask a person: what is done with one stack.

The promise kept here: pixels are re-indexed only when everything known about the stack says so;
whatever is in doubt is left as it came, and the doubt is said.

Three speak, first rule that applies: the header H (``geometry.standard_view``), the slices that
cross the stack (``geometry.consistency``), and of a short axis the network N, if one is installed
and sure by the thresholds of its card.

    the view has no standard, or its policy is to leave it             leave
    position, cosines or spacing unusable                              ask
    crossing slices say that the header is not true to the pixels      ask
    header ill-conditioned: the heart is not seen the usual way        ask
    N sure, and mirrored where H is not, or the other way round        ask
    H within ``min_margin_deg`` of another orientation
        N not sure, or none installed                                  ask
        N neither H nor that other one                                 ask
        N standard                                                     leave
        N otherwise                                                    as H otherwise, by N
    N sure, and not H                                                  ask
    H standard                                                         leave
    H otherwise, mirrored or not
        sequence or view are not certain                               ask
        N not sure                                                     ask, or as the next if the
                                                                       setting says so
        N sure and the same, or none installed                         act: undo it

``ask`` and ``leave`` change nothing; what differs is whether a person is shown the stack.  An
angle in doubt keeps the present orientation unless the network settles it: on a real study 36
degrees off the header leaned to a quarter turn while the picture was right.  Acting moves nothing
in the patient, whoever it follows, because pixels and geometry are re-indexed together; so a
mirroring that header and network both see (a stack seen from the base) is undone.  One that only
the pixels show is never undone here: it may be a converter's error or a heart on the right side.
A turn that only the pixels show is one that nobody logged, or an error of the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cmr_node.geometry.consistency import CrossingEvidence
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import HeaderEvidence, View
from cmr_node.inference.recognition import NetworkEvidence
from cmr_node.settings import Standardise


class Decision(StrEnum):
    """What happens to a stack."""

    ACT = "act"  #: derive a series whose pixels have gone through ``Verdict.operation``
    LEAVE = "leave"  #: nothing to do
    ASK = "ask"  #: nothing is changed; a person is shown the stack and the reason


class Reason(StrEnum):
    """Why, as a label for metrics: a closed list, never free text."""

    TURNED = "turned"  #: act
    STANDARD = "standard"  #: leave
    NO_STANDARD_VIEW = "no_standard_view"  #: leave
    LONG_AXIS_POLICY = "long_axis_policy"  #: leave
    NO_GEOMETRY = "no_geometry"  #: ask
    CROSSING_CONFLICT = "crossing_conflict"  #: ask
    ILL_CONDITIONED = "ill_conditioned"  #: ask
    AMBIGUOUS_ANGLE = "ambiguous_angle"  #: ask
    MIRRORED = "mirrored"  #: ask
    CONFLICT = "conflict"  #: ask
    UNCERTAIN_VIEW = "uncertain_view"  #: ask
    NO_NETWORK = "no_network"  #: ask
    NETWORK_UNSURE = "network_unsure"  #: ask
    NETWORK_NOT_ACCEPTED = "network_not_accepted"  #: ask
    CORRECTED = "corrected"  #: act, on the pixels alone


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on one stack and why.

    operation
        What is done to the pixels: undoes the orientation found; ``IDENTITY`` unless ``ACT``.
    kind
        The reason as one of a closed list.
    reason
        The reason as one ASCII sentence for people, with the numbers it rests on.
    """

    decision: Decision
    operation: Orientation
    kind: Reason
    reason: str

    def __post_init__(self) -> None:
        acts = self.decision is Decision.ACT
        if acts == (self.operation is Orientation.IDENTITY):
            raise ValueError(f"{self.decision} goes with no operation {self.operation}")


def decide(
    view: View,
    header: HeaderEvidence | None,
    policy: Standardise,
    crossing: CrossingEvidence | None = None,
    network: NetworkEvidence | None = None,
    *,
    view_certain: bool = True,
) -> Verdict:
    """What is done with a stack of one geometry (a mixed one is refused before).

    Parameters
    ----------
    view
        What the stack shows; ``View.OTHER`` if nobody can tell.
    header
        What the header implies for that view; None if its geometry is absent or unusable.
    policy
        How sure the header must be, and whether long axes are touched.
    crossing
        Agreement with slices that cross the stack; None if there are none to be read.
    network
        What it sees; None if none is installed, or if the view is not the short axis it knows.
    view_certain
        Whether words, physics and geometry agree on the view.
    """
    if network is not None and view is not View.SAX:
        raise ValueError(f"the network knows the short axis alone, not {view}")
    if (left := left_by_policy(view, policy)) is not None:
        return left
    if header is None:
        return ask(
            Reason.NO_GEOMETRY,
            "The header gives no usable position, directions and spacing, so nothing is known "
            "of how the stack lies in the patient.",
        )
    if (doubted := _doubted(view, header, policy, crossing)) is not None:
        return doubted
    doubt = "" if network is None else network.doubt.rstrip(".")
    sure = None if network is None or doubt else network
    between = header.margin_deg < policy.min_margin_deg
    angle = _angle(header)
    if sure is not None and (against := _against(header, sure, between=between)) is not None:
        return against
    if not between:
        found, who = header.orientation, "The header shows"
    elif sure is not None:
        found = sure.orientation
        who = f"{_between(header)}, the network ({_probability(sure)}) settles it:"
    else:
        unsure = f" and the network is not sure ({doubt})" if doubt else ""
        return ask(
            Reason.AMBIGUOUS_ANGLE,
            f"{_between(header)} ({angle}, needed {_degrees(policy.min_margin_deg)}){unsure}; the "
            "present orientation is kept.",
        )
    agreed = ""
    if sure is not None and not between:
        agreed = f" The network agrees ({_probability(sure)})."
    if crossing is not None and crossing.confirms_header:
        agreed += f" Crossing slices agree ({crossing.pairs} pairs)."
    if doubt:
        agreed += f" The network is not sure: {doubt}."
    if found is Orientation.IDENTITY:
        return leave(Reason.STANDARD, f"{who} the standard {view} view ({angle}).{agreed}")
    stored = f"the {view} view stored {found} ({angle})"
    if not view_certain:
        return ask(
            Reason.UNCERTAIN_VIEW,
            f"{who} {stored}, but words, physics and geometry leave it open whether that is what "
            "the stack shows.",
        )
    if doubt and policy.when_network_unsure == "ask":
        return ask(Reason.NETWORK_UNSURE, f"{who} {stored}.{agreed}")
    undo = found.inverse
    return Verdict(Decision.ACT, undo, Reason.TURNED, f"{who} {stored}; {undo} undoes it.{agreed}")


def _doubted(
    view: View, header: HeaderEvidence, policy: Standardise, crossing: CrossingEvidence | None
) -> Verdict | None:
    """``ask`` where the header is not to be believed at all, else None."""
    if crossing is not None and crossing.contradicts_header:
        best = crossing.best
        return ask(
            Reason.CROSSING_CONFLICT,
            f"Along the lines where other slices cross the stack the pixels fit better as "
            f"{best} of what the header says (correlation {crossing.scores[best]:.2f}) than as "
            f"the header says ({crossing.scores[Orientation.IDENTITY]:.2f}, "
            f"{crossing.pairs} pairs of slices): pixels and header disagree.",
        )
    if header.conditioning < policy.min_conditioning:
        return ask(
            Reason.ILL_CONDITIONED,
            f"The stack lies too far from a usual {view} plane for its header to tell the "
            f"standard view (conditioning {header.conditioning:.2f}, "
            f"needed {policy.min_conditioning:.2f}).",
        )
    return None


def _against(header: HeaderEvidence, sure: NetworkEvidence, *, between: bool) -> Verdict | None:
    """``ask`` where a network that is sure contradicts the header, else None."""
    seen, told = sure.orientation, header.orientation
    both = (
        f"The network sees the view stored {seen} ({_probability(sure)}) and the header shows it "
        f"stored {told} ({_angle(header)})"
    )
    if seen.chirality != told.chirality:
        return ask(
            Reason.MIRRORED,
            f"{both}: one of the two is mirrored, which may be a converter's error or a heart on "
            "the right side.",
        )
    if seen not in ((told, header.second) if between else (told,)):
        return ask(
            Reason.CONFLICT,
            f"{both}: a turn of the pixels that nobody wrote down, or an error of the network.",
        )
    return None


def left_by_policy(view: View, policy: Standardise) -> Verdict | None:
    """``leave`` for a stack that is not turned whatever else is known of it, else None."""
    if view is View.OTHER:
        return leave(Reason.NO_STANDARD_VIEW, "No standard view is known for this stack.")
    if view.is_long_axis and policy.long_axis == "leave":
        return leave(
            Reason.LONG_AXIS_POLICY,
            f"Long-axis stacks ({view}) are left as they are by the setting standardise.long_axis.",
        )
    return None


def leave(kind: Reason, reason: str) -> Verdict:
    """Nothing to do."""
    return Verdict(Decision.LEAVE, Orientation.IDENTITY, kind, reason)


def ask(kind: Reason, reason: str) -> Verdict:
    """Nothing is changed; a person is asked."""
    return Verdict(Decision.ASK, Orientation.IDENTITY, kind, reason)


def _between(header: HeaderEvidence) -> str:
    return f"The header lies between {header.orientation} and {header.second}"


def _angle(header: HeaderEvidence) -> str:
    margin = _degrees(header.margin_deg)
    return f"{_degrees(header.residual_deg)} off, {margin} from {header.second}"


def _probability(network: NetworkEvidence) -> str:
    return f"probability {network.probability:.3f}"


def _degrees(angle_deg: float) -> str:
    return f"{angle_deg:.1f} deg"
