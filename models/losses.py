"""What is minimised.  Every loss is a mean over those pictures for which the truth is known.

Real data are labelled in part: Sunnybrook has no right ventricle and at end-systole no epicardial
contour.  A structure that nobody drew lies somewhere in what is not labelled: its probability
is added to the background's, so that the network is told nothing about it (marginal loss, after
Fang & Yan 2020), and the structures that were drawn are learnt as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from models.orientation import STRUCTURES


def known_probabilities(logits: Tensor, known: Tensor) -> Tensor:
    """(n, 1 + structures, rows, columns): what was not drawn counts as background.

    Parameters
    ----------
    logits
        (n, 1 + structures, rows, columns).
    known
        (n, structures) bool.
    """
    probabilities = torch.softmax(logits, 1)
    kept = probabilities[:, 1:] * known[:, :, None, None]
    return torch.cat([1 - kept.sum(1, keepdim=True), kept], 1).clamp(1e-6, 1)


def dice_and_cross_entropy(
    logits: Tensor, masks: Tensor, known: Tensor, *, each: bool = False
) -> Tensor:
    """Mean of soft Dice loss over the structures known, and cross-entropy.

    ``masks`` is (n, rows, columns), long; unknown structures are 0 in it.

    Parameters
    ----------
    each
        Whether half of the Dice loss is the mean over the pictures that show the structure, so
        that a small cavity counts as much as a large one.
    """
    probabilities = known_probabilities(logits, known)
    entropy = functional.nll_loss(probabilities.log(), masks)
    target = functional.one_hot(masks, 1 + STRUCTURES).permute(0, 3, 1, 2)[:, 1:].float()
    counted = known[:, :, None, None].float()
    common = (probabilities[:, 1:] * target * counted).sum((2, 3))
    sizes = ((probabilities[:, 1:] + target) * counted).sum((2, 3))
    present = known.any(0)
    # Over the batch: a slice without a structure would make its own Dice a matter of chance.
    dice = (1 - (2 * common.sum(0)[present] + 1) / (sizes.sum(0)[present] + 1)).mean()
    shown = known & target.any((2, 3))
    if each and shown.any():
        dice = (dice + (1 - (2 * common[shown] + 1) / (sizes[shown] + 1)).mean()) / 2
    return entropy + dice


def weighted_bce(logits: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """The paper's: binary cross-entropy a structure, weighted against its rarity in the batch."""
    probabilities = known_probabilities(logits, known)[:, 1:].clamp(max=1 - 1e-6)
    target = functional.one_hot(masks, 1 + STRUCTURES).permute(0, 3, 1, 2)[:, 1:].float()
    share = target.mean((0, 2, 3), keepdim=True).clamp(1e-3, 0.5)
    entropy = -(
        (1 - share) * target * probabilities.log()
        + share * (1 - target) * (1 - probabilities).log()
    )
    counted = known[:, :, None, None].expand_as(entropy)
    return entropy[counted].mean() * 4


#: by what a stage of a recipe calls them
MASKS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "dice": dice_and_cross_entropy,
    "dice of each": partial(dice_and_cross_entropy, each=True),
    "bce": weighted_bce,
}


def orientation_loss(logits: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy with soft classes (n, 8); a row of zeros is a picture of unknown pose."""
    posed = weights.sum(1) > 0
    if not posed.any():
        return logits.sum() * 0
    return functional.cross_entropy(logits[posed], weights[posed])


def mirrored_loss(logits: Tensor, mirrored: Tensor, posed: Tensor) -> Tensor:
    """Binary cross-entropy over pictures of known pose; all (n,)."""
    if not posed.any():
        return logits.sum() * 0
    return functional.binary_cross_entropy_with_logits(logits[posed], mirrored[posed].float())


def direction_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean of 1 - cosine; (n, 2, 2) unit vectors, NaN where not known."""
    known = torch.isfinite(truth).all(2)
    if not known.any():
        return predicted.sum() * 0
    return (1 - (predicted[known] * truth[known]).sum(1)).mean()


def kind_loss(logits: Tensor, kind: Tensor) -> Tensor:
    """Cross-entropy; ``kind`` (n,) long, -1 where not known."""
    if not (kind >= 0).any():
        return logits.sum() * 0
    return functional.cross_entropy(logits, kind, ignore_index=-1)
