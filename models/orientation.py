"""The multi-task network (Zhang & Zhuang 2020, figure 2) and what this project adds to it.

A U-Net segments; the orientation branch looks at the image with the predicted masks as attention.
Beside the paper's eight classes the branch tells whether the picture is mirrored, and where the
standard right and the septum lie (unit vectors, because scanners turn their pictures by more than
45 degrees).  The U-Net's deepest features come in too: chest wall, lung and liver tell a mirrored
picture where the two ventricles do not.

What kind of picture it is has a branch of its own, of the same build: it can learn last, from
other pictures than orientation is learnt from, and leave everything else as it was.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.picture_kind import PictureKind
from models.unet import UNet, convolutions

STRUCTURES = 3  #: LV blood pool, LV myocardium, RV blood pool
ORIENTATIONS, KINDS = len(Orientation), len(PictureKind)
_GRID = 4  #: rows and columns of features that the branch keeps: layout is what it is about


class Outputs(NamedTuple):
    """Of n pictures; everything but ``directions`` as logits."""

    masks: Tensor  #: (n, 1 + structures, rows, columns), first the background
    orientation: Tensor  #: (n, 8) in the order of :class:`Orientation`
    mirrored: Tensor  #: (n,)
    directions: Tensor  #: (n, 2, 2): standard right and septum, unit vectors (row, column)
    kind: Tensor  #: (n, kinds) in the order of :class:`PictureKind`


class Branch(nn.Module):
    """What a picture says as a whole: ``told`` numbers.

    It sees image and masks, (n, 1 + structures, rows, columns), and the ``deepest`` features.
    """

    def __init__(self, deepest: int, told: int, width: int = 16, hidden: int = 96) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolutions(1 + STRUCTURES, width),
            nn.MaxPool2d(2),
            convolutions(width, 2 * width),
            nn.MaxPool2d(2),
            convolutions(2 * width, 3 * width),
        )
        self.narrow = nn.Conv2d(deepest, 3 * width, 1)
        self.head = nn.Sequential(
            nn.Linear(6 * width * _GRID**2, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(0.2),
            nn.Linear(hidden, told),
        )

    def forward(self, attended: Tensor, deepest: Tensor) -> Tensor:
        """(n, told)."""
        near = functional.adaptive_avg_pool2d(self.layers(attended), _GRID)
        far = functional.adaptive_avg_pool2d(self.narrow(deepest), _GRID)
        told: Tensor = self.head(torch.cat([near, far], 1).flatten(1))
        return told


class MultiTask(nn.Module):
    """(n, 1, rows, columns) to :class:`Outputs`."""

    def __init__(self, width: int = 16, levels: int = 5) -> None:
        super().__init__()
        self.unet = UNet(width, levels, 1 + STRUCTURES)
        self.branch = Branch(self.unet.deepest, ORIENTATIONS + 1 + 4)
        self.kinds = Branch(self.unet.deepest, KINDS)

    def forward(self, images: Tensor) -> Outputs:
        """Segment, then look again at half the resolution with the masks as attention."""
        masks, deepest = self.unet(images)
        soft = torch.softmax(masks, 1)[:, 1:]
        attended = functional.avg_pool2d(torch.cat([images, soft.to(images.dtype)], 1), 2)
        told = self.branch(attended, deepest).float()
        kind = self.kinds(attended, deepest).float()
        orientation, mirrored, directions = told.split([ORIENTATIONS, 1, 4], 1)
        unit = functional.normalize(directions.reshape(-1, 2, 2), dim=2, eps=1e-6)
        return Outputs(masks.float(), orientation, mirrored[:, 0], unit, kind)
