"""Every status has one meaning."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cmr_node.network.status import TABLE, Meaning, Status, describe, meaning_of, row_of


def test_rows_are_in_order_and_do_not_overlap() -> None:
    assert all(row.first <= row.last for row in TABLE)
    assert all(one.last < two.first for one, two in pairwise(TABLE))
    assert all(row.source.startswith("PS3.") and row.text for row in TABLE)


def test_every_16_bit_number_has_a_meaning_and_words() -> None:
    for status in range(0x10000):
        assert isinstance(meaning_of(status), Meaning)
        assert describe(status).startswith(f"0x{status:04X} ")


@pytest.mark.parametrize("status", [-1, 0x10000])
def test_what_is_no_status_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="0 to 0xFFFF"):
        row_of(status)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (0x0000, Meaning.DELIVERED),
        (0xB000, Meaning.DELIVERED),
        (0xB006, Meaning.DELIVERED),
        (0xB007, Meaning.DELIVERED),
        (0x0111, Meaning.DELIVERED),
        (0xA700, Meaning.RETRY),
        (0xA7FF, Meaning.RETRY),
        (0x0110, Meaning.RETRY),
        (0x0213, Meaning.RETRY),
        (0x0122, Meaning.REFUSED),
        (0x0124, Meaning.REFUSED),
        (0xA900, Meaning.REFUSED),
        (0xC000, Meaning.REFUSED),
        (0xCFFF, Meaning.REFUSED),
        (0x1234, Meaning.REFUSED),
        (0xA800, Meaning.REFUSED),
    ],
)
def test_the_statuses_a_pacs_answers_mean_what_the_queue_needs(
    status: int, meaning: Meaning
) -> None:
    assert meaning_of(status) is meaning


def test_no_answer_of_this_node_is_in_no_table() -> None:
    assert all(row_of(status) is not None for status in Status)
