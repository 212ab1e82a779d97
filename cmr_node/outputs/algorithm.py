"""Which network a result comes from, in the words of the objects that carry it.

The promise kept here: two results that differ in network, version or weights say so, and their
UIDs differ.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What made a result (PS3.3 10.16).

    Raises
    ------
    ValueError
        A value is empty, longer than 64 characters, or not printable ASCII.
    """

    name: str
    version: str
    weights_digest: str  #: SHA-256 of the weights, hex

    def __post_init__(self) -> None:
        for name in ("name", "version", "weights_digest"):
            value = getattr(self, name)
            plain = value.isascii() and value.isprintable() and "\\" not in value
            if not (plain and value.strip() and len(value) <= 64):
                raise ValueError(
                    f"{name} {value!r}; allowed: 1 to 64 printable ASCII characters "
                    "without backslash"
                )

    @property
    def step(self) -> str:
        """Its part of the UIDs of what it made."""
        return f"{self.name} {self.version} {self.weights_digest}"
