from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cmr_node.errors import BadWeights, ConfigurationError
from cmr_node.inference import card as cards
from cmr_node.inference.card import read_card, weights_folder
from tests.inference.networks import CARD, weights_folder_of


def test_a_card_is_read_with_what_else_it_tells_people(tmp_path: Path) -> None:
    card = read_card(weights_folder_of(tmp_path, b"x"))
    assert (card.name, card.version, card.file) == ("small", "1.2", "small.onnx")
    assert card.preprocessing.clip == (1.0, 99.0)
    assert card.thresholds.temperature == 1.3
    assert card.not_tested_on == ("anything",)
    assert card.data.entries[0].patients == 3
    assert card.data.entries[0].model_extra == {"scanner": "none"}
    assert card.metrics == {"phantom": {"accuracy": 0.5}}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('version = "1.2"\n', 'version = "1.2"\nflavour = 3\n', ["flavour", "thresholds"]),
        ("min_sax = 0.5", "min_sacks = 0.5", ["thresholds.min_sacks", "min_sax", "is missing"]),
        ("min_sax = 0.5", "min_sax = 1.5", ["thresholds.min_sax", "1.5"]),
        ("temperature = 1.3", "temperature = 0.0", ["thresholds.temperature"]),
        ("temperature = 1.3", 'temperature = "hot"', ["thresholds.temperature", "hot"]),
        ("clip = [1.0, 99.0]", "clip = [99.0, 1.0]", ["clip", "allowed"]),
        ("size = 128", "size = 1_000_000", ["preprocessing.size", "1024"]),
        ('file = "small.onnx"', 'file = "../small.onnx"', ["file", "../small.onnx"]),
        ('file = "small.onnx"', 'file = "/etc/passwd"', ["file", "/etc/passwd"]),
        ('sha256 = "{sha256}"', 'sha256 = "ABC"', ["sha256", "ABC"]),
        ('licence = "Apache-2.0"\nintended', "intended", ["licence is missing"]),
        ("patients = 3", "patients = -3", ["data.entries.0.patients"]),
        ("[training]", "[training", ["card.toml"]),
    ],
)
def test_what_is_wrong_in_a_card_is_named_with_what_is_allowed(
    tmp_path: Path, old: str, new: str, named: list[str]
) -> None:
    assert old in CARD
    (tmp_path / "card.toml").write_text(
        CARD.replace(old, new).replace("{sha256}", "0" * 64), encoding="utf-8"
    )
    with pytest.raises(BadWeights) as refused:
        read_card(tmp_path)
    for part in named:
        assert part in str(refused.value)


def test_a_folder_without_a_card_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"card\.toml cannot be read"):
        read_card(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"#" * (2 << 20)], ids=["no text", "endless"])
def test_a_card_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "card.toml").write_bytes(content)
    with pytest.raises(BadWeights, match=r"card\.toml"):
        read_card(tmp_path)


def test_a_shipped_network_is_looked_for_in_the_package_then_in_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, checkout = tmp_path / "package", tmp_path / "checkout"
    monkeypatch.setattr(cards, "SHIPPED", (package, checkout))
    (checkout / "a").mkdir(parents=True)
    assert weights_folder("a") == checkout / "a"
    (package / "a").mkdir(parents=True)
    assert weights_folder("a") == package / "a"
    assert weights_folder(str(checkout / "a")) == checkout / "a"
    with pytest.raises(BadWeights, match=r"package/b nor .*checkout/b.*allowed"):
        weights_folder("b")
    with pytest.raises(BadWeights, match="there is no folder"):
        weights_folder(str(tmp_path / "c"))


@pytest.mark.parametrize("folder", sorted(cards.SHIPPED[1].glob("*/")), ids=lambda path: path.name)
def test_what_ships_is_what_its_card_says(folder: Path) -> None:
    card = read_card(folder)
    assert card.name == folder.name
    assert sorted(path.name for path in folder.iterdir()) == sorted(["card.toml", card.file])
    assert hashlib.sha256((folder / card.file).read_bytes()).hexdigest() == card.sha256
