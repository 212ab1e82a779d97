"""Values as the bytes the sender wrote.

The promise kept here: text that the node only passes on is never decoded and encoded again
(a wrongly declared character set would garble a name for good), and a decimal string is
worked on digit by digit, never through a binary float.
"""

from __future__ import annotations

import re

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")


def tag_of(keyword: str) -> BaseTag:
    """The tag of a keyword of PS3.6."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(f"{keyword} is no keyword of PS3.6")
    return Tag(tag)


def raw_bytes(ds: Dataset, keyword: str) -> bytes | None:
    """The value as stored, without padding; None if absent or already decoded."""
    tag = tag_of(keyword)
    if tag not in ds:
        return None
    element = ds.get_item(tag)
    if not isinstance(element, RawDataElement):
        return None
    return (element.value or b"").rstrip(b" \0")


def put_raw(ds: Dataset, keyword: str, value: bytes) -> None:
    """Set a text element to bytes already encoded in the data set's character set."""
    tag = tag_of(keyword)
    vr = dictionary_VR(tag)
    padding = b"\0" if vr == "UI" else b" "
    padded = value + padding * (len(value) % 2)
    implicit, little = ds.original_encoding
    ds[tag] = RawDataElement(
        tag,
        vr,
        len(padded),
        padded,
        0,
        bool(implicit),
        little is not False,
    )


def texts(ds: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of an element of a VR that is always ASCII (CS, DS, IS, UI), stripped.

    () if absent or empty.  Bytes beyond ASCII become U+FFFD and so match nothing.
    """
    raw = raw_bytes(ds, keyword)
    if raw is not None:
        text = raw.decode("ascii", errors="replace")
    else:
        value = ds.get(keyword)
        if value is None:
            return ()
        text = "\\".join(map(str, value)) if isinstance(value, MultiValue | list) else str(value)
    return tuple(part.strip(" \0") for part in text.split("\\")) if text.strip(" \0") else ()


def is_decimal(text: str) -> bool:
    """Whether ``text`` is a decimal string of PS3.5 6.2, its length apart."""
    return DECIMAL.fullmatch(text) is not None


def put_texts(ds: Dataset, keyword: str, *values: str) -> None:
    """Set an ASCII element to these values, character for character; "?" for what is not ASCII."""
    put_raw(ds, keyword, "\\".join(values).encode("ascii", errors="replace"))
