from __future__ import annotations

from dataclasses import replace

from cmr_node.assemble.loose import loose_stacks
from cmr_node.assemble.sequence import CardiacSequence
from cmr_node.dicom.header import Header
from cmr_node.geometry.standard_view import View


def header(number: int, description: str = "", series: str = "1.2", **attributes: object) -> Header:
    held = {"InstanceNumber": number, "Rows": 24, "Columns": 32, **attributes}
    if description:
        held["SeriesDescription"] = description
    return Header(f"1.2.3.{number}", "1.2.840.10008.5.1.4.1.1.4", "1.2", "9", series, held)


def test_words_alone_tell_what_an_image_without_a_place_shows() -> None:
    (stack,) = loose_stacks([header(n, "cine_sax") for n in (3, 1, 2)])
    assert (stack.sequence, stack.view) == (CardiacSequence.CINE, View.SAX)
    assert stack.recognised.certain
    assert [one.number("InstanceNumber") for one in stack.instances] == [1, 2, 3]
    assert stack.pixel_spacing is None


def test_nothing_said_is_nothing_known() -> None:
    (stack,) = loose_stacks([header(1)])
    assert stack.view is View.OTHER
    assert not stack.recognised.certain


def test_series_and_sizes_are_kept_apart_whatever_the_order() -> None:
    headers = [header(1), header(2, series="1.3"), replace(header(3), attributes={"Rows": 48})]
    forwards, backwards = loose_stacks(headers), loose_stacks(headers[::-1])
    assert len(forwards) == 3
    assert forwards == backwards


def test_two_views_in_one_series_are_no_view() -> None:
    (stack,) = loose_stacks([header(1, "cine sax"), header(2, "cine 4ch")])
    assert stack.view is View.OTHER
    assert not stack.recognised.certain


def test_the_spacing_is_that_of_the_header() -> None:
    (stack,) = loose_stacks([header(1, PixelSpacing=[1.25, 1.5])])
    assert stack.pixel_spacing == (1.25, 1.5)
