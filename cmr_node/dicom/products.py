"""Our own products, recognised wherever they come from.

The promise kept here: what a CMR Node made is stored when it comes back from a PACS, and never
processed again, so no loop can form.
"""

from __future__ import annotations

from cmr_node.dicom.header import Header

MANUFACTURER = "CMR Node"
MANUFACTURER_MODEL_NAME = "cmr-node"


def is_own_product(header: Header) -> bool:
    """Whether this node or another CMR Node made the instance (General Equipment, C.7.5.1)."""
    return (
        header.text("Manufacturer").strip() == MANUFACTURER
        and header.text("ManufacturerModelName").strip() == MANUFACTURER_MODEL_NAME
    )
