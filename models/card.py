"""The card that goes out with the shipped network, as far as it is known before its digest.

One place for what the network is shown and when it is believed: the evaluation measures with
exactly these numbers, and ``models.export`` writes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cmr_node.inference.card import Card, Thresholds
from cmr_node.inference.preprocess import CLIP, SIZE

LOCATE_MM, SEGMENT_MM = 2.0, 1.4
TEMPERATURE = 4.5  #: see ``evaluation.tables.temperature_of``
MIN_PROBABILITY, MIN_SAX, MIN_AGREEMENT = 0.95, 0.5, 0.6


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known before there is a file."""

    temperature: float

    @property
    def locate_mm(self) -> float:
        """Between the pixels of the look from afar."""
        return LOCATE_MM

    @property
    def thresholds(self) -> Thresholds:
        """When the network counts as sure."""
        return Thresholds(
            temperature=self.temperature,
            min_probability=MIN_PROBABILITY,
            min_sax=MIN_SAX,
            min_agreement=MIN_AGREEMENT,
        )

    def tables(self) -> dict[str, Any]:
        """``[preprocessing]`` and ``[thresholds]``."""
        return {
            "preprocessing": {
                "size": SIZE,
                "locate_mm": LOCATE_MM,
                "segment_mm": SEGMENT_MM,
                "clip": list(CLIP),
            },
            "thresholds": self.thresholds.model_dump(),
        }

    def as_card(self) -> Card:
        """A card for a network that has no file yet."""
        return Card.model_validate(
            {
                "name": "draft",
                "version": "0",
                "file": "none.onnx",
                "sha256": "0" * 64,
                "licence": "none",
                "intended_use": "measuring",
                "not_tested_on": [],
                "data": {"entries": [{"name": "none", "licence": "none", "patients": 0}]},
                "training": {"recipe": "none", "commit": "none", "seed": 0},
                "metrics": {},
                **self.tables(),
            }
        )


def draft(temperature: float = TEMPERATURE) -> Draft:
    """The numbers as they stand."""
    return Draft(temperature)
