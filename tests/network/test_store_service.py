"""C-STORE from fragments to answer, without a socket."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmr_node.errors import InconsistentInstance, StoreBroken, StoreFull, UnreadableHeader
from cmr_node.network.status import Status
from cmr_node.network.store_service import SameUidPolicy, StoreService
from cmr_node.network.wire import Command, Element, Field, Pdv, ProtocolFault
from tests.memory_intake import MemoryIntake
from tests.raw_scu import echo_rq, element, store_rq

MR = "1.2.840.10008.5.1.4.1.1.4"
SYNTAXES = {1: "1.2.840.10008.1.2.1", 3: "1.2.840.10008.1.2.4.70"}


class Talk:
    """A service with everything it says."""

    def __init__(self, policy: SameUidPolicy = "warning") -> None:
        self.intake = MemoryIntake()
        self.answered: list[tuple[int, int]] = []
        self.elsewhere: list[tuple[int, bytes]] = []
        self.service = StoreService(
            self.intake,
            SYNTAXES,
            "SCANNER",
            policy,
            lambda status, size, seconds: self.answered.append((status, size)),
            lambda context, command: self.elsewhere.append((context, command)),
        )

    def say(self, context: int, control: int, fragment: bytes) -> Command | None:
        answer = self.service.take(Pdv(context, control, memoryview(fragment)))
        if answer is None:
            return None
        assert answer[0] == context
        return Command(answer[1])

    def store(
        self, uid: str, data: bytes, context: int = 1, size: int = 1000, sop_class: str = MR
    ) -> Command:
        assert self.say(context, 3, store_rq(sop_class, uid, message=9)) is None
        for at in range(0, max(1, len(data)), size):
            last = at + size >= len(data)
            answer = self.say(context, 2 if last else 0, data[at : at + size])
            assert (answer is not None) == last
        assert answer is not None
        return answer


def status(answer: Command) -> int:
    return answer.number(Element.STATUS)


@settings(deadline=None)
@given(
    objects=st.lists(st.tuples(st.sampled_from([1, 3]), st.binary(max_size=300)), max_size=6),
    sizes=st.lists(st.integers(1, 90), min_size=1),
)
def test_every_cut_into_fragments_gives_the_same_bytes(
    objects: list[tuple[int, bytes]], sizes: list[int]
) -> None:
    talk, turn = Talk(), 0

    def say(context: int, kind: int, whole: bytes) -> Command | None:
        nonlocal turn
        at = 0
        while True:
            size = sizes[turn % len(sizes)]
            turn += 1
            last = at + size >= len(whole)
            answer = talk.say(context, kind | (2 if last else 0), whole[at : at + size])
            at += size
            if last:
                return answer
            assert answer is None

    for number, (context, data) in enumerate(objects):
        assert say(context, 1, store_rq(MR, f"1.2.{number}")) is None
        answer = say(context, 0, data)
        assert answer is not None
        assert status(answer) == 0
    assert talk.intake.kept == {
        f"1.2.{n}": (MR, SYNTAXES[context], "SCANNER", data)
        for n, (context, data) in enumerate(objects)
    }


def test_the_answer_repeats_what_was_asked() -> None:
    answer = Talk().store("1.2.3", b"data")
    assert answer.field == Field.C_STORE_RSP
    assert answer.number(Element.MESSAGE_ID_BEING_RESPONDED_TO) == 9
    assert answer.text(Element.AFFECTED_SOP_CLASS_UID) == MR
    assert answer.text(Element.AFFECTED_SOP_INSTANCE_UID) == "1.2.3"
    assert not answer.has_data_set


@pytest.mark.parametrize("step", ["begin", "write", "keep"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StoreFull("2 GiB free"), Status.OUT_OF_RESOURCES),
        (StoreBroken("I/O error"), Status.OUT_OF_RESOURCES),
        (OSError(5, "I/O error"), Status.OUT_OF_RESOURCES),
        (UnreadableHeader("nested deeper than 32"), Status.CANNOT_UNDERSTAND),
        (InconsistentInstance("another SOP Instance UID"), Status.DATA_SET_DOES_NOT_MATCH),
        (RuntimeError("CANARY^PATIENT"), Status.PROCESSING_FAILURE),
    ],
)
def test_a_failure_is_answered_once_after_the_rest_was_dropped(
    step: str, error: Exception, expected: Status
) -> None:
    talk = Talk()
    talk.intake.fail[step] = error
    answer = talk.store("1.2.3", b"x" * 5000)
    assert status(answer) == expected
    comment = answer.text(Element.ERROR_COMMENT)
    assert 0 < len(comment) <= 64
    assert "CANARY" not in comment
    assert talk.intake.kept == {}
    assert talk.intake.discarded == ([] if step == "begin" else ["1.2.3"])
    talk.intake.fail.clear()
    assert status(talk.store("1.2.3", b"x")) == 0
    assert talk.answered == [(expected, 5000), (0, 1)]


def test_a_comment_is_64_plain_characters_whatever_the_reason_says() -> None:
    talk = Talk()
    talk.intake.fail["keep"] = UnreadableHeader("a\\b\nc\x00" + "ü" * 100)
    comment = talk.store("1.2.3", b"x").text(Element.ERROR_COMMENT)
    assert comment == "a?b?c?" + "?" * 58


@pytest.mark.parametrize(
    ("policy", "expected"), [("warning", 0xB007), ("success", 0), ("refuse", 0x0111)]
)
def test_other_content_under_a_known_uid_is_answered_by_policy(
    policy: SameUidPolicy, expected: int
) -> None:
    talk = Talk(policy)
    assert status(talk.store("1.2.3", b"one")) == 0
    assert status(talk.store("1.2.3", b"one")) == 0
    assert status(talk.store("1.2.3", b"two")) == expected


@pytest.mark.parametrize(
    "uid", ["../../etc/passwd", "", "1.2.3\n", "1." * 33, "a.b", "1.2/3", "1.2\\3"]
)
def test_what_is_no_uid_reaches_nobody(uid: str) -> None:
    talk = Talk()
    answer = talk.store(uid, b"data")
    assert status(answer) == Status.INVALID_SOP_INSTANCE
    assert talk.intake.kept == {}
    assert answer.text(Element.AFFECTED_SOP_INSTANCE_UID) == ""


def test_a_request_without_a_data_set_is_answered_at_once() -> None:
    talk = Talk()
    answer = talk.say(1, 3, store_rq(MR, "1.2.3", data_set=0x0101))
    assert answer is not None
    assert status(answer) == Status.CANNOT_UNDERSTAND
    assert not talk.service.busy


def test_an_end_in_the_middle_of_an_object_discards_it() -> None:
    talk = Talk()
    talk.say(1, 3, store_rq(MR, "1.2.3"))
    talk.say(1, 0, b"half")
    assert talk.service.busy
    talk.service.lost()
    assert talk.intake.discarded == ["1.2.3"]
    assert not talk.service.busy


def test_an_echo_between_two_objects_goes_elsewhere_whole() -> None:
    talk = Talk()
    talk.store("1.2.3", b"data")
    echo = echo_rq()
    assert talk.say(3, 1, echo[:10]) is None
    assert talk.say(3, 3, echo[10:]) is None
    assert talk.elsewhere == [(3, echo)]
    assert status(talk.store("1.2.4", b"data")) == 0


def find_rq() -> bytes:
    body = element(0x0100, struct.pack("<H", 0x20)) + element(0x0800, struct.pack("<H", 1))
    return element(0, struct.pack("<L", len(body))) + body


@pytest.mark.parametrize(
    "said",
    [
        [(5, 3, store_rq(MR, "1.2.3"))],
        [(1, 0, b"data")],
        [(1, 3, store_rq(MR, "1.2.3")), (3, 0, b"data")],
        [(1, 3, store_rq(MR, "1.2.3")), (1, 3, store_rq(MR, "1.2.4"))],
        [(1, 3, store_rq(MR, "1.2.3")), (1, 0, b"x"), (1, 1, b"y")],
        [(1, 1, store_rq(MR, "1.2.3")[:20]), (1, 0, b"data")],
        [(1, 1, store_rq(MR, "1.2.3")[:20]), (3, 3, store_rq(MR, "1.2.3")[20:])],
        [(1, 1, bytes(9000)), (1, 1, bytes(9000))],
        [(1, 3, b"\0\0\0\1")],
        [(1, 3, find_rq())],
        [(1, 3, store_rq(MR, "1.2.3")[:30])],
    ],
)
def test_fragments_in_no_order_are_a_fault(said: list[tuple[int, int, bytes]]) -> None:
    talk = Talk()

    def say_all() -> None:
        for context, control, fragment in said:
            talk.say(context, control, fragment)

    with pytest.raises(ProtocolFault):
        say_all()
    talk.service.lost()
    assert talk.intake.kept == {}
