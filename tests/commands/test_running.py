from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cmr_node.commands.running import only_one
from cmr_node.errors import ConfigurationError
from tests.peers import wait_until
from tests.system.node import node_settings, running_node

HOLD = """
import sys, pathlib, cmr_node.commands.running as running
from cmr_node.settings import Settings, Storage
with running.only_one(Settings(storage=Storage(root=pathlib.Path(sys.argv[1]))), "work"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_of_a_role_is_refused_and_one_after_a_kill_is_not(tmp_path: Path) -> None:
    settings = node_settings(tmp_path)
    root = settings.storage.root
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with (
            pytest.raises(ConfigurationError, match="work runs on this host already"),
            only_one(settings, "work"),
        ):
            pass
        with only_one(settings, "deliver"):
            pass
        first.kill()
        first.wait()
    with only_one(settings, "work"):
        pass


@pytest.mark.system
def test_a_second_deliver_beside_serve_ends_and_the_node_goes_on(tmp_path: Path) -> None:
    with running_node(tmp_path, node_settings(tmp_path)) as node:
        wait_until(
            lambda: bool(list(node.settings.storage.root.glob("deliver-*.lock"))), "deliver runs"
        )
        second = node.run("deliver", check=False)
        assert second.returncode == 2
        assert "runs on this host already" in second.stderr
        assert node.process.poll() is None
