"""Results reach a peer in the best form it takes, in one attempt, however often it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cmr_node import cli
from cmr_node.outputs.segmentation import Encoding
from cmr_node.phantom.dicom.vendors import Vendor
from cmr_node.settings import Peer
from cmr_node.store.next_best import Capabilities
from tests.fault_scp import FaultScp, fault_scp
from tests.outputs.outlined import ED, ES
from tests.results_to_send import Node

SEG, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
REPORT = "1.2.840.10008.5.1.4.1.1.88.34"
KEY_OBJECTS, PAGE = "1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.5.1.4.1.1.7"
SYNTAXES = [str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)]
BINARIES = [f"{Encoding.BINARY} {phase}" for phase in (ED, ES)]
MAPS = [f"{Encoding.LABEL_MAP} {phase}" for phase in (ED, ES)]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path, Vendor.GE)
    yield node
    node.database.close()


def pacs(scp: FaultScp, secondary_capture: str = "fallback") -> Peer:
    return Peer.model_validate(
        {
            "name": "pacs",
            "ae_title": scp.ae_title,
            "host": "127.0.0.1",
            "port": scp.port,
            "receives": ("derived",),
            "segmentation": "label_map",
            "secondary_capture": secondary_capture,
        }
    )


def taken(node: Node, scp: FaultScp) -> list[str]:
    names = {uid: name for name, uid in node.uids.items()}
    return sorted(names[uid] for uid, _ in scp.came)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([KEY_OBJECTS, REPORT, LABEL_MAP, SEG, PAGE], [*MAPS, "question", "review"]),
        ([KEY_OBJECTS, LABEL_MAP, SEG, PAGE], [*MAPS, "review"]),
        ([KEY_OBJECTS, SEG, PAGE], [*BINARIES, "review"]),
        ([KEY_OBJECTS, PAGE], ["page", "review"]),
    ],
)
def test_one_attempt_finds_what_the_peer_takes(
    node: Node, classes: Sequence[str], expected: list[str]
) -> None:
    with fault_scp(contexts=[(one, SYNTAXES) for one in classes]) as scp:
        node.hand_over(pacs(scp))
        assert node.attempt(pacs(scp)) == "delivered"
        assert taken(node, scp) == sorted(expected)
    known = {one.sop_class_uid: one.taken for one in Capabilities(node.database).known()}
    assert all(known[one] for one in known if one in classes)
    assert not any(known[one] for one in known if one not in classes)


def test_what_was_learned_spares_the_next_study_the_question(node: Node) -> None:
    with fault_scp(contexts=[(one, SYNTAXES) for one in (KEY_OBJECTS, SEG)]) as scp:
        Capabilities(node.database).learn(
            "pacs", {LABEL_MAP: False}, node.index.arrivals(node.study)[0].received_at
        )
        node.hand_over(pacs(scp))
        assert node.attempt(pacs(scp)) == "delivered"
        assert taken(node, scp) == sorted([*BINARIES, "review"])
        assert scp.associations <= 2  # those of one transfer


def test_a_peer_that_takes_none_of_it_is_a_dead_letter_in_the_end_and_not_silent(
    node: Node,
) -> None:
    with fault_scp(contexts=[(KEY_OBJECTS, SYNTAXES)]) as scp:
        node.hand_over(pacs(scp, "never"))
        assert [node.attempt(pacs(scp)) for _ in range(3)] == ["pending", "pending", "dead"]
        assert taken(node, scp) == ["review"]


def test_handing_over_and_attempting_again_sends_nothing_twice(node: Node) -> None:
    with fault_scp(contexts=[(one, SYNTAXES) for one in (KEY_OBJECTS, PAGE)]) as scp:
        for _ in range(2):
            node.hand_over(pacs(scp))
            if not scp.came:
                assert node.attempt(pacs(scp)) == "delivered"
        assert taken(node, scp) == ["page", "review"]


def test_status_says_what_the_peer_does_not_take(
    node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with fault_scp(contexts=[(one, SYNTAXES) for one in (KEY_OBJECTS, SEG)]) as scp:
        node.hand_over(pacs(scp))
        node.attempt(pacs(scp))
    config = tmp_path / "node.toml"
    config.write_text(f'[storage]\nroot = "{tmp_path}"\n')
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["--config", str(config), "status"]) == 0
    said = capsys.readouterr().out
    assert "pacs does not take Label Map Segmentation Storage (2026-01-02)" in said
    assert cli.main(["--config", str(config), "status", "--json"]) == 0
    assert '"sop_class": "Segmentation Storage"' in capsys.readouterr().out
