"""Act, leave or ask: the table, its borders, and what must never happen."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_node.geometry.consistency import CrossingEvidence
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import HeaderEvidence, View
from cmr_node.inference.decide import Decision, Reason, Verdict, decide
from cmr_node.inference.recognition import NetworkEvidence
from cmr_node.settings import Standardise

POLICY = Standardise()
BY_HEADER_THEN = Standardise(when_network_unsure="header")
ACTS_ON_LONG_AXES = Standardise(long_axis="act")
IDENTITY, ROT90CCW, ROT90CW = Orientation.IDENTITY, Orientation.ROT90CCW, Orientation.ROT90CW


def header(
    orientation: Orientation = ROT90CCW,
    residual_deg: float = 5.0,
    conditioning: float = 0.9,
    second: Orientation | None = None,
) -> HeaderEvidence:
    quarter = ROT90CW.after(orientation) if second is None else second
    return HeaderEvidence(orientation, quarter, residual_deg, 45 - abs(residual_deg), conditioning)


def crossing(**scores: float) -> CrossingEvidence:
    return CrossingEvidence({o: scores.get(o.value, 0.1) for o in Orientation}, pairs=10)


def seen(orientation: Orientation, doubt: str = "", probability: float = 0.998) -> NetworkEvidence:
    rest = (1 - probability) / 7
    odds = {o: probability if o is orientation else rest for o in Orientation}
    return NetworkEvidence(odds, sax=0.99, doubt=doubt)


DOUBT = "its first choice has a probability of 0.53 (needed 0.90)."
AGREE = crossing(identity=0.9)
CONFLICT = crossing(identity=0.3, flip_lr=0.9)
OPEN = crossing(identity=0.88, flip_lr=0.9)
LONG_AXES = [View.TWO_CHAMBER, View.THREE_CHAMBER, View.FOUR_CHAMBER]


@pytest.mark.parametrize(
    ("orientation", "operation"),
    [
        ("flip_lr", "flip_lr"),
        ("flip_ud", "flip_ud"),
        ("rot180", "rot180"),
        ("transpose", "transpose"),
        ("rot90cw", "rot90ccw"),
        ("rot90ccw", "rot90cw"),
        ("antitranspose", "antitranspose"),
    ],
)
@pytest.mark.parametrize("evidence", [None, AGREE, OPEN], ids=["none", "agree", "open"])
def test_a_clear_header_is_undone(orientation, operation, evidence) -> None:
    verdict = decide(View.SAX, header(Orientation(orientation)), POLICY, evidence)
    assert verdict.decision is Decision.ACT
    assert verdict.operation == operation
    assert verdict.kind is Reason.TURNED


@pytest.mark.parametrize(
    ("view", "evidence", "crossing_slices", "decision", "kind"),
    [
        (View.SAX, header(IDENTITY), None, "leave", "standard"),
        (View.SAX, header(IDENTITY), AGREE, "leave", "standard"),
        (View.OTHER, None, None, "leave", "no_standard_view"),
        (View.OTHER, header(), CONFLICT, "leave", "no_standard_view"),
        (View.TWO_CHAMBER, header(), None, "leave", "long_axis_policy"),
        (View.THREE_CHAMBER, None, None, "leave", "long_axis_policy"),
        (View.FOUR_CHAMBER, header(), CONFLICT, "leave", "long_axis_policy"),
        (View.SAX, None, None, "ask", "no_geometry"),
        (View.SAX, header(), CONFLICT, "ask", "crossing_conflict"),
        (View.SAX, header(IDENTITY), CONFLICT, "ask", "crossing_conflict"),
        (View.SAX, header(conditioning=0.2), CONFLICT, "ask", "crossing_conflict"),
        (View.SAX, header(conditioning=0.24), None, "ask", "ill_conditioned"),
        (View.SAX, header(IDENTITY, conditioning=0.16), AGREE, "ask", "ill_conditioned"),
        (View.SAX, header(residual_deg=-36), None, "ask", "ambiguous_angle"),
        (View.SAX, header(IDENTITY, residual_deg=31), None, "ask", "ambiguous_angle"),
        (View.SAX, header(residual_deg=31), AGREE, "ask", "ambiguous_angle"),
    ],
)
def test_everything_else_changes_nothing(
    view, evidence, crossing_slices, decision: str, kind: str
) -> None:
    verdict = decide(view, evidence, POLICY, crossing_slices)
    assert (verdict.decision, verdict.kind) == (decision, kind)
    assert verdict.operation is IDENTITY


def test_an_uncertain_view_is_asked_about_only_where_something_would_be_done() -> None:
    unsure = decide(View.SAX, header(), POLICY, view_certain=False)
    assert (unsure.decision, unsure.kind) == (Decision.ASK, Reason.UNCERTAIN_VIEW)
    standard = decide(View.SAX, header(IDENTITY), POLICY, view_certain=False)
    assert standard.decision is Decision.LEAVE


@pytest.mark.parametrize("view", LONG_AXES)
def test_long_axes_are_treated_like_the_short_axis_if_told_so(view: View) -> None:
    assert decide(view, header(), ACTS_ON_LONG_AXES).operation is ROT90CW
    assert decide(view, header(), ACTS_ON_LONG_AXES, CONFLICT).kind is Reason.CROSSING_CONFLICT
    assert decide(view, header(conditioning=0.3), ACTS_ON_LONG_AXES).decision is Decision.ASK
    assert decide(view, None, ACTS_ON_LONG_AXES).kind is Reason.NO_GEOMETRY


def test_the_borders_belong_to_acting() -> None:
    at_margin = header(residual_deg=45 - POLICY.min_margin_deg)
    assert decide(View.SAX, at_margin, POLICY).decision is Decision.ACT
    past = header(residual_deg=45 - POLICY.min_margin_deg + 0.001)
    assert decide(View.SAX, past, POLICY).decision is Decision.ASK
    at_guard = header(conditioning=POLICY.min_conditioning)
    assert decide(View.SAX, at_guard, POLICY).decision is Decision.ACT
    below = header(conditioning=POLICY.min_conditioning - 0.001)
    assert decide(View.SAX, below, POLICY).decision is Decision.ASK


def test_the_policy_is_obeyed() -> None:
    strict = Standardise(min_margin_deg=42, min_conditioning=0.95)
    assert decide(View.SAX, header(), strict).kind is Reason.ILL_CONDITIONED
    assert decide(View.SAX, header(conditioning=0.99), strict).kind is Reason.AMBIGUOUS_ANGLE
    trusting = Standardise(min_margin_deg=0, min_conditioning=0)
    doubtful = header(residual_deg=44, conditioning=0.1)
    assert decide(View.SAX, doubtful, trusting).decision is Decision.ACT


CLEAR, BETWEEN = 5.0, -36.0
FLIP_LR, ROT180, TRANSPOSE = Orientation.FLIP_LR, Orientation.ROT180, Orientation.TRANSPOSE


@pytest.mark.parametrize(
    ("told", "residual_deg", "network", "decision", "kind", "operation"),
    [
        # header clear
        (IDENTITY, CLEAR, seen(IDENTITY), "leave", "standard", IDENTITY),
        (ROT90CCW, CLEAR, seen(ROT90CCW), "act", "turned", ROT90CW),
        (FLIP_LR, CLEAR, seen(FLIP_LR), "act", "turned", FLIP_LR),
        (IDENTITY, CLEAR, seen(ROT180), "ask", "conflict", IDENTITY),
        (ROT90CCW, CLEAR, seen(IDENTITY), "ask", "conflict", IDENTITY),
        (FLIP_LR, CLEAR, seen(TRANSPOSE), "ask", "conflict", IDENTITY),
        (IDENTITY, CLEAR, seen(FLIP_LR), "ask", "mirrored", IDENTITY),
        (FLIP_LR, CLEAR, seen(IDENTITY), "ask", "mirrored", IDENTITY),
        (ROT90CCW, CLEAR, seen(TRANSPOSE), "ask", "mirrored", IDENTITY),
        (IDENTITY, CLEAR, seen(ROT180, DOUBT), "leave", "standard", IDENTITY),
        (ROT90CCW, CLEAR, seen(ROT90CCW, DOUBT), "ask", "network_unsure", IDENTITY),
        # header between ROT90CCW and IDENTITY, or IDENTITY and ROT90CW
        (ROT90CCW, BETWEEN, seen(IDENTITY), "leave", "standard", IDENTITY),
        (ROT90CCW, BETWEEN, seen(ROT90CCW), "act", "turned", ROT90CW),
        (IDENTITY, BETWEEN, seen(IDENTITY), "leave", "standard", IDENTITY),
        (IDENTITY, BETWEEN, seen(ROT90CW), "act", "turned", ROT90CCW),
        (ROT90CCW, BETWEEN, seen(ROT180), "ask", "conflict", IDENTITY),
        (ROT90CCW, BETWEEN, seen(FLIP_LR), "ask", "mirrored", IDENTITY),
        (ROT90CCW, BETWEEN, seen(ROT90CCW, DOUBT), "ask", "ambiguous_angle", IDENTITY),
    ],
)
def test_the_network_confirms_settles_or_stops(
    told: Orientation,
    residual_deg: float,
    network: NetworkEvidence,
    decision: str,
    kind: str,
    operation: Orientation,
) -> None:
    verdict = decide(View.SAX, header(told, residual_deg), POLICY, network=network)
    assert (verdict.decision, verdict.kind, verdict.operation) == (decision, kind, operation)


@pytest.mark.parametrize("network", [seen(ROT90CCW), seen(IDENTITY)])
def test_what_speaks_against_the_header_is_not_outvoted_by_the_network(
    network: NetworkEvidence,
) -> None:
    conflict = decide(View.SAX, header(), POLICY, CONFLICT, network)
    assert conflict.kind is Reason.CROSSING_CONFLICT
    ill = decide(View.SAX, header(conditioning=0.2), POLICY, AGREE, network)
    assert ill.kind is Reason.ILL_CONDITIONED
    assert decide(View.SAX, None, POLICY, AGREE, network).kind is Reason.NO_GEOMETRY


@pytest.mark.parametrize("residual_deg", [CLEAR, BETWEEN])
def test_a_network_that_is_sure_does_not_make_the_view_certain(residual_deg: float) -> None:
    verdict = decide(
        View.SAX, header(ROT90CCW, residual_deg), POLICY, AGREE, seen(ROT90CCW), view_certain=False
    )
    assert (verdict.decision, verdict.kind) == (Decision.ASK, Reason.UNCERTAIN_VIEW)


def test_the_setting_lets_the_header_act_where_the_network_is_not_sure() -> None:
    network = seen(FLIP_LR, DOUBT)
    verdict = decide(View.SAX, header(ROT90CCW), BY_HEADER_THEN, network=network)
    assert (verdict.decision, verdict.operation) == (Decision.ACT, ROT90CW)
    assert DOUBT in verdict.reason
    for kept in (header(ROT90CCW, BETWEEN), header(conditioning=0.1), None):
        assert decide(View.SAX, kept, BY_HEADER_THEN, network=network).decision is Decision.ASK


@pytest.mark.parametrize("view", LONG_AXES)
def test_the_network_has_no_say_in_what_it_does_not_know(view: View) -> None:
    with pytest.raises(ValueError, match="the short axis alone"):
        decide(view, header(), ACTS_ON_LONG_AXES, network=seen(IDENTITY))


def test_the_sentence_says_what_the_network_said() -> None:
    agrees = decide(View.SAX, header(), POLICY, AGREE, seen(ROT90CCW)).reason
    assert "network agrees (probability 0.998)" in agrees
    settled = decide(View.SAX, header(ROT90CCW, BETWEEN), POLICY, network=seen(ROT90CCW)).reason
    for part in ("between rot90ccw and identity", "0.998", "settles", "-36.0 deg off"):
        assert part in settled
    for other, words in ((ROT180, "nobody wrote down"), (TRANSPOSE, "right side")):
        against = decide(View.SAX, header(), POLICY, network=seen(other)).reason
        for part in (str(other), "rot90ccw", "0.998", words):
            assert part in against
    left = decide(View.SAX, header(IDENTITY), POLICY, network=seen(ROT180, DOUBT)).reason
    assert left.endswith(f"not sure: {DOUBT}")


scores = st.floats(-1, 1)
networks = st.builds(
    seen, st.sampled_from(Orientation), st.sampled_from(["", DOUBT]), st.floats(0.2, 1)
)


@st.composite
def headers(draw: st.DrawFn) -> HeaderEvidence:
    """A header as it can be: the second best is a quarter turn away, to the side of the angle."""
    orientation, residual = draw(st.sampled_from(Orientation)), draw(st.floats(-45, 45))
    # the residual is an angle in the stored picture: the turn towards it comes last
    second = (ROT90CW if residual > 0 else ROT90CCW).after(orientation)
    return header(orientation, residual, draw(st.floats(0, 1)), second)


@st.composite
def stacks(draw: st.DrawFn) -> dict[str, Any]:
    """Everything that can be known of a stack."""
    view = draw(st.sampled_from(View))
    crossed = draw(st.none() | st.fixed_dictionaries(dict.fromkeys(Orientation, scores)))
    return {
        "view": view,
        "header": draw(st.none() | headers()),
        "policy": draw(st.sampled_from([POLICY, ACTS_ON_LONG_AXES, BY_HEADER_THEN])),
        "crossing": crossed and CrossingEvidence(crossed, 5),
        "network": draw(st.none() | networks) if view is View.SAX else None,
        "view_certain": draw(st.booleans()),
    }


@given(stacks())
def test_it_acts_only_on_what_nothing_speaks_against(stack: dict[str, Any]) -> None:
    verdict = decide(**stack)
    told, policy, network = stack["header"], stack["policy"], stack["network"]
    assert verdict.reason.isascii()
    assert "\n" not in verdict.reason
    assert verdict.reason.endswith(".")
    assert ".." not in verdict.reason
    assert (verdict.operation is not IDENTITY) == (verdict.decision is Decision.ACT)
    sure = network if network is not None and not network.doubt else None
    if verdict.decision is not Decision.ASK and sure is not None and told is not None:
        assert sure.orientation.chirality == told.orientation.chirality
    if verdict.decision is Decision.ACT:
        undone = verdict.operation.inverse
        assert stack["view_certain"]
        assert stack["view"] is not View.OTHER
        assert told is not None
        assert told.conditioning >= policy.min_conditioning
        assert stack["crossing"] is None or not stack["crossing"].contradicts_header
        assert sure is None or undone is sure.orientation
        assert network is sure or policy.when_network_unsure == "header"
        if told.margin_deg >= policy.min_margin_deg:
            assert undone is told.orientation
        else:
            assert sure is not None
            assert undone in (told.orientation, told.second)


@given(stacks(), st.sampled_from(Orientation))
def test_turning_the_picture_turns_the_operation_and_nothing_else(
    stack: dict[str, Any], turn: Orientation
) -> None:
    """Header and network turned by the same: what is undone turns with them."""
    told, network = stack["header"], stack["network"]
    turned = dict(stack)
    if told is not None:
        turned["header"] = replace(
            told, orientation=turn.after(told.orientation), second=turn.after(told.second)
        )
    if network is not None:
        odds = {turn.after(o): p for o, p in network.probabilities.items()}
        turned["network"] = replace(network, probabilities=odds)
    before, after = decide(**stack), decide(**turned)
    if Reason.STANDARD in (before.kind, after.kind) or Decision.ACT in (
        before.decision,
        after.decision,
    ):
        # between leaving and undoing, or being not certain enough to undo, lies the turn alone
        undoes = {Reason.STANDARD, Reason.TURNED, Reason.UNCERTAIN_VIEW, Reason.NETWORK_UNSURE}
        assert {before.kind, after.kind} <= undoes
        if Decision.ASK not in (before.decision, after.decision):
            assert after.operation.inverse is turn.after(before.operation.inverse)
    else:
        assert (before.decision, before.kind) == (after.decision, after.kind)


OF_PIXELS_ALONE = {Reason.NO_NETWORK, Reason.NETWORK_NOT_ACCEPTED, Reason.CORRECTED}


def test_every_reason_is_reached_and_goes_with_one_decision() -> None:
    heard: dict[Reason, set[Decision]] = {}
    told = [
        None,
        *(
            header(o, residual_deg, conditioning)
            for o in Orientation
            for residual_deg in (0, 40)
            for conditioning in (0.1, 1)
        ),
    ]
    said = [None, *(seen(o, doubt) for o in Orientation for doubt in ("", DOUBT))]
    for view, evidence, crossed, network, certain in itertools.product(
        View, told, (None, AGREE, CONFLICT), said, (True, False)
    ):
        if view is not View.SAX and network is not None:
            continue
        verdict = decide(view, evidence, POLICY, crossed, network, view_certain=certain)
        heard.setdefault(verdict.kind, set()).add(verdict.decision)
    assert set(heard) == set(Reason) - OF_PIXELS_ALONE
    assert all(len(decisions) == 1 for decisions in heard.values())


def test_the_sentence_names_the_numbers() -> None:
    turned = decide(View.SAX, header(ROT90CCW, -9.88), POLICY, AGREE).reason
    for part in ("sax", "rot90ccw", "-9.9 deg off", "35.1 deg", "rot90cw undoes it", "10 pairs"):
        assert part in turned
    conflict = decide(View.SAX, header(), POLICY, CONFLICT).reason
    for part in ("flip_lr", "0.90", "0.30"):
        assert part in conflict


@pytest.mark.parametrize(
    ("decision", "operation"),
    [(Decision.ASK, ROT90CW), (Decision.LEAVE, ROT90CW), (Decision.ACT, IDENTITY)],
)
def test_no_verdict_contradicts_itself(decision: Decision, operation: Orientation) -> None:
    with pytest.raises(ValueError, match="goes with no operation"):
        Verdict(decision, operation, Reason.TURNED, "Never.")
