"""How the node signs what it makes, and how it knows its own work again.

The promise kept here: an object that this product made is recognised wherever it comes back
from, so it is stored and never processed a second time.  The signature is General Equipment
(PS3.3 C.7.5.1), which a PACS passes on unchanged: manufacturer and model, both ours.
"""

from __future__ import annotations

import uuid

from cmr_node.dicom.header import Header

MANUFACTURER = "CMR Node"
MANUFACTURER_MODEL_NAME = "cmr-node"

NAMESPACE = uuid.UUID("0c9f4e0e-6f55-5d0b-9a3b-6c0a4c9f7d21")
"""Root of every UID this product makes (PS3.5 B.2).  Never changed: UIDs must repeat."""

IMPLEMENTATION_CLASS_UID = f"2.25.{uuid.uuid5(NAMESPACE, 'implementation').int}"
"""(0002,0012) of the files the node makes, and of the associations it asks for."""


def is_own_product(header: Header) -> bool:
    """Whether an instance was made by this product, of whatever version, on whatever host."""
    return (
        header.text("Manufacturer").strip() == MANUFACTURER
        and header.text("ManufacturerModelName").strip() == MANUFACTURER_MODEL_NAME
    )
