"""What is done to a picture before the network sees it, and to everything that is known of it.

The promise kept here: pixels, masks and directions go through one and the same map of the plane,
so that a turned picture has a turned truth; and the grey scale ends as
``cmr_node.inference.preprocess.normalised`` leaves it (a test holds the two together).

Frames are drawn over at random, because scanners draw frames of their own, and those of the
public data tell the orientation to who looks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from cmr_node.inference.equivariance import matrices
from cmr_node.inference.preprocess import CLIP, SIZE, disc
from models.examples import Examples
from models.poses import class_weights

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Spread:
    """How far pictures are changed.

    spacing
        Least and most mm between pixels shown; None: up to 15 % around what the picture has.
    turn_deg
        Standard deviation; cut at twice that.
    shift
        Most pixels shown, each way.
    shading
        Standard deviation of the logarithm of how a picture fades to its edges.
    """

    spacing: tuple[float, float] | None
    turn_deg: float
    shift: float
    shading: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What a training step takes, all on its device."""

    images: Tensor  #: (n, 1, SIZE, SIZE) float32
    masks: Tensor  #: (n, SIZE, SIZE) int64
    known: Tensor  #: (n, 3) bool
    orientation: Tensor  #: (n, 8) adding to 1, or 0 where not known
    mirrored: Tensor  #: (n,) bool
    posed: Tensor  #: (n,) bool: whether the last two are known
    directions: Tensor  #: (n, 2, 2), NaN where not known
    kind: Tensor  #: (n,) int64, -1 where not known


