"""Who may send to the node and who receives from it, as the settings list them.

The promise kept here: a peer that cannot be reached as it is written is refused at the start.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

AETitle = Annotated[
    str, Field(pattern=r"^[\x21-\x5b\x5d-\x7e]([\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?$")
]
Port = Annotated[int, Field(ge=0, le=65535)]
Wanted = Literal["derived", "original"]


class Section(BaseModel):
    """A table of the TOML file: nothing unknown in it, nothing changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Peer(Section):
    """A remote AE: may it send, does it receive, and what."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$",
        description="Short name in logs, metrics and status (a-z, 0-9, - and _).",
    )
    ae_title: str = Field(
        description='AE title, exact; "*" lets any title in from the listed address (senders only).'
    )
    host: str = Field(
        description="Host name, address or, for a peer that only sends, a CIDR range."
    )
    port: Port = Field(104, description="TCP port the peer listens on.")
    sends: bool = Field(False, description="Whether the peer may send to this node.")
    receives: tuple[Wanted, ...] = Field(
        (), description='What the node delivers to it: "derived", "original" or both.'
    )

    segmentation: Literal["binary", "label_map"] = Field(
        "binary",
        description="How outlines go to it: as Segmentation, or as Label Map Segmentation "
        "(2024) and, where it does not take that, as Segmentation.",
    )
    secondary_capture: Literal["never", "fallback", "always"] = Field(
        "fallback",
        description="Whether a page of pictures goes to it: never, where it does not take "
        "segmentations or reports, or always.",
    )

    @field_validator("ae_title")
    @classmethod
    def _title(cls, title: str) -> str:
        if not 1 <= len(title.strip()) <= 16 or "\\" in title or not title.isprintable():
            raise ValueError("an AE title is 1 to 16 printable characters without backslash")
        return title.strip()

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.receives and (self.ae_title == "*" or "/" in self.host):
            raise ValueError(
                'a peer that receives needs one AE title and one host, not "*" or a range'
            )
        if "/" in self.host:
            ipaddress.ip_network(self.host)
        return self


LOOPBACK = (
    Peer(name="loopback", ae_title="*", host="127.0.0.0/8", sends=True),
    Peer(name="loopback6", ae_title="*", host="::1/128", sends=True),
)
