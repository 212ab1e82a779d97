from __future__ import annotations

import itertools

import pytest

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.inference.decide import Decision, Reason
from cmr_node.inference.pixels_alone import NOT_VOUCHED, HeaderTrust, decide_by_pixels
from cmr_node.inference.recognition import NetworkEvidence
from cmr_node.settings import Standardise

POLICY = Standardise()
DOUBTED = (HeaderTrust.UNTRUSTED, HeaderTrust.ABSENT)


def seen(orientation: Orientation, doubt: str = "") -> NetworkEvidence:
    odds = {o: 0.993 if o is orientation else 0.001 for o in Orientation}
    return NetworkEvidence(odds, sax=1.0, doubt=doubt)


@pytest.mark.parametrize("orientation", Orientation)
def test_an_absent_header_lets_the_network_undo_what_it_sees(orientation: Orientation) -> None:
    verdict = decide_by_pixels(View.SAX, seen(orientation), POLICY, HeaderTrust.ABSENT)
    assert verdict.operation.after(orientation) is Orientation.IDENTITY
    standard = orientation is Orientation.IDENTITY
    assert verdict.decision is (Decision.LEAVE if standard else Decision.ACT)
    assert NOT_VOUCHED in verdict.reason


@pytest.mark.parametrize("orientation", set(Orientation) - {Orientation.IDENTITY})
def test_an_untrusted_header_asks_unless_the_network_was_accepted(orientation: Orientation) -> None:
    network = seen(orientation)
    asked = decide_by_pixels(View.SAX, network, POLICY, HeaderTrust.UNTRUSTED)
    assert (asked.decision, asked.kind) == (Decision.ASK, Reason.NETWORK_NOT_ACCEPTED)
    assert str(orientation.inverse) in asked.reason
    acted = decide_by_pixels(View.SAX, network, POLICY, HeaderTrust.UNTRUSTED, accept_network=True)
    assert acted.operation is orientation.inverse


@pytest.mark.parametrize("trust", DOUBTED)
@pytest.mark.parametrize("orientation", [Orientation.ROT90CW, Orientation.IDENTITY])
def test_a_network_that_is_not_sure_asks(trust: HeaderTrust, orientation: Orientation) -> None:
    network = seen(orientation, "the slices see different turns.")
    verdict = decide_by_pixels(View.SAX, network, POLICY, trust, accept_network=True)
    assert (verdict.decision, verdict.kind) == (Decision.ASK, Reason.NETWORK_UNSURE)
    assert "the slices see different turns" in verdict.reason


@pytest.mark.parametrize("network", [None, seen(Orientation.ROT90CW)])
def test_a_long_axis_is_not_turned_by_a_network_that_knows_the_short_axis(
    network: NetworkEvidence | None,
) -> None:
    acts = Standardise(long_axis="act")
    verdict = decide_by_pixels(
        View.TWO_CHAMBER, network, acts, HeaderTrust.ABSENT, accept_network=True
    )
    assert (verdict.decision, verdict.kind) == (Decision.ASK, Reason.NO_NETWORK)


@pytest.mark.parametrize("trust", DOUBTED)
def test_without_a_network_nothing_is_guessed(trust: HeaderTrust) -> None:
    verdict = decide_by_pixels(View.SAX, None, POLICY, trust, accept_network=True)
    assert (verdict.decision, verdict.kind) == (Decision.ASK, Reason.NO_NETWORK)


@pytest.mark.parametrize("view", [View.OTHER, View.TWO_CHAMBER, View.FOUR_CHAMBER])
def test_a_view_without_a_standard_is_left_whatever_the_network_says(view: View) -> None:
    verdict = decide_by_pixels(
        view, seen(Orientation.FLIP_LR), POLICY, HeaderTrust.ABSENT, accept_network=True
    )
    assert verdict.decision is Decision.LEAVE


@pytest.mark.parametrize(
    ("doubt", "decision"), [("", Decision.ACT), ("it is no short axis", Decision.ASK)]
)
def test_where_nothing_tells_the_view_the_network_is_asked(doubt: str, decision: Decision) -> None:
    network = seen(Orientation.FLIP_LR, doubt)
    verdict = decide_by_pixels(View.OTHER, network, POLICY, HeaderTrust.ABSENT, view_certain=False)
    assert verdict.decision is decision


def test_every_verdict_is_one_sentence_of_plain_text() -> None:
    networks = [None, *(seen(o, doubt) for o in Orientation for doubt in ("", "it is dark."))]
    for view, network, trust, accept in itertools.product(View, networks, DOUBTED, (True, False)):
        verdict = decide_by_pixels(view, network, POLICY, trust, accept_network=accept)
        assert verdict.reason.isascii()
        assert verdict.reason.endswith(".")
        assert "\n" not in verdict.reason
