from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from cmr_node.errors import BadInference, BadWeights, InferenceFailed, RuntimeMissing
from cmr_node.inference import runtime
from cmr_node.inference.card import read_card
from cmr_node.inference.contract import shapes
from cmr_node.inference.network_outputs import Images
from cmr_node.inference.onnx_file import check_self_contained
from cmr_node.inference.runtime import PROVIDERS, Session, open_network
from tests.inference.networks import network, shape, weights_folder_of


@pytest.fixture(scope="module")
def right() -> bytes:
    return network().SerializeToString()


def opened(folder: Path, data: bytes, **options: Any) -> Session:
    return open_network(weights_folder_of(folder, data), "cpu", threads=1, **options)


def pictures(number: int, size: int = 128) -> Images:
    return np.random.default_rng(0).random((number, 1, size, size), np.float32)


def test_a_right_network_answers_any_number_of_pictures(tmp_path: Path, right: bytes) -> None:
    session = opened(tmp_path, right, batch=4)
    assert session.card.name == "small"
    assert session.digest == hashlib.sha256(right).hexdigest()
    assert session.provider == "CPUExecutionProvider"
    many = session.run(pictures(11))
    assert many.masks.shape == (11, 4, 128, 128)
    assert many.orientation.shape == (11, 8)
    assert many.mirrored.shape == (11,)
    assert many.directions.shape == (11, 2, 2)
    assert many.kind.shape == (11, 5)
    alone = session.run(pictures(11)[10:])
    np.testing.assert_array_equal(many.orientation[10:], alone.orientation)
    root = np.sqrt(pictures(11).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(many.mirrored, root, rtol=1e-5)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((0, 1, 128, 128), np.float32),
        np.zeros((1, 1, 64, 64), np.float32),
        np.zeros((128, 128), np.float32),
        np.zeros((1, 1, 128, 128)),
    ],
)
def test_what_is_no_picture_of_the_networks_size_is_refused(
    tmp_path: Path, right: bytes, images: Any
) -> None:
    with pytest.raises(ValueError, match="allowed: float32"):
        opened(tmp_path, right).run(images)


def test_a_file_that_is_not_that_of_the_card_reaches_no_runtime(
    tmp_path: Path, right: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*unused: object) -> None:
        raise AssertionError("given to the runtime")

    monkeypatch.setattr(runtime, "_runner", never)
    folder = weights_folder_of(tmp_path, right[:-1] + b"\0", sha256="0" * 64)
    with pytest.raises(BadWeights, match=r"small\.onnx has SHA-256 .* its card says 0000"):
        open_network(folder, "cpu", 1)


def test_a_file_that_is_not_there_or_too_large_is_named(
    tmp_path: Path, right: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = weights_folder_of(tmp_path, right)
    monkeypatch.setattr(runtime, "MAX_BYTES", len(right) - 1)
    with pytest.raises(BadWeights, match=r"small\.onnx is larger"):
        open_network(folder, "cpu", 1)
    (folder / "small.onnx").unlink()
    with pytest.raises(BadWeights, match=r"small\.onnx cannot be read"):
        open_network(folder, "cpu", 1)


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = network()
    change(model)
    return model.SerializeToString()


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="passwd")


def external_below(model: onnx.ModelProto) -> None:
    """In the branch of an If, in an attribute of a node."""
    tensor = onnx.TensorProto(data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    inner = helper.make_node("Constant", [], ["x"], value=tensor)
    branch = helper.make_graph([inner], "b", [], [shape("x", [1])])
    model.graph.node.append(
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    )


def custom(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.example"


def functions(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="com.example")


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Konv"


def renamed(model: onnx.ModelProto) -> None:
    model.graph.output[4].name = "species"
    model.graph.node[6].output[0] = "species"


def logits(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "Identity"
    model.graph.node[1].ClearField("attribute")


def doubles(model: onnx.ModelProto) -> None:
    model.graph.node[8].output[0] = "single"
    cast = helper.make_node("Cast", ["single"], ["directions"], to=onnx.TensorProto.DOUBLE)
    model.graph.node.append(cast)
    model.graph.output[3].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE


def one_too_many(model: onnx.ModelProto) -> None:
    model.graph.output.append(shape("pooled", ["n", 1, 1, 1]))


def flat(model: onnx.ModelProto) -> None:
    model.graph.node[9].op_type = "Identity"
    del model.graph.node[9].input[1]
    model.graph.output[2].CopyFrom(shape("mirrored", ["n", 1]))


def of_one_picture(model: onnx.ModelProto) -> None:
    """A batch written into the graph, as an export with a fixed example leaves it."""
    model.graph.initializer[4].CopyFrom(helper.make_tensor("two", 7, [3], [1, 2, 2]))


def reaches_too_far(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("sixth", 7, [1], [5]))
    model.graph.node.append(helper.make_node("Gather", ["mean", "sixth"], ["far"], axis=1))
    model.graph.node[9].input[0] = "far"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "no ONNX"),
        (b"not ONNX at all, but text of some length", "no ONNX"),
        (b"\x80" * 40, "no ONNX"),
        (network().SerializeToString()[:-40], "cut short"),
        (network(opset=11).SerializeToString(), "operator set 11; allowed: 13 to 21"),
        (network(opset=99).SerializeToString(), "operator set 99; allowed: 13 to 21"),
        (network(domains=("com.microsoft",)).SerializeToString(), "'com.microsoft'; allowed"),
        (network(size=64).SerializeToString(), r"inputs image .* \(n, 1, 64, 64\); allowed: .*128"),
        (network(number=1).SerializeToString(), r"inputs .*\(1, 1, 128, 128\); allowed: .*\(n, 1"),
        (changed(external), "tensors kept in another file"),
        (changed(external_below), "tensors kept in another file"),
        (changed(custom), "operator of 'com.example'"),
        (changed(functions), "functions"),
        (changed(unknown_operator), "does not take it: .*Konv"),
        (changed(renamed), "outputs .*species.*; allowed: .*kind"),
        (changed(logits), "probabilities that add up to 1"),
        (changed(doubles), r"directions tensor\(double\)"),
        (changed(one_too_many), "outputs .*pooled"),
        (changed(flat), r"mirrored tensor\(float\) \(n, 1\)"),
        (changed(of_one_picture), r"directions tensor\(float\) \(1, 2, 2\)"),
        (changed(reaches_too_far), "its first run failed: .*Gather"),
    ],
)
def test_a_foreign_file_is_refused_by_name_with_what_is_allowed(
    tmp_path: Path, data: bytes, named: str
) -> None:
    with pytest.raises(BadWeights, match=f"(?s)small\\.onnx: .*({named})"):
        opened(tmp_path, data)


