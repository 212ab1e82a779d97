from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_node.errors import UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import reorient
from cmr_node.outputs.plane_text import PlaneText, formatted, negated
from tests.samples import SAX_IOP, orthonormal


def plane(**parts: tuple[str, ...]) -> PlaneText:
    values = {
        "orientation": tuple(str(v) for v in orthonormal(SAX_IOP)),
        "position": ("-80.25", "-120.5", "60.125"),
        "spacing": ("1.25", "1.5"),
    } | parts
    return PlaneText(shape=(5, 7), **values)


@given(st.decimals(-100_000, 100_000, allow_nan=False, allow_infinity=False, places=25))
def test_a_number_is_written_as_closely_as_sixteen_bytes_allow(value: Decimal) -> None:
    text = formatted(value)
    assert len(text) <= 16
    digits = len(str(abs(int(value)))) + (value < 0) + 1
    assert abs(Decimal(text) - value) <= Decimal("0.51").scaleb(-(16 - digits - 1) + 1)


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        ("0.5", "-0.5"),
        ("-0.5", "0.5"),
        ("+0.5", "-0.5"),
        ("0", "0"),
        ("-0", "0"),
        ("-0.000", "0.000"),
        ("1e-05", "-1e-05"),
        ("-1.000000", "1.000000"),
        ("0.6634123456789", "-0.6634123456789"),
        ("0.66341234567894", "-0.6634123456789"),
        ("-0.6634123456789", "0.6634123456789"),
        ("6.1232339957e-17", "0"),
    ],
)
def test_a_cosine_is_negated_by_its_sign_within_sixteen_bytes(text: str, turned: str) -> None:
    assert negated(text) == turned
    assert len(turned) <= 16


@pytest.mark.parametrize("operation", Orientation)
def test_the_text_says_what_the_numbers_say(operation: Orientation) -> None:
    turned = plane().turned(operation).plane
    wanted = reorient(plane().plane, operation)
    np.testing.assert_allclose(turned.corners, wanted.corners, atol=1e-11)
    assert turned.shape == wanted.shape
    assert turned.pixel_spacing == wanted.pixel_spacing


@pytest.mark.parametrize("operation", Orientation)
def test_there_and_back_keeps_directions_and_spacing_to_the_character(
    operation: Orientation,
) -> None:
    back = plane().turned(operation).turned(operation.inverse)
    assert back.orientation == plane().orientation
    assert back.spacing == plane().spacing
    drift = [
        abs(Decimal(a) - Decimal(b)) for a, b in zip(back.position, plane().position, strict=True)
    ]
    assert max(drift) < Decimal("1e-11")


def test_what_does_not_move_keeps_its_characters() -> None:
    odd = plane(position=("-80.250", "-1.2050000e+02", "+60.125"), spacing=("1.2500", "1.50"))
    turned = odd.turned(Orientation.TRANSPOSE)
    assert turned.position == odd.position
    assert turned.spacing == ("1.50", "1.2500")


def test_a_decimal_that_is_too_long_is_rounded_to_fit() -> None:
    long = plane(position=("-80.25000000000000001", "-120.5", "60.125"))
    assert long.turned(Orientation.IDENTITY).position[0] == "-80.25"


@pytest.mark.parametrize(
    "parts",
    [
        {"orientation": ()},
        {"orientation": ("1", "0", "0", "0", "1")},
        {"orientation": ("1", "0", "0", "0", "0.9", "0")},
        {"orientation": ("1", "0", "0", "0.1", "0.995", "0")},
        {"orientation": ("1", "0", "0", "0", "1", "x")},
        {"orientation": ("1", "0", "0", "0", "1", "nan")},
        {"position": ("1", "2")},
        {"position": ("1", "2", "1e300")},
        {"position": ("1", "2", "1_0")},
        {"position": ("1", "2", "Infinity")},
        {"spacing": ("1",)},
        {"spacing": ("0", "1")},
        {"spacing": ("-1", "1")},
    ],
)
def test_what_is_no_plane_is_refused(parts: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(UnusableGeometry):
        plane(**parts)
