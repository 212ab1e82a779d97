"""From a checkpoint to what the node loads: ONNX, and the card beside it.

    python -m models.export NETWORK ABOUT.toml OUT

The promise kept here: nothing is written before ONNX Runtime gives what torch gave on the same
pictures, to 1e-4, for one picture and for many.  ``ABOUT.toml`` (``models/cards``) says what only
people know of the network; file, digest, preprocessing and thresholds are filled in, and the card
is read back as the node reads it.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from cmr_node.inference.card import CARD, read_card
from cmr_node.inference.preprocess import SIZE
from models.card import draft
from models.networks import load
from models.orientation import MultiTask

OPSET = 18
FILE = "network.onnx"
NAMES = ("masks", "orientation", "mirrored", "directions", "kind")
TOLERANCE = 1e-4


class Shipped(nn.Module):
    """The multi-task network with the masks as probabilities."""

    def __init__(self, network: MultiTask) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(n, 1, SIZE, SIZE) to the outputs in the order of ``NAMES``."""
        outputs = self.network(image)
        return (torch.softmax(outputs.masks, 1), *outputs[1:])


def to_onnx(network: MultiTask) -> bytes:
    """The network as one ONNX file, n dynamic; raises ``ValueError`` if it answers otherwise."""
    shipped = Shipped(network).eval()
    example = torch.randn(2, 1, SIZE, SIZE)
    batch = torch.export.Dim("n", min=1, max=4096)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            shipped,
            (example,),
            path,
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(NAMES),
            dynamic_shapes=({0: batch},),
            external_data=False,
            verbose=False,
        )
        content = without_origin(path.read_bytes())
    must_agree(content, shipped)
    return content


def without_origin(content: bytes) -> bytes:
    """The same network without the exporter's notes: stack traces, with paths of this machine."""
    model = onnx.load_from_string(content)
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info,
                 *model.graph.input, *model.graph.output, *model.graph.initializer):  # fmt: skip
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return bytes(model.SerializeToString(deterministic=True))


def must_agree(content: bytes, shipped: Shipped) -> None:
    """Raise ``ValueError`` if an ONNX file answers otherwise than torch does."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for count in (1, 3, 17):
        images = torch.randn(count, 1, SIZE, SIZE, generator=torch.manual_seed(count))
        with torch.inference_mode():
            expected = shipped(images)
        told = session.run(list(NAMES), {"image": images.numpy()})
        for name, want, got in zip(NAMES, expected, told, strict=True):
            off = float(np.abs(want.numpy() - got).max())
            if not off <= TOLERANCE * max(1.0, float(want.abs().max())):
                raise ValueError(f"output {name} is {off:g} off with {count} pictures")


def card_text(about: str, content: bytes) -> str:
    """The card of a network, TOML."""
    lines = [f'file = "{FILE}"', f'sha256 = "{hashlib.sha256(content).hexdigest()}"', about]
    for name, table in draft().tables().items():
        lines += ["", f"[{name}]", *(f"{key} = {value}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when written, 2 when the network cannot be shipped."""
    parser = argparse.ArgumentParser(
        prog="python -m models.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("network", type=Path)
    parser.add_argument("about", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args(arguments)
    network, _ = load(given.network)
    if not isinstance(network, MultiTask):
        print("export: only the multi-task network is shipped", file=sys.stderr)
        return 2
    content = to_onnx(network)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / FILE).write_bytes(content)
    (given.out / CARD).write_text(card_text(given.about.read_text(), content))
    card = read_card(given.out)
    print(f"{card.name} {card.version}: {len(content) / 1e6:.1f} MB, SHA-256 {card.sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
