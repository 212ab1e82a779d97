"""From a checkpoint to the door of the node: what was trained is what is opened there."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from cmr_node.inference.card import read_card  # noqa: E402
from cmr_node.inference.runtime import open_network  # noqa: E402
from models import export  # noqa: E402
from models.card import draft  # noqa: E402
from models.loop import Training  # noqa: E402
from models.networks import as_forward, load  # noqa: E402
from tests.models.making import examples  # noqa: E402
from tests.models.test_training import recipe  # noqa: E402

ABOUT = Path(export.__file__).parent / "cards" / "cmr-multitask.toml"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_node_opens_what_was_exported_and_sees_what_torch_sees(tmp_path: Path) -> None:
    path = Training(recipe(), tmp_path / "run", simulated=examples()).run()
    assert export.main([str(path), str(ABOUT), str(tmp_path / "out")]) == 0
    card = read_card(tmp_path / "out")
    assert card.thresholds == draft().thresholds
    session = open_network(tmp_path / "out", "cpu", threads=1)
    pictures = np.random.default_rng(0).normal(size=(5, 1, 128, 128)).astype(np.float32)
    here, there = session.run(pictures), as_forward(load(path)[0])(pictures)
    for name in export.NAMES:
        np.testing.assert_allclose(getattr(here, name), getattr(there, name), atol=1e-3)


def test_only_the_multi_task_network_is_shipped(tmp_path: Path, capsys) -> None:
    path = Training(recipe("simplified", masks="none"), tmp_path, simulated=examples()).run()
    assert export.main([str(path), str(ABOUT), str(tmp_path / "out")]) == 2
    assert "multi-task" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_card_says_whole_sentences_and_the_digest_of_the_file() -> None:
    told = tomllib.loads(export.card_text(ABOUT.read_text(), b"weights"))
    assert told["sha256"] == "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    assert told["preprocessing"]["locate_mm"] == draft().locate_mm


def test_the_shipped_card_is_what_is_written_beside_these_weights() -> None:
    folder = Path(export.__file__).parent / "weights" / "cmr-multitask"
    written = export.card_text(ABOUT.read_text(), (folder / export.FILE).read_bytes())
    assert (folder / "card.toml").read_text() == written


def test_the_shipped_file_says_nothing_of_where_it_was_made() -> None:
    content = (
        Path(export.__file__).parent / "weights" / "cmr-multitask" / export.FILE
    ).read_bytes()
    assert b'File "' not in content
    assert b"stack_trace" not in content
