from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cmr_node.errors import BadWeights, RuntimeMissing
from cmr_node.geometry.orientation import Orientation
from cmr_node.inference import card as cards
from cmr_node.inference import opening
from cmr_node.inference.card import Card
from cmr_node.inference.network_outputs import Forward
from cmr_node.inference.opening import (
    SHIPPED_NETWORK,
    OpenedInEachProcess,
    is_missing,
    open_session,
    threads_of,
    told,
)
from cmr_node.inference.recognition import Image, NetworkEvidence
from cmr_node.settings import Inference
from tests.inference.networks import network, weights_folder_of


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where shipped weights would be: nothing is there yet."""
    place = tmp_path / "shipped"
    monkeypatch.setattr(cards, "SHIPPED", (place,))
    return place


def small(folder: Path) -> Path:
    return weights_folder_of(folder, network().SerializeToString())


def test_without_shipped_weights_the_header_decides_and_it_is_said() -> None:
    for name, missing, words in (("", True, "no network is installed"), ("none", False, '"none"')):
        inference = Inference(network=name)
        session = open_session(inference)
        assert session is None
        assert is_missing(inference, session) is missing
        assert words in told(inference, session)
        assert "decide alone" in told(inference, session)


def test_the_shipped_network_is_the_one_if_nothing_else_is_said(shipped: Path) -> None:
    small(shipped / SHIPPED_NETWORK)
    session = open_session(Inference())
    assert session is not None
    for part in ("small 1.2", session.digest, "CPUExecutionProvider"):
        assert part in told(Inference(), session)
    assert open_session(Inference(network="none")) is None


@pytest.mark.parametrize("name", ["another", "/nowhere/weights", SHIPPED_NETWORK])
def test_a_network_that_was_named_and_is_not_there_stops_the_start(name: str) -> None:
    with pytest.raises(BadWeights, match="there is no folder"):
        open_session(Inference(network=name))


def test_a_device_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    place = str(small(tmp_path / "w"))
    with pytest.raises(RuntimeMissing):
        open_session(Inference(network=place, device="cuda"))


def test_processes_share_the_cores_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    assert [threads_of(Inference(), processes) for processes in (1, 3, 8, 20)] == [8, 2, 1, 1]
    assert threads_of(Inference(threads=5), 20) == 5


class Fake:
    """In place of ``predict.Network``."""

    def __init__(self, forward: Forward, card: Card) -> None:
        self.forward = forward

    def recognise(
        self, images: Sequence[Image], pixel_spacing: tuple[float, float]
    ) -> NetworkEvidence:
        outputs = self.forward(np.stack(images)[:, None])
        odds = dict(zip(Orientation, outputs.orientation.mean(axis=0).tolist(), strict=True))
        return NetworkEvidence(odds, sax=1.0)


def test_each_process_opens_the_network_once_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small(tmp_path / "w")
    inference = Inference(network=str(folder))
    session = open_session(inference)
    assert session is not None
    opened: list[int] = []

    def counted(inference: Inference, processes: int = 1) -> object:
        opened.append(processes)
        return open_session(inference, processes)

    monkeypatch.setattr(opening, "open_session", counted)
    monkeypatch.setattr(opening, "Network", Fake)
    ask = pickle.loads(pickle.dumps(OpenedInEachProcess(inference, 2, session.digest)))
    image = np.full((128, 128), 0.25, np.float32)
    for _ in range(2):
        assert ask([image], (1.0, 1.0)).orientation is Orientation.ANTITRANSPOSE
    assert opened == [2]
    with pytest.raises(BadWeights, match="changed while the run"):
        OpenedInEachProcess(inference, 2, "0" * 64)([image], (1.0, 1.0))
