"""PDUs and command sets against pynetdicom's own coding, and against nonsense."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode
from pynetdicom.pdu import P_DATA_TF

from cmr_node.network.wire import (
    ASSOCIATE_LIMIT_BYTES,
    NO_DATA_SET,
    Command,
    Element,
    Field,
    Pdu,
    PduReader,
    ProtocolFault,
    command_pdus,
    data_pdu,
    encode_command,
    pdvs,
)
from tests.raw_scu import echo_rq, p_data, pdv, store_rq

MR = "1.2.840.10008.5.1.4.1.1.4"


def read_all(reader: PduReader, stream: bytes, step: int) -> list[tuple[Pdu, bytes]]:
    """Feed ``stream`` at most ``step`` bytes at a time."""
    taken, at = [], 0
    while at < len(stream):
        room = reader.room()
        size = min(step, len(room), len(stream) - at)
        room[:size] = stream[at : at + size]
        reader.received(size)
        at += size
        while (pdu := reader.take()) is not None:
            taken.append(pdu)
    return taken


@given(
    bodies=st.lists(st.binary(min_size=0, max_size=3000), max_size=12),
    step=st.integers(1, 5000),
)
def test_a_stream_is_cut_into_the_same_pdus_however_it_arrives(
    bodies: list[bytes], step: int
) -> None:
    stream = b"".join(struct.pack(">BxL", 4, len(body)) + body for body in bodies)
    assert read_all(PduReader(4096), stream, step) == [(Pdu.DATA, body) for body in bodies]


def test_pdus_that_fill_the_buffer_over_and_over_are_kept_apart() -> None:
    size = ASSOCIATE_LIMIT_BYTES - 10
    bodies = [bytes([n]) * size for n in range(5)]
    stream = b"".join(struct.pack(">BxL", 4, size) + body for body in bodies)
    taken = read_all(PduReader(ASSOCIATE_LIMIT_BYTES), stream, 100_000)
    assert [body for _, body in taken] == bodies


@pytest.mark.parametrize(
    ("kind", "length"),
    [(1, 0xFFFFFFFF), (1, ASSOCIATE_LIMIT_BYTES + 1), (4, 4097), (5, 65), (7, 1 << 20)],
)
def test_an_announced_length_past_its_limit_is_refused_at_the_header(
    kind: int, length: int
) -> None:
    reader = PduReader(4096)
    with pytest.raises(ProtocolFault, match=f"{length} bytes"):
        read_all(reader, struct.pack(">BxL", kind, length), 6)


@pytest.mark.parametrize("kind", [0, 8, 0x47, 0xFF])
def test_an_unknown_pdu_type_is_refused(kind: int) -> None:
    with pytest.raises(ProtocolFault, match="PDU type"):
        read_all(PduReader(4096), bytes([kind, 0, 0, 0, 0, 0]), 6)


@given(
    st.lists(st.tuples(st.integers(1, 255), st.integers(0, 3), st.binary(max_size=50)), min_size=1)
)
def test_presentation_data_values_are_those_pynetdicom_sees(
    items: list[tuple[int, int, bytes]],
) -> None:
    whole = p_data(*(pdv(context, control, fragment) for context, control, fragment in items))
    oracle = P_DATA_TF()
    oracle.decode(whole)
    found = [(i, bytes([c]) + bytes(f)) for i, c, f in pdvs(whole[6:])]
    assert found == [
        (item.presentation_context_id, item.presentation_data_value)
        for item in oracle.presentation_data_value_items
    ]


@given(st.binary(max_size=200))
def test_bytes_that_are_no_presentation_data_values_raise_nothing_else(body: bytes) -> None:
    try:
        found = list(pdvs(body))
    except ProtocolFault:
        return
    assert sum(6 + len(fragment) for _, _, fragment in found) == len(body)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_command_set_raise_nothing_else(encoded: bytes) -> None:
    try:
        Command(encoded)
    except ProtocolFault:
        return
    assert len(encoded) >= 10


def test_a_command_set_of_pynetdicom_is_read() -> None:
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = 65535, 2
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = MR, "1.2.3"
    primitive.DataSet = BytesIO(b"xx")
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    encoded = b"".join(
        value[1:]
        for pdata in message.encode_msg(1, 16384)
        for _, value in pdata.presentation_data_value_list
        if value[0] & 1
    )
    command = Command(encoded)
    assert command.field == Field.C_STORE_RQ
    assert command.number(Element.MESSAGE_ID) == 65535
    assert command.text(Element.AFFECTED_SOP_CLASS_UID) == MR
    assert command.text(Element.AFFECTED_SOP_INSTANCE_UID) == "1.2.3"
    assert command.has_data_set


def test_a_response_is_one_that_pynetdicom_reads() -> None:
    encoded = encode_command(
        {
            Element.ERROR_COMMENT: "odd",
            Element.AFFECTED_SOP_CLASS_UID: MR,
            Element.COMMAND_FIELD: Field.C_STORE_RSP,
            Element.MESSAGE_ID_BEING_RESPONDED_TO: 7,
            Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
            Element.STATUS: 0xA700,
            Element.AFFECTED_SOP_INSTANCE_UID: "1.2.3",
        }
    )
    ds = decode(BytesIO(encoded), True, True)
    assert ds.CommandGroupLength == len(encoded) - 12
    assert [element.tag.element for element in ds] == sorted(e.tag.element for e in ds)
    response = C_STORE_RSP()
    response.command_set = ds
    primitive = response.message_to_primitive()
    assert primitive.is_valid_response
    assert (primitive.Status, primitive.MessageIDBeingRespondedTo) == (0xA700, 7)
    assert (primitive.AffectedSOPInstanceUID, primitive.ErrorComment) == ("1.2.3", "odd")


def test_a_command_set_without_its_number_is_a_fault() -> None:
    with pytest.raises(ProtocolFault, match="0110"):
        Command(encode_command({Element.COMMAND_FIELD: 1})).number(Element.MESSAGE_ID)


@pytest.mark.parametrize("maximum", [0, 7, 8, 100, 16384])
def test_a_command_set_is_split_to_what_the_peer_takes(maximum: int) -> None:
    command = store_rq(MR, "1.2.3")
    pdus = read_all(PduReader(1 << 16), command_pdus(5, command, maximum), 1 << 16)
    values = [value for _, body in pdus for value in pdvs(body)]
    assert b"".join(bytes(value.fragment) for value in values) == command
    assert [value.control for value in values] == [1] * (len(values) - 1) + [3]
    assert {value.context_id for value in values} == {5}
    assert not maximum or max(len(body) for _, body in pdus) <= maximum


def test_a_data_pdu_is_byte_for_byte_that_of_the_standard() -> None:
    assert data_pdu(3, 2, b"ab") == p_data(pdv(3, 2, b"ab"))


def test_an_echo_request_has_no_data_set() -> None:
    assert not Command(echo_rq()).has_data_set
