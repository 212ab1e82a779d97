"""A shipped network can be gone on from, and what is not one is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cmr_node.inference.card import weights_folder  # noqa: E402
from cmr_node.inference.opening import SHIPPED_NETWORK  # noqa: E402
from cmr_node.inference.runtime import open_network  # noqa: E402
from models import reopen  # noqa: E402
from models.export import FILE, NAMES  # noqa: E402
from models.loop import Training  # noqa: E402
from models.networks import as_forward, load  # noqa: E402
from tests.models.making import examples  # noqa: E402
from tests.models.test_training import recipe  # noqa: E402


def test_the_shipped_network_comes_back_and_learns_on(tmp_path: Path, capsys) -> None:
    folder = weights_folder(SHIPPED_NETWORK)
    start = tmp_path / "start" / "network.pt"
    assert reopen.main([str(folder), str(start)]) == 0
    assert f"{start}: {SHIPPED_NETWORK} " in capsys.readouterr().out
    pictures = np.random.default_rng(0).normal(size=(2, 1, 128, 128)).astype(np.float32)
    shipped = open_network(folder, "cpu", threads=1).run(pictures)
    network, held = load(start)
    again = as_forward(network)(pictures)
    for name in NAMES:
        np.testing.assert_allclose(getattr(again, name), getattr(shipped, name), atol=1e-3)
    onwards = recipe(train="kinds", masks="none").model_copy(update={"network": held.network})
    after = Training(onwards, tmp_path / "after", simulated=examples(), start=start).run()
    learnt = as_forward(load(after)[0])(pictures)
    assert np.array_equal(learnt.masks, again.masks)
    assert not np.array_equal(learnt.kind, again.kind)


def test_what_is_no_network_of_this_project_is_refused(tmp_path: Path, capsys) -> None:
    assert reopen.main([str(tmp_path), str(tmp_path / "network.pt")]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert not (tmp_path / "network.pt").exists()
    with pytest.raises(ValueError, match="not a multi-task network"):
        reopen.reopened(_other_network())


def test_a_damaged_file_is_refused(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(weights_folder(SHIPPED_NETWORK), folder)
    content = bytearray((folder / FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / FILE).write_bytes(content)
    assert reopen.main([str(folder), str(tmp_path / "network.pt")]) == 2
    assert "SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "network.pt").exists()


def _other_network() -> bytes:
    from onnx import TensorProto, helper

    one = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1])
    other = helper.make_tensor_value_info("kind", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Neg", ["image"], ["kind"])], "g", [one], [other])
    return bytes(helper.make_model(graph).SerializeToString())
