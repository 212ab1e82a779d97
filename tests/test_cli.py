from __future__ import annotations

from pathlib import Path

import pytest

from cmr_node import cli
from cmr_node.cli import COMMANDS, EXIT_CODES, INTERRUPTED, main
from cmr_node.errors import StoreBroken


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_by_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        main([name, "--help"])
    assert done.value.code == 0
    said = capsys.readouterr().out
    assert f"examples:\n  cmr-node {name}" in said
    assert EXIT_CODES in said


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"\n    {name}" in said for name in COMMANDS)


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["standardize"])
    assert done.value.code == 2
    assert "standardize" in capsys.readouterr().err


def test_bad_settings_end_with_2_and_say_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "serve"  # a file named like a command is no command
    config.write_text("[receive]\nprot = 1\n")
    assert main(["--config", str(config), "status"]) == 2
    assert "receive.prot" in capsys.readouterr().err


def test_the_status_of_an_empty_node_is_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMR_NODE_STORAGE_ROOT", str(tmp_path))
    assert main(["status"]) == 0
    assert "0 studies" in capsys.readouterr().out


@pytest.mark.parametrize("fault", [RuntimeError("a library's"), StoreBroken("the disk's")])
def test_a_fault_on_the_way_out_of_an_interrupt_is_still_an_interrupt(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise fault

    monkeypatch.setattr(cli, "load", interrupted)
    assert main(["status"]) == INTERRUPTED
