"""Act, leave or ask where the header is not to be believed: the pixels speak alone.

The promise kept here: patient geometry is never mended by guess.  Whoever declares a source's
header untrusted or absent gets pixels in the standard view, a header left as it is, and in every
object and report the words that patient geometry is not vouched for.  Where nothing tells the
view, the network is asked whether it is a short axis.  First rule that applies:

    the view has no standard, or its policy is to leave it       leave
    the view is a long axis, which no network here knows         ask
    no network is installed                                      ask
    the network is not sure (of the short axis, or which turn)   ask
    the network says standard                                    leave
    untrusted, and the network was not accepted beforehand       ask: one of the two is wrong
    otherwise                                                    act: undo it, in the pixels alone
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.inference.decide import Decision, Reason, Verdict, ask, leave, left_by_policy
from cmr_node.inference.recognition import NetworkEvidence
from cmr_node.settings import Standardise

NOT_VOUCHED: Final = "patient geometry is not vouched for"


class HeaderTrust(StrEnum):
    """What a user says of the headers of a source."""

    TRUSTED = "trusted"  #: the decision table: header, crossing slices
    UNTRUSTED = "untrusted"  #: it may contradict the pixels
    ABSENT = "absent"  #: it says nothing of the patient: made up, or lost in a conversion


def decide_by_pixels(
    view: View,
    network: NetworkEvidence | None,
    policy: Standardise,
    trust: HeaderTrust,
    *,
    view_certain: bool = True,
    accept_network: bool = False,
) -> Verdict:
    """What is done with a stack whose header is not believed.

    Parameters
    ----------
    network
        None if no network is installed.
    view_certain
        Whether words and physics agree on the view.
    accept_network
        Whether the user lets the network correct against an untrusted header.
    """
    if not view_certain and view is View.OTHER:
        view = View.SAX
    if (left := left_by_policy(view, policy)) is not None:
        return left
    said = f"The header is {trust}"
    if view is not View.SAX:
        return ask(
            Reason.NO_NETWORK,
            f"{said} and no network knows the {view} view, so nothing tells how the pixels lie.",
        )
    if network is None:
        return ask(
            Reason.NO_NETWORK,
            f"{said} and no network is installed, so nothing tells how the pixels lie.",
        )
    best = network.orientation
    seen = f"{best} with probability {network.probability:.3f}"
    if network.doubt:
        return ask(
            Reason.NETWORK_UNSURE,
            f"{said} and the network is not sure: {network.doubt.rstrip('.')} (its first choice is "
            f"{seen}).",
        )
    if best is Orientation.IDENTITY:
        return leave(
            Reason.STANDARD,
            f"{said}; the network sees the standard {view} view ({seen}); {NOT_VOUCHED}.",
        )
    undo = best.inverse
    if trust is HeaderTrust.UNTRUSTED and not accept_network:
        return ask(
            Reason.NETWORK_NOT_ACCEPTED,
            f"{said}; the network sees the {view} view stored {best} ({seen}) and {undo} would "
            "undo it in the pixels alone, which has to be accepted first.",
        )
    return Verdict(
        Decision.ACT,
        undo,
        Reason.CORRECTED,
        f"{said}; the network sees the {view} view stored {best} ({seen}); {undo} undoes it in "
        f"the pixels alone, the header is left as it is: {NOT_VOUCHED}.",
    )
