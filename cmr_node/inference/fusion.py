"""One answer out of many: over the slices of a stack, and over the stacks of a study.

The promise kept here: fusing turns with the pictures as every single answer does, slices that
show no ventricle hardly count, and stacks help each other only where none that is sure of itself
contradicts another.

Slices are not independent, so the sum of their logarithms is divided by a temperature that was
fitted on patients held out of training; the card holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import HeaderEvidence
from cmr_node.inference.card import Thresholds
from cmr_node.inference.equivariance import ALL, matrices
from cmr_node.inference.network_outputs import Outputs
from cmr_node.inference.picture_kind import PictureKind
from cmr_node.inference.recognition import NetworkEvidence

KINDS = tuple(PictureKind)
PARALLEL = (PictureKind.SHORT_AXIS, PictureKind.ABOVE_BASE, PictureKind.BELOW_APEX)
FLOOR = 1e-6  #: no probability is taken to be smaller
MAX_RESIDUAL_DEG = 60.0
Floats = npt.NDArray[np.floating]


def fuse_slices(outputs: Outputs, thresholds: Thresholds) -> NetworkEvidence:
    """What n slices of one stack say together; n is at least 1."""
    kinds = softmax(outputs.kind)
    weight, single = weights(outputs), logs(outputs)
    total = softmax((weight @ single)[None] / thresholds.temperature)[0]
    probabilities = dict(zip(ALL, map(float, total), strict=True))
    best = max(ALL, key=lambda orientation: probabilities[orientation])
    right, septal = np.einsum("n,nij->ij", weight, outputs.directions)
    standing = right @ matrices()[best.code]
    parallel = kinds[:, [KINDS.index(kind) for kind in PARALLEL]].sum(1)
    heard = weight >= 0.5 * weight.max()
    evidence = NetworkEvidence(
        probabilities=probabilities,
        sax=float(parallel.mean() * kinds[:, KINDS.index(PictureKind.SHORT_AXIS)].max()),
        mirrored=float(1 / (1 + np.exp(-np.average(outputs.mirrored, weights=weight)))),
        residual_deg=-_clockwise_deg(standing),
        septal_deg=_clockwise_deg(septal),
        agreement=float((single[heard].argmax(1) == best.code).mean()),
        slices=len(single),
    )
    return replace(evidence, doubt=doubt(evidence, thresholds))


def weights(outputs: Outputs) -> Floats:
    """(n,): how much each slice counts, the probability that it shows a short axis."""
    shown = softmax(outputs.kind)[:, KINDS.index(PictureKind.SHORT_AXIS)]
    return np.asarray(shown + FLOOR)


def logs(outputs: Outputs) -> Floats:
    """(n, 8): logarithm of the probability of each orientation, slice by slice."""
    return np.asarray(np.log(np.maximum(softmax(outputs.orientation), FLOOR)))


def fuse_stacks(
    stacks: Sequence[tuple[NetworkEvidence, HeaderEvidence]], thresholds: Thresholds
) -> list[NetworkEvidence]:
    """What the short-axis stacks of one frame of reference say, each having heard the others.

    If pixels and header disagree by D (identity where the header is true), then they do so in
    every stack that went the same way: N = "H, then D".  D is what the stacks have in common.
    """
    sure = {_disagreement(one.orientation, header) for one, header in stacks if not one.doubt}
    if len(stacks) < 2 or len(sure) != 1:
        return [one for one, _ in stacks]
    logs = sum(
        np.log([max(one.probabilities[d.after(header.orientation)], FLOOR) for d in ALL])
        for one, header in stacks
    )
    common = softmax(np.asarray(logs)[None])[0]
    fused = []
    for one, header in stacks:
        together = {d.after(header.orientation): float(common[d.code]) for d in ALL}
        heard = replace(one, probabilities={o: together[o] for o in ALL}, doubt="")
        # Its own slices' agreement and angle were with the orientation it would have told alone.
        told = heard if heard.orientation is one.orientation else replace(heard, agreement=1.0)
        fused.append(replace(told, doubt=doubt(told, thresholds)))
    return fused


def doubt(evidence: NetworkEvidence, thresholds: Thresholds) -> str:
    """Why the network is not sure, as a sentence without capital or stop; "" if it is."""
    if evidence.sax < thresholds.min_sax:
        return f"a short axis with probability {evidence.sax:.3f}, needed {thresholds.min_sax:g}"
    if evidence.probability < thresholds.min_probability:
        return (
            f"{evidence.orientation} with probability {evidence.probability:.3f}, "
            f"needed {thresholds.min_probability:g}"
        )
    if evidence.agreement < thresholds.min_agreement:
        return (
            f"{evidence.agreement:.0%} of its slices see {evidence.orientation}, "
            f"needed {thresholds.min_agreement:.0%}"
        )
    handed = 1.0 if evidence.orientation.chirality < 0 else 0.0
    if evidence.mirrored is not None and abs(evidence.mirrored - handed) > 0.5:
        return f"{evidence.orientation}, but a mirrored picture with {evidence.mirrored:.3f}"
    if evidence.residual_deg is not None and abs(evidence.residual_deg) > MAX_RESIDUAL_DEG:
        return f"{evidence.orientation}, but turned from it by {evidence.residual_deg:.0f} degrees"
    return ""


def softmax(logits: Floats) -> npt.NDArray[np.float64]:
    """Over the last axis."""
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _disagreement(seen: Orientation, header: HeaderEvidence) -> Orientation:
    return seen.after(header.orientation.inverse)


def _clockwise_deg(vector: Floats) -> float:
    """From the right of the picture; -180 to 180."""
    return float(np.degrees(np.arctan2(vector[0], vector[1])))
