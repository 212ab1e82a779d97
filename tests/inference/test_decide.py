"""Act, leave or ask: the table, its borders, and what must never happen."""

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_node.geometry.consistency import CrossingEvidence
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import HeaderEvidence, View
from cmr_node.inference.decide import Decision, Reason, Verdict, decide
from cmr_node.settings import Standardise

POLICY = Standardise()
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


scores = st.floats(-1, 1)
anything = {
    "view": st.sampled_from(View),
    "evidence": st.none()
    | st.builds(
        header,
        st.sampled_from(Orientation),
        st.floats(-45, 45),
        st.floats(0, 1),
        st.sampled_from(Orientation),
    ),
    "crossing_scores": st.none() | st.fixed_dictionaries(dict.fromkeys(Orientation, scores)),
    "policy": st.sampled_from([POLICY, ACTS_ON_LONG_AXES]),
    "certain": st.booleans(),
}


@given(**anything)
def test_it_acts_only_on_what_nothing_speaks_against(
    view: View,
    evidence: HeaderEvidence | None,
    crossing_scores: Mapping[Orientation, float] | None,
    policy: Standardise,
    certain: bool,
) -> None:
    crossed = None if crossing_scores is None else CrossingEvidence(crossing_scores, 5)
    verdict = decide(view, evidence, policy, crossed, view_certain=certain)
    assert verdict.reason.isascii()
    assert "\n" not in verdict.reason
    assert verdict.reason.endswith(".")
    assert (verdict.operation is not IDENTITY) == (verdict.decision is Decision.ACT)
    if verdict.decision is Decision.ACT:
        assert certain
        assert evidence is not None
        assert view is not View.OTHER
        assert verdict.operation.after(evidence.orientation) is IDENTITY
        assert evidence.margin_deg >= policy.min_margin_deg
        assert evidence.conditioning >= policy.min_conditioning
        assert crossed is None or not crossed.contradicts_header


OF_PIXELS_ALONE = {
    Reason.NO_NETWORK,
    Reason.NETWORK_UNSURE,
    Reason.NETWORK_NOT_ACCEPTED,
    Reason.CORRECTED,
}


def test_every_reason_goes_with_one_decision() -> None:
    heard: dict[Reason, set[Decision]] = {}
    headers = [
        None,
        *(
            header(o, residual_deg, conditioning)
            for o in Orientation
            for residual_deg in (0, 40)
            for conditioning in (0.1, 1)
        ),
    ]
    for view, evidence, crossed, certain in itertools.product(
        View, headers, (None, AGREE, CONFLICT), (True, False)
    ):
        verdict = decide(view, evidence, POLICY, crossed, view_certain=certain)
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
