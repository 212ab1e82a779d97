"""Who draws the outlines, and under which name.

The promise kept here: what a network drew carries the name, version and weights of that network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.predict import Drawn, Look, Network
from cmr_node.inference.recognition import Image
from cmr_node.inference.runtime import Session
from cmr_node.outputs.algorithm import Algorithm


class Drawer(Protocol):
    """Finds the heart and draws its borders; see ``inference.predict.Network``."""

    def look(self, images: Sequence[Image], pixel_spacing: tuple[float, float]) -> Look:
        """Where the heart is, from slices of one phase."""

    def segment(
        self,
        images: Sequence[Image],
        pixel_spacing: tuple[float, float],
        orientation: Orientation,
        centre: tuple[float, float] | None,
        *,
        turns: bool = False,
    ) -> list[Drawn]:
        """The structures on each picture, on its stored grid."""


@dataclass(frozen=True, slots=True)
class Artist:
    """A network that draws, and what its results are signed with."""

    drawer: Drawer
    algorithm: Algorithm


def artist_of(session: Session | None) -> Artist | None:
    """The artist that an open network makes; None if there is none."""
    if session is None:
        return None
    card = session.card
    algorithm = Algorithm(card.name, card.version, session.digest)
    return Artist(Network(session.run, card), algorithm)
