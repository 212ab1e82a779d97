from __future__ import annotations

from pathlib import Path

from cmr_node.commands.printed_settings import settings_as_toml
from cmr_node.settings import Peer, Settings, load


def test_the_printed_settings_read_back_the_same(tmp_path: Path) -> None:
    settings = Settings(
        peer=(
            Peer(name="mr1", ae_title="MR1", host="10.0.0.7", sends=True),
            Peer(name="pacs", ae_title="PACS", host="pacs", receives=("derived", "original")),
        )
    )
    path = tmp_path / "printed.toml"
    path.write_text(settings_as_toml(settings))
    assert load(path, {}) == settings
