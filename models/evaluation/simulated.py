"""Simulated patients of another seed: every sequence, with everything known.

A look-up is of a patient of its own, so slices are independent here.  Pictures that lie more than
30 degrees from any class have no right class; they count for the angle, not for the class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmr_node.inference.equivariance import ALL, answers, mean_of
from cmr_node.inference.network_outputs import Forward, Outputs
from cmr_node.inference.picture_kind import PictureKind
from cmr_node.inference.preprocess import normalised
from models.evaluation.tables import Row
from models.pool import KINDS, SEQUENCES, Pool
from models.poses import class_weights

STRUCTURES = {"LV": 1, "Myo": 2, "RV": 3}
_BATCH = 32


def look(forward: Forward, pool: Pool, count: int) -> tuple[Outputs, np.ndarray]:
    """Averaged outputs on the first ``count`` pictures, and (8, n, 8) of the network alone."""
    told, alone = [], []
    for first in range(0, count, _BATCH):
        part = pool.images[first : min(first + _BATCH, count)].astype(np.float32)
        pictures = np.stack([normalised(picture) for picture in part])
        each = answers(forward, pictures)
        alone.append(np.stack([one.orientation for one in each]))
        told.append(mean_of(each))
    names = ("masks", "orientation", "mirrored", "directions", "kind")
    joined = Outputs(*(np.concatenate([getattr(one, name) for one in told]) for name in names))
    return joined, np.concatenate(alone, 1)


def rows(outputs: Outputs, alone: np.ndarray, pool: Pool) -> dict[str, Row]:
    """Per sequence, over slices that show the ventricles."""
    count = len(outputs.kind)
    shown = pool.kind[:count] == KINDS.index(PictureKind.SHORT_AXIS)
    right = pool.right[:count]
    told: dict[str, Row] = {}
    for number, sequence in enumerate(SEQUENCES):
        here = np.flatnonzero(shown & (pool.sequence[:count] == number))
        if not len(here):
            continue
        weights = class_weights(right[here], np.zeros(len(here), np.bool_))
        clear = weights.max(1) == 1
        truth = weights.argmax(1)
        turned = np.array([[k.after(ALL[t]).code for t in truth] for k in ALL])
        cosine = (outputs.directions[here, 0] * right[here]).sum(1)
        length = np.linalg.norm(outputs.directions[here, 0], axis=1) + 1e-6
        angle = np.degrees(np.arccos(np.clip(cosine / length, -1, 1)))
        labels = outputs.masks[here].argmax(1)
        told[str(sequence)] = {
            "slices": len(here),
            "class": float((outputs.orientation[here].argmax(1) == truth)[clear].mean()),
            "class, network alone": float((alone[:, here].argmax(2) == turned)[:, clear].mean()),
            "mirrored or not": float((outputs.mirrored[here] < 0).mean()),
            "right, deg: median, 95 %": [float(v) for v in np.percentile(angle, [50, 95])],
            **{name: _dice(labels, pool.masks[here], value) for name, value in STRUCTURES.items()},
        }
    return told


def _dice(found: np.ndarray, truth: np.ndarray, value: int) -> float:
    """Mean over the slices that have the structure."""
    scores: Sequence[float] = [
        2 * ((f == value) & (t == value)).sum() / ((f == value).sum() + (t == value).sum())
        for f, t in zip(found, truth, strict=True)
        if (t == value).sum() >= 20
    ]
    return float(np.mean(scores)) if scores else float("nan")
