"""Small networks as ONNX files, right ones and wrong ones, with their cards."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

CARD = """
name = "small"
version = "1.2"
file = "small.onnx"
sha256 = "{sha256}"
licence = "Apache-2.0"
intended_use = "Tests."
not_tested_on = ["anything"]

[preprocessing]
size = 128
locate_mm = 2.0
segment_mm = 1.4
clip = [1.0, 99.0]

[thresholds]
temperature = 1.3
min_probability = 0.9
min_sax = 0.5
min_agreement = 0.6

[[data.entries]]
name = "phantom"
licence = "Apache-2.0"
patients = 3
scanner = "none"

[training]
recipe = "models/recipes/small.toml"
commit = "0000000"
seed = 1

[metrics.phantom]
accuracy = 0.5
"""


def floats(name: str, values: Any) -> onnx.TensorProto:
    array = np.asarray(values, np.float32)
    return helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.ravel())


def shape(name: str, dims: list[Any], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, dims)


def network(
    *, size: int = 128, number: Any = "n", opset: int = 17, domains: tuple[str, ...] = ()
) -> onnx.ModelProto:
    """A network that answers as it must; it gives NaN where the mean of a picture is negative."""
    ramp = np.linspace(-1, 1, 8)
    weights = [
        floats("spread", np.arange(4).reshape(4, 1, 1, 1)),
        floats("eight", [ramp]),
        floats("five", [ramp[:5]]),
        floats("four", [[-1, 0, 1, 0]]),
        helper.make_tensor("two", TensorProto.INT64, [3], [0, 2, 2]),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "spread"], ["classes"]),
        helper.make_node("Softmax", ["classes"], ["masks"], axis=1),
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Sqrt", ["pooled"], ["root"]),
        helper.make_node("Flatten", ["root"], ["mean"]),
        helper.make_node("MatMul", ["mean", "eight"], ["orientation"]),
        helper.make_node("MatMul", ["mean", "five"], ["kind"]),
        helper.make_node("MatMul", ["mean", "four"], ["flat"]),
        helper.make_node("Reshape", ["flat", "two"], ["directions"]),
        helper.make_node("Squeeze", ["mean", "one"], ["mirrored"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [shape("image", [number, 1, size, size])],
        [
            shape("masks", [number, 4, size, size]),
            shape("orientation", [number, 8]),
            shape("mirrored", [number]),
            shape("directions", [number, 2, 2]),
            shape("kind", [number, 5]),
        ],
        weights,
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def weights_folder_of(
    folder: Path, data: bytes, *changes: tuple[str, str], sha256: str = ""
) -> Path:
    """A weights folder with these bytes and a card; ``changes`` replace words of the card."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.onnx").write_bytes(data)
    card = CARD.replace("{sha256}", sha256 or hashlib.sha256(data).hexdigest())
    for old, new in changes:
        assert old in card
        card = card.replace(old, new)
    (folder / "card.toml").write_text(card)
    return folder
