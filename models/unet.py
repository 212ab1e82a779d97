"""U-Net (Ronneberger 2015): per pixel, which structure of the heart it shows.

Two convolutions a level, batch normalisation (it folds into the convolutions at export), max
pooling down, nearest-neighbour up with skip connections; the number of channels doubles a level.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class UNet(nn.Module):
    """(n, 1, rows, columns) to logits (n, classes, rows, columns) and the deepest features.

    Rows and columns are multiples of ``2 ** (levels - 1)``.
    """

    def __init__(self, width: int, levels: int, classes: int) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(levels)]
        self.down = nn.ModuleList(
            convolutions(before, after)
            for before, after in zip([1, *channels], channels, strict=False)
        )
        self.up = nn.ModuleList(
            convolutions(below + above, above)
            for below, above in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.last = nn.Conv2d(width, classes, 1)
        self.deepest = channels[-1]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and (n, deepest, rows', columns') features."""
        kept = [self.down[0](images)]
        for block in self.down[1:]:
            kept.append(block(functional.max_pool2d(kept[-1], 2)))
        features = deepest = kept.pop()
        for block in self.up:
            wider = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = block(torch.cat([wider, kept.pop()], 1))
        return self.last(features), deepest


def convolutions(before: int, after: int) -> nn.Sequential:
    """Two 3 x 3 convolutions, each normalised and rectified."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )
