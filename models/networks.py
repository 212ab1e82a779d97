"""The two networks behind one door: batches in, a loss out; checkpoints in, a network out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cmr_node.inference.network_outputs import Floats, Forward, Images
from cmr_node.inference.network_outputs import Outputs as Told
from models import losses
from models.augment import Batch
from models.orientation import KINDS, STRUCTURES, MultiTask, Outputs
from models.recipe import Network, Recipe, Stage
from models.simplified import Simplified, truncated

#: weight of each part of the loss of the multi-task network
ORIENTATION, MIRRORED, DIRECTIONS, KIND = 0.5, 0.25, 0.5, 0.25


def build(network: Network) -> nn.Module:
    """A network with fresh weights."""
    if network.kind == "simplified":
        return Simplified()
    return MultiTask(network.width, network.levels)


def load(checkpoint: Path, device: torch.device | str = "cpu") -> tuple[nn.Module, Recipe]:
    """The averaged weights of a checkpoint, ready to predict, and how they were made."""
    held: dict[str, Any] = torch.load(checkpoint, map_location=device, weights_only=True)
    recipe = Recipe.model_validate(held["recipe"])
    network = build(recipe.network)
    network.load_state_dict(held["averaged"])
    return network.to(device).eval(), recipe


def loss_of(network: nn.Module, batch: Batch, stage: Stage) -> dict[str, Tensor]:
    """The parts of the loss, each () and weighted; their sum is minimised."""
    if isinstance(network, Simplified):
        return {"orientation": losses.orientation_loss(network(truncated(batch.images)),
                                                       batch.orientation)}  # fmt: skip
    outputs: Outputs = network(batch.images)
    known = batch.known
    masks = torch.where(_is_known(batch.masks, known), batch.masks, 0)
    parts: dict[str, Tensor] = {}
    if stage.masks != "none":
        parts["masks"] = losses.MASKS[stage.masks](outputs.masks, masks, known)
    if stage.train not in ("segmentation", "kinds"):
        parts["orientation"] = ORIENTATION * losses.orientation_loss(
            outputs.orientation, batch.orientation
        )
        parts["mirrored"] = MIRRORED * losses.mirrored_loss(
            outputs.mirrored, batch.mirrored, batch.posed
        )
        parts["directions"] = DIRECTIONS * losses.direction_loss(
            outputs.directions, batch.directions
        )
    if stage.train != "segmentation":
        parts["kind"] = KIND * losses.kind_loss(outputs.kind, batch.kind)
    return parts


def learning(network: nn.Module, stage: Stage) -> list[nn.Module]:
    """The modules that learn in a stage."""
    if isinstance(network, Simplified):
        return [network.last] if stage.train == "last" else [network]
    assert isinstance(network, MultiTask)
    parts: dict[str, list[nn.Module]] = {
        "all": [network],
        "segmentation": [network.unet],
        "branch": [network.branch, network.kinds],
        "kinds": [network.kinds],
        "last": [network.branch.head, network.kinds.head],
    }
    return parts[stage.train]


def as_forward(network: nn.Module, device: torch.device | str = "cpu") -> Forward:
    """The network as the node calls one; the simplified one tells the eight classes only.

    What it does not tell comes as zeros: no masks, all kinds equally likely.
    """

    def forward(images: Images) -> Told:
        with torch.inference_mode():
            pictures = torch.from_numpy(images).to(device)
            if isinstance(network, Simplified):
                return _classes_only(images, network(truncated(pictures)).cpu().numpy())
            outputs: Outputs = network(pictures)
            masks = torch.softmax(outputs.masks, 1)
            return Told(*(part.float().cpu().numpy() for part in (masks, *outputs[1:])))

    return forward


def _classes_only(images: Images, orientation: Floats) -> Told:
    count, _, rows, columns = images.shape
    masks = np.zeros((count, 1 + STRUCTURES, rows, columns), np.float32)
    masks[:, 0] = 1
    return Told(
        masks=masks,
        orientation=orientation,
        mirrored=np.zeros(count, np.float32),
        directions=np.zeros((count, 2, 2), np.float32),
        kind=np.zeros((count, KINDS), np.float32),
    )


def _is_known(masks: Tensor, known: Tensor) -> Tensor:
    """(n, rows, columns): whether the label of a pixel is of a structure that was drawn."""
    always = torch.ones(len(known), 1, dtype=torch.bool, device=known.device)
    table = torch.cat([always, known], 1)
    return table.gather(1, masks.flatten(1)).reshape(masks.shape)
