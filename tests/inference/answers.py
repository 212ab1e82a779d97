"""Networks for tests: small functions of the pixels that answer as a network would."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cmr_node.inference.card import Card
from cmr_node.inference.network_outputs import Outputs
from cmr_node.inference.preprocess import SIZE


def arbitrary(images):
    """Answers that depend on the picture in no sensible way, and on how it is turned."""
    rng = np.random.default_rng(0)
    flat = images.reshape(len(images), -1)
    kinds = {"orientation": 8, "mirrored": 1, "directions": 4, "kind": 5}
    told = {
        name: (flat @ rng.normal(size=(flat.shape[1], count)).astype(np.float32)) / SIZE
        for name, count in kinds.items()
    }
    uneven = np.linspace(0, 1, SIZE, dtype=np.float32)[:, None] * images[:, 0]
    masks = np.stack([uneven, uneven**2, 1 - uneven, np.abs(uneven)], 1)
    return Outputs(
        masks=np.float32(masks),
        orientation=told["orientation"],
        mirrored=told["mirrored"][:, 0],
        directions=told["directions"].reshape(-1, 2, 2),
        kind=told["kind"],
    )


def by_brightness(images):
    """Sees a left ventricle in bright pixels, myocardium in grey, and is sure of the identity."""
    count = len(images)
    smooth = ndimage.gaussian_filter(images[:, 0], (0, 1, 1))
    blood, wall = smooth > 1.5, (smooth > 0.3) & (smooth <= 1.5)
    masks = np.zeros((count, 4, SIZE, SIZE), np.float32)
    masks[:, 1], masks[:, 2] = blood * 0.9, wall * 0.9
    masks[:, 0] = 1 - masks.sum(1)
    orientation = np.zeros((count, 8), np.float32)
    kind = np.zeros((count, 5), np.float32)
    kind[:, 0] = 8
    return Outputs(masks, orientation, np.zeros(count, np.float32),
                   np.zeros((count, 2, 2), np.float32), kind)  # fmt: skip


def card(**thresholds):
    """A card that a network can be opened with."""
    sure = {"temperature": 1.0, "min_probability": 0.9, "min_sax": 0.5, "min_agreement": 0.5}
    return Card.model_validate(
        {
            "name": "test",
            "version": "1",
            "file": "network.onnx",
            "sha256": "0" * 64,
            "licence": "CC0-1.0",
            "intended_use": "tests",
            "not_tested_on": ["anything"],
            "preprocessing": {
                "size": SIZE,
                "locate_mm": 2.0,
                "segment_mm": 1.4,
                "clip": [1.0, 99.0],
            },
            "thresholds": sure | thresholds,
            "data": {"entries": [{"name": "none", "licence": "CC0-1.0", "patients": 0}]},
            "training": {"recipe": "none", "commit": "none", "seed": 0},
            "metrics": {},
        }
    )
