import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from cmr_node.dicom.header import Header
from cmr_node.dicom.products import NAMESPACE, is_own_product
from cmr_node.errors import ConfigurationError
from cmr_node.outputs.uids import Producer, derive_uid, derived_uid

PRODUCER = Producer("node-1", "HOST1", "1.0")


def test_a_uid_is_the_decimal_form_of_a_name_based_uuid() -> None:
    uid = UID(derive_uid("a", "b"))
    assert uid.is_valid
    assert uuid.UUID(int=int(uid[5:])) == uuid.uuid5(NAMESPACE, "a\x1fb")


@given(st.lists(st.text("abc.1", max_size=3), min_size=1, max_size=4), st.data())
def test_parts_and_their_borders_make_the_uid(parts: list[str], data: st.DataObject) -> None:
    other = data.draw(st.lists(st.text("abc.1", max_size=3), min_size=1, max_size=4))
    assert (derive_uid(*parts) == derive_uid(*other)) == (parts == other)


@pytest.mark.parametrize(
    "other",
    [
        Producer("n2", "HOST1", "1.0"),
        Producer("node-1", "H2", "1.0"),
        Producer("node-1", "HOST1", "1.1"),
    ],
)
def test_whatever_of_the_producer_enters_the_bytes_enters_the_uid(other: Producer) -> None:
    mine, theirs = (derived_uid("SOPInstanceUID", "1.2", "x", p) for p in (PRODUCER, other))
    assert mine != theirs


@pytest.mark.parametrize("name", ["device_serial", "station_name", "software_version"])
@pytest.mark.parametrize("value", ["", " ", "a\\b", "ü", "a\nb", "x" * 65])
def test_a_producer_that_does_not_fit_its_attributes_is_refused(name: str, value: str) -> None:
    values = {"device_serial": "n", "station_name": "s", "software_version": "1", name: value}
    with pytest.raises(ConfigurationError, match=name):
        Producer(**values)


@pytest.mark.parametrize(
    ("manufacturer", "model", "ours"),
    [
        ("CMR Node", "cmr-node", True),
        ("CMR Node ", "cmr-node ", True),
        ("CMR Node", "other", False),
        ("SIEMENS", "cmr-node", False),
        ("", "", False),
    ],
)
def test_our_products_are_known_by_manufacturer_and_model(
    manufacturer: str, model: str, ours: bool
) -> None:
    attributes = {"Manufacturer": manufacturer, "ManufacturerModelName": model}
    assert is_own_product(Header("1", "2", "3", "4", "5", attributes)) is ours
