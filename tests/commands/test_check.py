from __future__ import annotations

import os
from pathlib import Path

import pytest

from cmr_node.commands.check import Finding, Level, findings
from cmr_node.settings import Peer, Settings
from tests.inference.networks import network, weights_folder_of
from tests.peers import LOOPBACK, free_port, storescp
from tests.system.node import node_settings


def looked_at(settings: Settings) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings(settings)}


def test_a_sound_node_has_nothing_to_mend(tmp_path: Path) -> None:
    found = looked_at(node_settings(tmp_path))
    assert not [finding for finding in found.values() if finding.level is Level.BAD]
    assert {"runtime", "folder", "disk", "index", "queue", "models", "port"} <= set(found)


@pytest.mark.system
def test_a_peer_is_asked_by_c_echo(tmp_path: Path) -> None:
    with storescp(tmp_path / "peer") as listener:
        answers = Peer(
            name="answers",
            ae_title=listener.ae_title,
            host=LOOPBACK,
            port=listener.port,
            receives=("derived",),
        )
        silent = answers.model_copy(update={"name": "silent", "port": free_port()})
        found = looked_at(node_settings(tmp_path, answers, silent))
    assert found["answers"].level is Level.WELL
    assert found["silent"].level is Level.BAD


def test_a_full_disk_says_which_mark_and_what_the_node_does(tmp_path: Path) -> None:
    huge = 1 << 60
    hard = {"storage": {"root": tmp_path, "soft_free_bytes": huge, "hard_free_bytes": huge}}
    found = looked_at(node_settings(tmp_path, **hard))["disk"]
    assert found.level is Level.BAD
    assert "hard_free_bytes" in found.text
    assert "0xA700" in found.text


def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://cmr:secret@{LOOPBACK}:{free_port()}/cmr"
    found = looked_at(node_settings(tmp_path, storage={"root": tmp_path, "database": url}))
    assert found["index"].level is found["queue"].level is Level.BAD
    assert "secret" not in found["index"].text + found["queue"].text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    found = looked_at(node_settings(tmp_path, storage={"root": locked}))
    assert found["folder"].level is Level.BAD


def test_nobody_may_send_is_something_to_mend(tmp_path: Path) -> None:
    settings = node_settings(tmp_path).model_copy(update={"peer": ()})
    assert looked_at(settings)["peers"].level is Level.BAD


def test_the_network_is_named_and_tried(tmp_path: Path) -> None:
    folder = weights_folder_of(tmp_path / "w", network().SerializeToString())
    inference = {"network": str(folder), "threads": 1, "batch": 2}
    found = looked_at(node_settings(tmp_path, inference=inference))["models"]
    assert found.level is Level.WELL
    for part in ("small 1.2", "SHA-256", "CPUExecutionProvider", "on cpu", "s a picture", "2 at"):
        assert part in found.text


@pytest.mark.parametrize(
    ("change", "named"),
    [({"network": "/nowhere/w"}, "/nowhere/w"), ({"device": "cuda"}, "cmr-node[gpu]")],
)
def test_a_network_that_cannot_be_used_is_to_be_mended(
    tmp_path: Path, change: dict[str, str], named: str
) -> None:
    folder = weights_folder_of(tmp_path / "w", network().SerializeToString())
    settings = node_settings(tmp_path, inference={"network": str(folder)} | change)
    found = looked_at(settings)["models"]
    assert found.level is Level.BAD
    assert named in found.text


def test_without_a_network_it_is_said_that_the_header_decides(tmp_path: Path) -> None:
    found = looked_at(node_settings(tmp_path, inference={"network": "none"}))["models"]
    assert found.level is Level.NOTE
    assert "decide alone" in found.text
