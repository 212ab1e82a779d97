"""Small examples for the tests of training: discs instead of hearts."""

from __future__ import annotations

import numpy as np

from cmr_node.inference.equivariance import matrices
from cmr_node.inference.preprocess import SIZE


def examples(count: int = 8, seed: int = 0, **changed):
    """A bright pool within a grey ring, a second pool to the left of it; nothing mirrored."""
    from models.examples import Examples

    rng = np.random.default_rng(seed)
    rows, columns = np.indices((SIZE, SIZE))
    images, masks = [], []
    for _ in range(count):
        row, column = rng.uniform(54, 74, 2)
        away = np.hypot(rows - row, columns - column)
        beside = np.hypot(rows - row, columns - column + 24)
        mask = np.where(away < 10, 1, np.where(away < 15, 2, np.where(beside < 8, 3, 0)))
        masks.append(mask.astype(np.uint8))
        grey = np.array([0.1, 1.0, 0.4, 0.9])[mask] + 0.002 * rows
        images.append(grey + rng.normal(0, 0.02, grey.shape))
    right = np.repeat(matrices()[0][:, 1][None], count, 0)
    given = {
        "images": np.stack(images).astype(np.float16),
        "masks": np.stack(masks),
        "known": np.ones((count, 3), np.bool_),
        "kind": np.zeros(count, np.int64),
        "right": right,
        "septal": -right,
        "exact": np.ones(count, np.bool_),
        "spacing": np.full(count, 1.6, np.float32),
        "centre": np.full((count, 2), (SIZE - 1) / 2, np.float32),
        "sequence": np.zeros(count, np.uint8),
        "patient": np.array([f"P-{n % 4}" for n in range(count)]),
    }
    return Examples(**(given | changed))
