"""What goes where, and what goes instead."""

from __future__ import annotations

import pytest

from cmr_node.outputs.offers import Offer, Question, Results, Segmentations, offer
from cmr_node.settings import Peer

RESULT = Results(
    segmentations=[Segmentations("ed", "ed-map"), Segmentations("es", "es-map")],
    reports=["report"],
    page="page",
    others=["image"],
)
TO_PAGE = {"ed": "page", "es": "page", "report": "page"}
TO_BINARY = {"ed-map": "ed", "es-map": "es"}


def peer(segmentation: str, secondary_capture: str) -> Peer:
    return Peer.model_validate(
        {
            "name": "pacs",
            "ae_title": "PACS",
            "host": "h",
            "receives": ("derived",),
            "segmentation": segmentation,
            "secondary_capture": secondary_capture,
        }
    )


@pytest.mark.parametrize(
    ("segmentation", "page", "wanted", "instead"),
    [
        ("binary", "never", ("image", "ed", "es", "report"), {}),
        ("binary", "fallback", ("image", "ed", "es", "report"), TO_PAGE),
        ("binary", "always", ("image", "ed", "es", "report", "page"), TO_PAGE),
        ("label_map", "never", ("image", "ed-map", "es-map", "report"), TO_BINARY),
        ("label_map", "fallback", ("image", "ed-map", "es-map", "report"), TO_BINARY | TO_PAGE),
    ],
)
def test_the_settings_of_a_destination_say_what_it_gets_and_what_instead(
    segmentation: str, page: str, wanted: tuple[str, ...], instead: dict[str, str]
) -> None:
    assert offer([RESULT], peer(segmentation, page)) == Offer(wanted, instead)


def test_what_was_not_made_is_neither_sent_nor_instead() -> None:
    bare = Results(segmentations=[Segmentations("ed")], reports=["report"])
    assert offer([bare], peer("label_map", "always")) == Offer(("ed", "report"), {})
    assert offer([Results(page="page")], peer("binary", "fallback")) == Offer()
    assert offer([Results(page="page")], peer("binary", "always")) == Offer(("page",), {})
    assert offer([], peer("binary", "always")) == Offer()


def test_one_form_alone_is_sent_in_that_form() -> None:
    only_map = Results(segmentations=[Segmentations("", "ed-map")])
    assert offer([only_map], peer("label_map", "never")) == Offer(("ed-map",), {})
    assert offer([only_map], peer("binary", "never")) == Offer()


@pytest.mark.parametrize(
    ("question", "wanted", "instead"),
    [
        (Question("key objects", "report"), ("key objects", "report"), {"report": "key objects"}),
        (Question("key objects", ""), ("key objects",), {}),
        (Question("", "report"), ("report",), {}),
        (Question("", ""), (), {}),
    ],
)
def test_a_question_goes_twice_and_its_key_objects_stand_for_a_report_that_is_not_taken(
    question: Question, wanted: tuple[str, ...], instead: dict[str, str]
) -> None:
    assert offer([Results(question=question)], peer("binary", "never")) == Offer(wanted, instead)
