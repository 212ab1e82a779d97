"""The simplified network (Zhang & Zhuang 2020, section 2.3): the baseline of every table.

Three copies of the picture, truncated at 60, 80 and 100 % of its largest value, then their
histograms equalised; 100 x 100 pixels; three convolutions and one fully connected layer; eight
classes.  The released code equalises first and loses all grey values on the way; this follows the
text of the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmr_node.geometry.orientation import Orientation

SHARES = (0.6, 0.8, 1.0)
SIZE = 100
_LEVELS = 256


class Simplified(nn.Module):
    """(n, 3, 100, 100) from :func:`truncated` to logits (n, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_layer(3, 32), nn.MaxPool2d(2), *_layer(32, 32), nn.MaxPool2d(2), *_layer(32, 64),
            nn.MaxPool2d(2), nn.AvgPool2d(2),
        )  # fmt: skip
        self.last = nn.Linear(64 * 6 * 6, len(Orientation))

    def forward(self, images: Tensor) -> Tensor:
        """Logits in the order of :class:`Orientation`."""
        logits: Tensor = self.last(self.features(images).flatten(1))
        return logits


def truncated(images: Tensor) -> Tensor:
    """(n, 1, rows, columns) to (n, 3, 100, 100), values 0 to 1."""
    small = functional.interpolate(images, (SIZE, SIZE), mode="bilinear", antialias=True)[:, 0]
    low, high = small.amin((1, 2), keepdim=True), small.amax((1, 2), keepdim=True)
    shares = (small - low) / (high - low + 1e-6)
    return torch.stack([_equalised(shares.clamp(max=share)) for share in SHARES], 1)


def _equalised(images: Tensor) -> Tensor:
    """(n, rows, columns): each value becomes the share of pixels not brighter, in 256 steps."""
    top = images.amax((1, 2), keepdim=True)
    steps = (images / (top + 1e-6) * (_LEVELS - 1)).long().flatten(1)
    counts = torch.zeros(len(images), _LEVELS, device=images.device)
    counts.scatter_add_(1, steps, torch.ones_like(steps, dtype=counts.dtype))
    share = counts.cumsum(1) / steps.shape[1]
    return share.gather(1, steps).reshape(images.shape)


def _layer(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
