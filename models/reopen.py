"""A shipped network as a checkpoint again, to go on from what is in git.

    python -m models.reopen WEIGHTS OUT/network.pt

``WEIGHTS`` is a folder of ``models/weights``.  The promise kept here: nothing is written unless the
checkpoint answers as the file does on the same pictures, to 1e-4.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from cmr_node.errors import NodeError
from cmr_node.inference.runtime import open_network
from models.export import Shipped, must_agree
from models.orientation import MultiTask
from models.recipe import Network, Recipe, Stage

PREFIX = "network."
FOLDED = "_bias"  #: the exporter's name for what a normalisation became
Held = dict[str, npt.NDArray[np.float32]]


def reopened(content: bytes) -> MultiTask:
    """The network of an ONNX file.

    Raises
    ------
    ValueError
        The file holds another network than :class:`MultiTask`, or answers otherwise than it.
    """
    graph = onnx.load_from_string(content).graph
    held: Held = {
        one.name.removeprefix(PREFIX): numpy_helper.to_array(one)
        for one in graph.initializer
        if one.name.startswith(PREFIX)
    }
    try:
        width = len(held["unet.down.0.0.weight"])
        levels = 1 + max(int(name.split(".")[2]) for name in held if name.startswith("unet.down."))
        network = MultiTask(width, levels).eval()
        _fill(network, held)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"not a multi-task network of this project: {error}") from error
    must_agree(content, Shipped(network))
    return network


def checkpoint(network: MultiTask, name: str) -> dict[str, object]:
    """What ``models.train --start`` takes."""
    shape = Network(
        kind="multitask", width=network.unet.last.in_channels, levels=len(network.unet.down)
    )
    # A recipe has one stage at least; how the network was trained stands in its card.
    stage = Stage(name="reopened", steps=1, learning_rate=1e-9)
    weights = network.state_dict()
    return {
        "recipe": Recipe(name=name, network=shape, stages=(stage,)).model_dump(mode="json"),
        "step": 0,
        "network": weights,
        "averaged": weights,
        "optimiser": None,
    }


@torch.no_grad()
def _fill(network: MultiTask, held: Held) -> None:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.copy_(_tensor(held[f"{name}.weight"]))
            if module.bias is not None:
                module.bias.copy_(_tensor(held[f"{name}.bias"]))
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.running_var.fill_(1 - module.eps)  # type: ignore[union-attr]
            module.weight.fill_(1)
            module.bias.copy_(_tensor(held[f"{_before(name)}.weight{FOLDED}"]))


def _before(name: str) -> str:
    """The convolution that a normalisation was folded into: the module just before it."""
    parent, _, place = name.rpartition(".")
    return f"{parent}.{int(place) - 1}"


def _tensor(values: npt.NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(values.copy())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when written, 2 when there is nothing to reopen."""
    parser = argparse.ArgumentParser(
        prog="python -m models.reopen",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    try:
        card = open_network(given.weights, "cpu", threads=1).card  # digest and contract checked
        network = reopened((given.weights / card.file).read_bytes())
        given.out.parent.mkdir(parents=True, exist_ok=True)
        torch.save(checkpoint(network, f"{card.name} {card.version}"), given.out)
    except (NodeError, OSError, ValueError) as error:
        print(f"reopen: {error}", file=sys.stderr)
        return 2
    print(f"{given.out}: {card.name} {card.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
