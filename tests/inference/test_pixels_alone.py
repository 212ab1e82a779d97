from __future__ import annotations

import itertools

import pytest

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.inference.decide import Decision, Reason
from cmr_node.inference.pixels_alone import (
    MIN_PROBABILITY,
    MIN_SAX,
    NOT_VOUCHED,
    HeaderTrust,
    decide_by_pixels,
)
from cmr_node.inference.recognition import NetworkEvidence
from cmr_node.settings import Standardise

POLICY = Standardise()
DOUBTED = (HeaderTrust.UNTRUSTED, HeaderTrust.ABSENT)


def seen(orientation: Orientation, probability: float = 0.999, sax: float = 1.0) -> NetworkEvidence:
    rest = (1 - probability) / 7
    return NetworkEvidence({o: probability if o is orientation else rest for o in Orientation}, sax)


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
@pytest.mark.parametrize(
    "network",
    [
        seen(Orientation.ROT90CW, MIN_PROBABILITY - 1e-6),
        seen(Orientation.ROT90CW, sax=MIN_SAX - 1e-6),
        seen(Orientation.IDENTITY, 0.5),
    ],
)
def test_a_network_that_is_not_sure_asks(trust: HeaderTrust, network: NetworkEvidence) -> None:
    verdict = decide_by_pixels(View.SAX, network, POLICY, trust, accept_network=True)
    assert (verdict.decision, verdict.kind) == (Decision.ASK, Reason.NETWORK_UNSURE)


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


@pytest.mark.parametrize(("sax", "decision"), [(0.9, Decision.ACT), (0.1, Decision.ASK)])
def test_where_nothing_tells_the_view_the_network_is_asked(sax: float, decision: Decision) -> None:
    network = seen(Orientation.FLIP_LR, sax=sax)
    verdict = decide_by_pixels(View.OTHER, network, POLICY, HeaderTrust.ABSENT, view_certain=False)
    assert verdict.decision is decision


def test_every_verdict_is_one_sentence_of_plain_text() -> None:
    networks = [None, *(seen(o, p, s) for o in Orientation for p in (0.5, 1.0) for s in (0.1, 1.0))]
    for view, network, trust, accept in itertools.product(View, networks, DOUBTED, (True, False)):
        verdict = decide_by_pixels(view, network, POLICY, trust, accept_network=accept)
        assert verdict.reason.isascii()
        assert verdict.reason.endswith(".")
        assert "\n" not in verdict.reason
