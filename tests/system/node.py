"""A whole node as its user starts it: ``cmr-node serve`` with a settings file of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmr_node.commands.printed_settings import settings_as_toml
from cmr_node.settings import Peer, Settings
from tests.peers import LOOPBACK, free_port, listens, wait_until

COMMAND = [sys.executable, "-m", "cmr_node"]
ROLES = ("receive", "assemble", "work", "deliver")
LOOPBACK_SENDER = Peer(name="loopback", ae_title="*", host="127.0.0.0/8", sends=True)


@dataclass(frozen=True, slots=True)
class Node:
    """A running node, seen from outside."""

    config: Path
    settings: Settings
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        return self.settings.receive.port

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run another command with the node's settings."""
        return subprocess.run(
            [*COMMAND, "--config", str(self.config), *arguments],
            check=check,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def status(self) -> dict[str, Any]:
        """``cmr-node status --json``."""
        answer = self.run("status", "--json", "--limit", "10000", check=False)
        assert answer.returncode in (0, 1), answer.stderr
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def studies(self) -> dict[str, dict[str, Any]]:
        """The studies by UID."""
        return {study["study_instance_uid"]: study for study in self.status()["studies"]}

    def processes(self) -> dict[str, list[int]]:
        """The process identifiers of each role, workers' slots with their role."""
        found: dict[str, list[int]] = {role: [] for role in ROLES}
        for pid in _descendants(self.process.pid):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            for role in ROLES:
                if role.encode() in words or f"{role}-slot".encode() in words:
                    found[role].append(pid)
        return found


def node_settings(folder: Path, *peers: Peer, **sections: dict[str, Any]) -> Settings:
    """Settings for tests: loopback, free ports, short clocks, a disk of any size.

    No network: most pictures sent here show no heart, and what is tested is the way they go.
    """
    port = free_port()
    defaults: dict[str, dict[str, Any]] = {
        "storage": {"root": folder / "node", "soft_free_bytes": 0, "hard_free_bytes": 0},
        "receive": {"host": LOOPBACK, "port": port},
        "assemble": {"quiet_period": 3, "stall_period": 6},
        "work": {"heartbeat": 1, "takeover_after": 5},
        "deliver": {"retry_first": 1, "retry_cap": 2},
        "inference": {"network": "none"},
        "observe": {"port": 0, "log_level": "INFO"},
    }
    merged = {name: {**defaults.get(name, {}), **sections.get(name, {})} for name in defaults}
    merged.update({name: table for name, table in sections.items() if name not in merged})
    return Settings.model_validate({**merged, "peer": (LOOPBACK_SENDER, *peers)})


@contextmanager
def running_node(folder: Path, settings: Settings) -> Iterator[Node]:
    """Start ``serve``; returns when the door is open; stops it in order."""
    folder.mkdir(parents=True, exist_ok=True)
    config, log = folder / "cmr-node.toml", folder / "node.log"
    config.write_text(settings_as_toml(settings))
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*COMMAND, "--config", str(config), "serve"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if "CMR_NODE" not in name},
        )
    try:
        wait_until(
            lambda: process.poll() is not None or listens(settings.receive.port),
            f"the node opens its door, see {log}",
        )
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        yield Node(config, settings, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, wave = [], [pid]
    while wave:
        wave = [child for parent in wave for child in children.get(parent, [])]
        found += wave
    return found
