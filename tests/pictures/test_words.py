import os

import pytest

from cmr_node.pictures.words import ELLIPSIS, UNKNOWN, Face, plain

FACE = Face(12)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a  b\tc\nd", "a b c d"),
        ("a\x00b\x1b[31m", r"a\x00b\x1b[31m"),
        (os.fsdecode(b"caf\xe9.dcm"), r"caf\udce9.dcm"),
        ("exe.\u202egnp", r"exe.\u202egnp"),
        ("Müller 心 ♥", "Müller 心 ♥"),
    ],
)
def test_what_is_not_to_be_seen_is_spelt_out(text, shown):
    assert plain(text) == shown
    plain(text).encode()


def test_a_character_the_font_lacks_is_a_box():
    assert FACE.drawable("心 a") == f"{UNKNOWN} a"


@pytest.mark.parametrize(
    "text",
    [
        "The header shows the sax view stored rot90cw (2.3 deg off); rot90ccw undoes it. " * 3,
        "1.2.840.113619.2.55.3.604688119.868.1234567890.467" * 4,
        "study/series/" * 30,
        "W" * 5000,
        "word",
        "",
    ],
)
@pytest.mark.parametrize("width", [9, 60, 300])
def test_lines_fit_and_hold_the_text(text, width):
    lines = FACE.wrap(text, width, 4)
    assert len(lines) <= 4
    assert all(FACE.width(line) <= width or len(line) <= 2 for line in lines)
    whole = "".join(FACE.wrap(text, width, 10**6))
    assert whole.replace(" ", "") == text[:1000].replace(" ", "")
    if "".join(lines) != whole:
        assert lines[-1].endswith(ELLIPSIS)
    names = FACE.wrap_name(text, width, 2)
    assert len(names) <= 2 or width == 9


def test_lines_end_between_words_and_folders():
    assert FACE.wrap("one two three", FACE.width("one two"), 4) == ["one two", "three"]
    assert FACE.wrap("study/series", FACE.width("study/se"), 4) == ["study/", "series"]
    assert FACE.wrap("off by -0.12", FACE.width("off by -"), 4) == ["off by", "-0.12"]


def test_a_name_loses_its_middle_and_keeps_as_much_as_fits():
    name = "archive/" * 40 + "IM-0001-0042.dcm and 3 more"
    lines = FACE.wrap_name(name, 200, 2)
    shown = "".join(lines)
    assert len(lines) == 2
    assert shown.startswith("archive/")
    assert shown.replace(" ", "").endswith("IM-0001-0042.dcmand3more")
    assert shown.count(ELLIPSIS) == 1
    assert FACE.width(shown) > 280
    assert FACE.wrap_name("short", 200, 2) == ["short"]
