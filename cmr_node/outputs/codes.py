"""Coded concepts, and the node's own coding scheme (PS3.3 8.8, PS3.16 8.2)."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cmr_node.dicom.raw import put_texts, texts

SCHEME = "99CMRNODE"


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    put_texts(item, "CodeValue", value)
    put_texts(item, "CodingSchemeDesignator", scheme)
    put_texts(item, "CodeMeaning", meaning)
    return item


def name_scheme(ds: Dataset) -> None:
    """Say in place whose scheme ``SCHEME`` is, once, after the schemes already named."""
    scheme = Dataset()
    put_texts(scheme, "CodingSchemeDesignator", SCHEME)
    put_texts(scheme, "CodingSchemeName", "CMR Node local codes")
    put_texts(scheme, "CodingSchemeResponsibleOrganization", "CMR Node")
    others = [
        item
        for item in ds.get("CodingSchemeIdentificationSequence") or []
        if texts(item, "CodingSchemeDesignator") != (SCHEME,)
    ]
    ds.CodingSchemeIdentificationSequence = Sequence([*others, scheme])
