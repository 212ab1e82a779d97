"""The supervisor as a real process, with roles that are killed, hang or cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.peers import free_port, listens, wait_until
from tests.test_children import alive

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[1]

SUPERVISOR = """
import json, logging, sys
from cmr_node.supervisor import Role, serve
logging.basicConfig(level=logging.INFO, format="%(message)s")
roles = [Role(name, tuple(arguments), grace_s=1) for name, arguments in json.loads(sys.argv[1])]
sys.exit(serve(roles, fatal=frozenset({78})))
"""
ROLE = """
import signal, socket, sys, time
name, folder, port, stubborn = sys.argv[1:]
def stop(*_):
    with open(f"{folder}/stopped", "a") as file:
        file.write(f"{name}\\n")
    if stubborn == "no":
        sys.exit(0)
signal.signal(signal.SIGTERM, stop)
listener = socket.create_server(("127.0.0.1", int(port)))
while True:
    time.sleep(0.1)
"""


@contextmanager
def supervised(
    folder: Path, roles: list[tuple[str, list[str]]], **environment: str
) -> Iterator[subprocess.Popen[str]]:
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, json.dumps(roles)],
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def role(name: str, folder: Path, port: int, *, stubborn: bool = False) -> tuple[str, list[str]]:
    arguments = [name, str(folder), str(port), "yes" if stubborn else "no"]
    return name, [sys.executable, "-c", ROLE, *arguments]


def listener_of(process: subprocess.Popen[str], name: str) -> int:
    """Process id of a role."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as listed:
        for pid in listed.read().split():
            if Path(f"/proc/{pid}/cmdline").read_text().split("\0")[3] == name:
                return int(pid)
    raise AssertionError(f"{name} does not run")


def test_a_killed_role_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    roles = [role(name, tmp_path, port) for name, port in zip(("a", "b"), ports, strict=True)]
    with supervised(tmp_path, roles) as process:
        wait_until(lambda: all(map(listens, ports)), "both roles listen")
        killed, other = listener_of(process, "a"), listener_of(process, "b")
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not listens(ports[0]), "the killed one is gone")
        wait_until(lambda: listens(ports[0]), "it is back", 10)
        assert listener_of(process, "b") == other
        assert (
            "role a: killed by SIGKILL; started again in 0.5 s"
            in (tmp_path / "log.txt").read_text()
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_roles_stop_in_their_order(tmp_path: Path, number: signal.Signals) -> None:
    names = ["receive", "assemble", "work", "deliver"]
    ports = [free_port() for _ in names]
    roles = [role(name, tmp_path, port) for name, port in zip(names, ports, strict=True)]
    with supervised(tmp_path, roles) as process:
        wait_until(lambda: all(map(listens, ports)), "all roles listen")
        process.send_signal(number)
        assert process.wait(10) == 0
    assert (tmp_path / "stopped").read_text().split() == names
    assert not any(map(listens, ports))


def test_a_role_that_will_not_stop_is_killed_and_the_status_says_so(tmp_path: Path) -> None:
    port = free_port()
    with supervised(tmp_path, [role("stubborn", tmp_path, port, stubborn=True)]) as process:
        wait_until(lambda: listens(port), "the role listens")
        process.terminate()
        assert process.wait(10) == 1
    assert not listens(port)


def test_no_role_outlives_a_killed_supervisor_and_its_port_is_free_again(tmp_path: Path) -> None:
    port = free_port()
    with supervised(tmp_path, [role("receive", tmp_path, port)]) as process:
        wait_until(lambda: listens(port), "the role listens")
        pid = listener_of(process, "receive")
        process.kill()
        wait_until(lambda: not alive(pid), "the role dies with its supervisor", 5)
    with supervised(tmp_path, [role("receive", tmp_path, port)]):
        wait_until(lambda: listens(port), "the next start has the port", 10)


def test_bad_settings_are_not_tried_again_and_again(tmp_path: Path) -> None:
    port = free_port()
    bad = ("bad", [sys.executable, "-c", "import sys; sys.exit(78)"])
    with supervised(tmp_path, [role("receive", tmp_path, port), bad]) as process:
        assert process.wait(15) == 78
    assert not listens(port)


def test_systemd_is_told_that_all_are_started_and_that_the_loop_turns(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(10)
        environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}
        roles = [role("receive", tmp_path, free_port())]
        with supervised(tmp_path, roles, **environment) as process:
            heard = [systemd.recv(64).decode() for _ in range(3)]
            asked = time.monotonic()
            process.terminate()
            while heard[-1] != "STOPPING=1":
                assert time.monotonic() - asked < 10
                heard.append(systemd.recv(64).decode())
    assert heard[:3] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