def draw_batch(
    examples: Examples,
    places: npt.NDArray[np.int64],
    spread: Spread,
    rng: np.random.Generator,
    device: torch.device,
) -> Batch:
    """The examples at ``places``, each changed in another way."""
    count = len(places)
    turns = rng.integers(0, 8, count)
    angle = np.radians(np.clip(rng.normal(0, 1, count), -2, 2) * spread.turn_deg)
    spacing = examples.spacing[places]
    shown = (
        spacing * rng.uniform(0.87, 1.15, count)
        if spread.spacing is None
        else rng.uniform(*spread.spacing, count)
    )
    stretch = rng.normal(0, 0.04, (count, 1, 2)).clip(-0.08, 0.08)
    turned = np.stack([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # From a place in the picture shown to a place in the example, both from the middle.
    back = turned.transpose(2, 0, 1) @ matrices()[turns].transpose(0, 2, 1)
    maps = (back * (1 + stretch) * (shown / spacing)[:, None, None]).astype(np.float32)
    centre = examples.centre[places] + (
        rng.uniform(-spread.shift, spread.shift, (count, 2)) * (shown / spacing)[:, None]
    ).astype(np.float32)
    images, masks = _sampled(examples, places, maps, centre, device)
    right, septal = (
        _unit(np.einsum("nji,nj->ni", back, vectors[places]))
        for vectors in (examples.right, examples.septal)
    )
    mirrored = np.linalg.det(back) < 0
    posed = np.isfinite(right[:, 0])
    orientation = np.zeros((count, 8), np.float32)
    orientation[posed] = class_weights(right[posed], mirrored[posed])
    right = np.where(examples.exact[places][:, None], right, np.float32(np.nan))
    send = _sender(device)
    return Batch(
        images=_changed(images, spread.shading, rng, device),
        masks=masks,
        known=send(examples.known[places]),
        orientation=send(orientation),
        mirrored=send(mirrored),
        posed=send(posed),
        directions=send(np.stack([right, septal], 1).astype(np.float32)),
        kind=send(examples.kind[places]),
    )


def normalised(images: Tensor) -> Tensor:
    """(n, 1, SIZE, SIZE), as ``preprocess.normalised``."""
    inside = images.flatten(1)[:, _inside(images.device)]
    limits = torch.tensor(CLIP, device=images.device) / 100
    low, high = torch.quantile(inside, limits, dim=1)
    clipped = images.clamp(low[:, None, None, None], high[:, None, None, None])
    inside = clipped.flatten(1)[:, _inside(images.device)]
    mean, sd = inside.mean(1), inside.std(1, correction=0)
    return (clipped - mean[:, None, None, None]) / (sd[:, None, None, None] + 1e-6)


def _inside(device: torch.device) -> Tensor:
    return torch.from_numpy(disc().ravel()).to(device)


def _sampled(
    examples: Examples,
    places: npt.NDArray[np.int64],
    maps: Floats,
    centre: Floats,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    send = _sender(device)
    images = send(examples.images[places].astype(np.float32))[:, None]
    masks = send(examples.masks[places].astype(np.float32))[:, None]
    rows, columns = images.shape[2:]
    steps = torch.arange(SIZE, device=device, dtype=torch.float32) - (SIZE - 1) / 2
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1)
    there = torch.einsum("nij,rcj->nrci", send(maps), grid) + send(centre)[:, None, None]
    # grid_sample wants (x, y) from -1 to 1 between the centres of the outermost pixels.
    sizes = torch.tensor([rows - 1, columns - 1], device=device, dtype=torch.float32)
    where = (there / sizes * 2 - 1).flip(-1)
    sample = functional.grid_sample
    return (
        sample(images, where, mode="bilinear", padding_mode="zeros", align_corners=True),
        sample(masks, where, mode="nearest", padding_mode="zeros", align_corners=True)[:, 0].long(),
    )


def _changed(
    images: Tensor, fading: float, rng: np.random.Generator, device: torch.device
) -> Tensor:
    """Grey scale, shading, sharpness, noise and frames of some other scanner."""
    count = len(images)
    send = _sender(device)

    def each(values: Floats) -> Tensor:
        return send(values.astype(np.float32))[:, None, None, None]

    low, high = (edge(images, (2, 3), keepdim=True) for edge in (torch.amin, torch.amax))
    images = ((images - low) / (high - low + 1e-6)).pow(each(np.exp(rng.normal(0, 0.25, count))))
    field = send(rng.normal(0, 0.25, (count, 1, 4, 4)).astype(np.float32))
    shading = functional.interpolate(field, SIZE, mode="bicubic")
    if fading:
        shading = shading + send(_ramps(count, fading, rng))
    images = images * shading.exp()
    blurred = functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    images = torch.lerp(images, blurred, each(rng.uniform(-0.4, 0.9, count)))
    noise = torch.from_numpy(rng.standard_normal(images.shape, np.float32)).to(device)
    images = images + noise * each(np.abs(rng.normal(0, 0.035, count)))
    # Now and then the scale runs the other way, as no sequence that was seen in training does.
    images = torch.where(each(rng.random(count)) < 0.03, 1 - images, images)
    return normalised(images * send(_frames(count, rng)))


def _ramps(count: int, spread: float, rng: np.random.Generator) -> Floats:
    """(n, 1, SIZE, SIZE): logarithm of how a coil on one side of the body fades over it."""
    steps = np.linspace(-1, 1, SIZE, dtype=np.float32)
    down, across = rng.normal(0, spread, (2, count, 1, 1, 1)).astype(np.float32)
    return np.asarray(down * steps[:, None] + across * steps, np.float32)


def _frames(count: int, rng: np.random.Generator) -> Floats:
    """(n, 1, SIZE, SIZE), 1 where the picture is seen."""
    rows, columns = np.indices((SIZE, SIZE), np.float32) - (SIZE - 1) / 2
    seen = np.ones((count, 1, SIZE, SIZE), np.float32)
    for frame in seen:
        kind = rng.random()
        if kind < 0.25:
            away = np.hypot(rows - rng.uniform(-8, 8), columns - rng.uniform(-8, 8))
            frame[0] = away <= rng.uniform(0.34, 0.62) * SIZE
        elif kind < 0.4:
            across = rows if rng.random() < 0.5 else columns
            bow = rng.uniform(-0.002, 0.002) * (columns if across is rows else rows) ** 2
            frame[0] = np.abs(across + bow) <= rng.uniform(0.34, 0.5) * SIZE
    return seen


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _sender(device: torch.device) -> Callable[[npt.NDArray[np.generic]], Tensor]:
    def send(values: npt.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device, non_blocking=True)

    return send
