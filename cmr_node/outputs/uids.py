"""Who makes our objects, and the UIDs they get.

The promise kept here: the same work on the same source by the same producer gets the same UID,
whichever host does it and however often; anything that changes the bytes changes the UID.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from cmr_node import __version__
from cmr_node.dicom.products import MANUFACTURER, MANUFACTURER_MODEL_NAME, NAMESPACE
from cmr_node.errors import ConfigurationError

_LONGEST = {"device_serial": 64, "station_name": 16, "software_version": 64}
"""Characters of LO and SH (PS3.5 table 6.2-1)."""


@dataclass(frozen=True, slots=True)
class Producer:
    """What General Equipment (PS3.3 C.7.5.1) says about this node.

    Raises
    ------
    ConfigurationError
        A value is empty, too long for its attribute, or not printable ASCII.
    """

    device_serial: str
    station_name: str
    software_version: str = __version__
    manufacturer: str = MANUFACTURER
    model: str = MANUFACTURER_MODEL_NAME

    def __post_init__(self) -> None:
        for name, longest in _LONGEST.items():
            value = getattr(self, name)
            plain = value.isascii() and value.isprintable() and "\\" not in value
            if not (plain and value.strip() and len(value) <= longest):
                raise ConfigurationError(
                    f"{name} {value!r}; allowed: 1 to {longest} printable ASCII characters "
                    "without backslash"
                )


def derive_uid(*parts: str) -> str:
    """A UID that depends on ``parts`` and their order alone (PS3.5 B.2: 2.25 and a UUID)."""
    # The separator cannot be part of a UID, a keyword or a version: ("a", "b") is not ("ab",).
    return f"2.25.{uuid.uuid5(NAMESPACE, chr(0x1F).join(parts)).int}"


def derived_uid(kind: str, source_uid: str, step: str, producer: Producer) -> str:
    """The UID of what ``producer`` makes of ``source_uid`` in one step."""
    return derive_uid(kind, source_uid, step, *astuple(producer))


def result_uid(kind: str, sources: Iterable[str], step: str, producer: Producer) -> str:
    """The UID of what ``producer`` makes of several sources, in their order, in one step.

    ``step`` says everything else that the bytes depend on.
    """
    return derive_uid(kind, *sources, step, *astuple(producer))