@given(st.data())
def test_damage_anywhere_in_the_file_is_an_error_of_ours_or_none(data: st.DataObject) -> None:
    whole = bytearray(network().SerializeToString())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadWeights):
        check_self_contained(bytes(whole[: data.draw(st.integers(0, len(whole)))]))


def test_no_answer_leaves_that_holds_no_numbers(tmp_path: Path, right: bytes) -> None:
    session = opened(tmp_path, right)
    with pytest.raises(BadInference, match="output orientation holds values that are no numbers"):
        session.run(-pictures(2))


def test_cuda_where_there_is_none_is_an_error_and_not_the_cpu(tmp_path: Path, right: bytes) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this build knows CUDA")
    with pytest.raises(RuntimeMissing, match=r'device = "cuda", and onnxruntime .*\[gpu\]'):
        open_network(weights_folder_of(tmp_path, right), "cuda", 1)


def test_a_runtime_that_falls_back_to_the_cpu_is_an_error(
    tmp_path: Path, right: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FallsBack(onnxruntime.InferenceSession):  # as the GPU build does without CUDA
        def __init__(self, data: bytes, options: Any, providers: list[str], **more: Any) -> None:
            assert providers == ["CUDAExecutionProvider"]
            assert more == {"enable_fallback": 0}
            super().__init__(data, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*PROVIDERS.values()])
    monkeypatch.setattr(onnxruntime, "InferenceSession", FallsBack)
    with pytest.raises(RuntimeMissing, match="fell back to CPUExecutionProvider"):
        open_network(weights_folder_of(tmp_path, right), "cuda", 1)


class Small:
    """A runtime with memory for so many pictures at once."""

    def __init__(self, limit: int, words: str) -> None:
        self.limit, self.words, self.asked = limit, words, []

    def run(self, names: Any, feeds: dict[str, Images]) -> list[Images]:
        number = len(feeds["image"])
        self.asked.append(number)
        if number > self.limit:
            raise Fail(self.words)
        return [
            np.zeros((number, *rest), np.float32) + feeds["image"][:, 0, 0, 0].reshape(-1, *ones)
            for rest in shapes(128).values()
            for ones in [(1,) * len(rest)]
        ]


MEMORY = [
    "[ONNXRuntimeError] : 1 : FAIL : bfc_arena.cc Failed to allocate memory for requested buffer",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Conv node. Status Message: std::bad_alloc",
    "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory ; GPU=0",
]


@pytest.mark.parametrize("words", MEMORY)
def test_where_memory_is_short_batches_are_halved_for_good(
    tmp_path: Path, right: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    card = read_card(weights_folder_of(tmp_path, right))
    small = Small(3, words)
    session = Session(small, card, "", "CPU", batch=12, faults=(Fail,))
    images = np.arange(7, dtype=np.float32).reshape(7, 1, 1, 1) * np.ones((7, 1, 128, 128), "f4")
    answer = session.run(images)
    assert small.asked == [7, 3, 3, 1]
    assert answer.mirrored.tolist() == list(range(7))
    session.run(images)
    assert small.asked[4:] == [3, 3, 1]
    warnings = [record for record in caplog.records if "no memory" in record.message]
    assert len(warnings) == 1


def test_without_memory_for_one_picture_the_study_is_tried_again(
    tmp_path: Path, right: bytes
) -> None:
    card = read_card(weights_folder_of(tmp_path, right))
    session = Session(Small(0, MEMORY[0]), card, "", "CPU", faults=(Fail,))
    with pytest.raises(InferenceFailed, match="no memory for one picture") as failed:
        session.run(pictures(3))
    assert failed.value.transient


def test_a_device_that_is_gone_is_not_taken_for_a_small_one(tmp_path: Path, right: bytes) -> None:
    card = read_card(weights_folder_of(tmp_path, right))
    gone = Small(0, "CUDA failure 719: unspecified launch failure")
    with pytest.raises(InferenceFailed, match="719"):
        Session(gone, card, "", "CUDA", faults=(Fail,)).run(pictures(3))
    assert gone.asked == [3]
