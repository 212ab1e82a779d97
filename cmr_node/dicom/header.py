"""What the node keeps of an instance's header, read from the bytes in one bounded pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Header:
    """The identity of one instance and the attributes that assembling needs.

    ``attributes`` maps DICOM keywords to JSON values: text as str, IS as int, DS, FD and FL as
    float, US and the like as int; a list where the value multiplicity is above one.  An absent
    or empty element is absent here.
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str
    series_instance_uid: str
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def text(self, keyword: str) -> str:
        """The value as text, a multi-valued one joined by backslashes; "" if absent."""
        value = self.attributes.get(keyword, "")
        return "\\".join(map(str, value)) if isinstance(value, list) else str(value)

    def number(self, keyword: str) -> float | None:
        """The (first) value as a number; None if absent or not a number."""
        values = self.numbers(keyword)
        return values[0] if values else None

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """All values as numbers; () if absent or any is not a number."""
        value = self.attributes.get(keyword)
        values = value if isinstance(value, list) else [] if value is None else [value]
        try:
            return tuple(float(item) for item in values)
        except (TypeError, ValueError):
            return ()
