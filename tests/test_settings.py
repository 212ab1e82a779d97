from __future__ import annotations

from pathlib import Path

import pytest

from cmr_node.errors import ConfigurationError
from cmr_node.settings import Settings, environment_names, load, sections


def written(folder: Path, text: str) -> Path:
    path = folder / "cmr-node.toml"
    path.write_text(text)
    return path


def test_without_a_file_every_setting_has_its_default() -> None:
    assert load(None, {}) == Settings()


def test_every_setting_says_what_it_is_for_in_a_sentence() -> None:
    for section, model in {**sections(), "peer": Settings}.items():
        for name, field in model.model_fields.items():
            if section != "peer" or name == "peer":
                assert (field.description or "").endswith("."), f"{section}.{name}"


def test_the_environment_goes_on_top_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[receive]\nport = 104\nae_title = 'FILE'\n")
    settings = load(path, {"CMR_NODE_RECEIVE_PORT": "11113", "HOME": "/root"})
    assert (settings.receive.port, settings.receive.ae_title) == (11113, "FILE")


def test_every_setting_can_be_set_from_the_environment() -> None:
    names = environment_names()
    assert names["CMR_NODE_ASSEMBLE_QUIET_PERIOD"] == ("assemble", "quiet_period")
    assert len(names) == sum(len(model.model_fields) for model in sections().values())


@pytest.mark.parametrize(
    ("text", "environment", "named"),
    [
        ("[recieve]\nport = 1\n", {}, ["recieve", "receive"]),
        ("[receive]\nprot = 1\n", {}, ["receive.prot", "port"]),
        ("[receive]\nport = 70000\n", {}, ["receive.port", "70000", "65535"]),
        ("[receive]\nae_title = 'SEVENTEEN_LETTERS'\n", {}, ["ae_title", "SEVENTEEN_LETTERS"]),
        ("[assemble]\nquiet_period = nan\n", {}, ["assemble.quiet_period", "finite"]),
        ("[work]\nslots = 0\n", {}, ["work.slots", "0", "greater than or equal to 1"]),
        ("[storage]\nsoft_free_bytes = 1\n", {}, ["hard_free_bytes", "soft_free_bytes"]),
        ("receive = 3\n", {"CMR_NODE_RECEIVE_PORT": "1"}, ["[receive]", "table"]),
        ("this is not TOML", {}, ["cmr-node.toml"]),
        ("", {"CMR_NODE_QUITE_PERIOD": "5"}, ["CMR_NODE_QUITE_PERIOD", "known are"]),
        ("", {"CMR_NODE_RECEIVE_PORT": "eleven"}, ["receive.port", "eleven"]),
        ("[[peer]]\nname = 'a'\nae_title = 'A'\nhost = 'h'\nsend = true\n", {}, ["send", "sends"]),
        ("[[peer]]\nname = 'a'\nae_title = '*'\nhost = 'h'\nreceives = ['derived']\n", {}, ["*"]),
        ("[[peer]]\nname = 'a'\nae_title = 'A'\nhost = '10.0.0.9/8'\nsends = true\n", {}, ["10.0"]),
        ("[[peer]]\nname = 'Dr X'\nae_title = 'A'\nhost = 'h'\n", {}, ["peer.0.name", "Dr X"]),
    ],
)
def test_a_wrong_name_or_value_is_refused_with_key_value_and_what_is_allowed(
    tmp_path: Path, text: str, environment: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(written(tmp_path, text), environment)
    for part in named:
        assert part in str(refused.value)


def test_two_peers_of_one_name_are_refused(tmp_path: Path) -> None:
    peer = "[[peer]]\nname = 'pacs'\nae_title = 'PACS'\nhost = 'pacs'\n"
    with pytest.raises(ConfigurationError, match="pacs"):
        load(written(tmp_path, peer * 2), {})


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        load(Path("/nowhere/cmr-node.toml"), {})


def test_only_loopback_may_send_until_a_peer_is_listed(tmp_path: Path) -> None:
    assert [peer.host for peer in Settings().peer] == ["127.0.0.0/8", "::1/128"]
    listed = load(
        written(tmp_path, "[[peer]]\nname='mr'\nae_title='MR'\nhost='10.1.1.1'\nsends=true\n"), {}
    )
    assert [peer.name for peer in listed.peer] == ["mr"]


def test_one_setting_moves_index_and_queue_to_postgresql() -> None:
    url = "postgresql+psycopg://cmr@db/cmr"
    settings = load(None, {"CMR_NODE_STORAGE_DATABASE": url})
    assert (settings.storage.index_url, settings.storage.queue_url) == (url, url)
