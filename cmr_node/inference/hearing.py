"""A network heard on one stack: whatever comes of it is evidence.

The promise kept here: pictures that cannot be read, or of which the network can make nothing,
are a doubt with its reason; they fail no study, and are not taken for a node without network,
where the header would decide alone.  A runtime that is out of memory is no evidence: it is
raised, and the study tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from cmr_node.errors import BadInference, BadInstance
from cmr_node.inference.recognition import Image, NetworkEvidence, Recogniser, nothing_seen
from cmr_node.telemetry import NETWORK_HEARD

logger = logging.getLogger(__name__)


def hear(
    recognise: Recogniser,
    images: Sequence[Image],
    pixel_spacing: tuple[float, float],
    series_uid: str,
) -> NetworkEvidence:
    """What a network says of the pictures of a stack, those that can be read.

    Raises
    ------
    InferenceFailed
        The runtime has no memory for one picture, or its device is gone.
    """
    if not images:
        outcome, found = "no_image", nothing_seen("no picture of the stack can be read")
    else:
        try:
            found = recognise(images, pixel_spacing)
            outcome = "doubt" if found.doubt else "sure"
        except (BadInstance, BadInference) as error:
            logger.warning("the network can make nothing of series %s: %s", series_uid, error)
            outcome, found = "bad_answer", nothing_seen("it can make nothing of the pictures")
    NETWORK_HEARD.labels(outcome).inc()
    return found


def as_json(network: NetworkEvidence) -> dict[str, Any]:
    """What it said, for records and reports."""
    return {
        "orientation": str(network.orientation),
        "probability": round(network.probability, 6),
        "probabilities": {str(o): round(p, 6) for o, p in network.probabilities.items()},
        "sax": round(network.sax, 6),
        "doubt": network.doubt,
        "mirrored": _rounded(network.mirrored, 6),
        "residual_deg": _rounded(network.residual_deg, 3),
        "septal_deg": _rounded(network.septal_deg, 3),
        "agreement": round(network.agreement, 4),
        "slices": network.slices,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
