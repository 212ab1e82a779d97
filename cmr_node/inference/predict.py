"""From the pictures of a stack to what a network makes of them."""

from __future__ import annotations

from collections.abc import Sequence

from cmr_node.inference.card import Card
from cmr_node.inference.network_outputs import Forward
from cmr_node.inference.recognition import Image, NetworkEvidence


class Network:
    """A network with its card; ``recognise`` is a ``recognition.Recogniser``."""

    def __init__(self, forward: Forward, card: Card) -> None:
        self._forward, self._card = forward, card

    def recognise(
        self, images: Sequence[Image], pixel_spacing: tuple[float, float]
    ) -> NetworkEvidence:
        """What the network sees in the slices of a stack at one phase."""
        raise NotImplementedError
