"""Damaged files: whatever the bytes, the answer is a proved instance or one of our errors."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ImplicitVRLittleEndian

from cmr_node.dicom.reading import parse
from cmr_node.errors import BadInstance, RefusedStack
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.proof import prove
from tests.enhanced import enhanced_mr
from tests.outputs.making import made
from tests.outputs.test_overlays import with_overlay
from tests.samples import mr, part10_bytes

WHOLE = [
    part10_bytes(mr(rows=6, columns=7)),
    part10_bytes(mr(rows=6, columns=7, transfer_syntax=ImplicitVRLittleEndian)),
    part10_bytes(enhanced_mr(rows=4, columns=5, slices=1, phases=2)),
    part10_bytes(with_overlay(np.zeros((5, 7), np.uint8))),
]
DAMAGE = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 9),
        st.one_of(
            st.binary(max_size=6),
            st.sampled_from([b"\xff" * 4, b"\0" * 4, b"1e99", b"\\\\", b"-nan", b"UN", b"SQ"]),
        ),
    ),
    min_size=1,
    max_size=3,
)


def damaged(whole: bytes, damage: list[tuple[float, int, bytes]]) -> bytes:
    """Behind the preamble, at these shares of the length, so many bytes replaced by others."""
    data = bytearray(whole)
    for where, removed, inserted in damage:
        at = 132 + int(where * (len(data) - 132))
        data[at : at + removed] = inserted
    return bytes(data)


@pytest.mark.filterwarnings("ignore")  # a damaged value may draw pydicom's; none may escape ours
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(WHOLE), DAMAGE, st.sampled_from(list(Orientation)))
def test_damaged_bytes_give_a_proved_instance_or_an_error_of_ours(
    whole: bytes, damage: list[tuple[float, int, bytes]], operation: Orientation
) -> None:
    try:
        source = parse(damaged(whole, damage))
        out = made(source, operation)
    except (BadInstance, RefusedStack):
        return
    assert prove(out, source) <= 0.01


@pytest.mark.parametrize(
    ("found", "put"),
    [
        (b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x10\x00FT\x02\x00"),
        (b"\x18\x00\x10\x13US", b"\x18\x00\x10\x13??"),
    ],
)
def test_a_value_representation_that_does_not_exist_is_refused(found: bytes, put: bytes) -> None:
    data = part10_bytes(mr())
    assert data.count(found) == 1
    with pytest.raises(BadInstance):
        made(parse(data.replace(found, put)), Orientation.ROT90CW)


def test_a_code_string_beyond_ascii_is_written_with_question_marks() -> None:
    data = part10_bytes(mr()).replace(b"PRIMARY\\OTHER", b"PRIMARY\\OTH\xc3R")
    turned: Any = parse(made(parse(data), Orientation.ROT90CW))
    assert turned.ImageType == ["DERIVED", "SECONDARY", "OTH?R"]
