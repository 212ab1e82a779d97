"""Real peers on loopback and free ports: DCMTK's storescp, Orthanc, PostgreSQL.

Each is a context manager that returns when the peer answers and, on leaving, waits until its
process is gone.  ``dcmtk(name)`` and ``need(...)`` skip a test where a program is not installed.

    with storescp(folder, "--ignore") as peer: ...      # peer.port, peer.ae_title
    with orthanc() as pacs: ... pacs.instances()        # REST through urllib
    with postgres() as url: ...                         # postgresql+psycopg://...

Debian's DCMTK and Orthanc wait for a delayed acknowledgement at every object unless
TCP_NODELAY=1 is in their environment (about 20 objects a second); ``ENVIRONMENT`` has it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
LOOPBACK = "127.0.0.1"
START_S, STOP_S = 30.0, 20.0
POSTGRES_BIN = Path("/usr/lib/postgresql")


def dcmtk(name: str) -> str:
    """Path of a DCMTK program; skips the calling test if it is not installed.

    A virtual environment has scripts of pynetdicom under the same names; they are passed over.
    """
    for folder in os.get_exec_path():
        path = Path(folder) / name
        if os.access(path, os.X_OK) and path.is_file():
            with path.open("rb") as program:
                if program.read(2) != b"#!":
                    return str(path)
    pytest.skip(f"DCMTK's {name} is not installed")


def need(*programs: str) -> None:
    """Skip the calling test unless every program is installed."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], bool], what: str, seconds: float = START_S) -> None:
    """Poll until ``true()``; fail, naming ``what``, after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether something accepts a connection on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


@dataclass(frozen=True, slots=True)
class Listener:
    """A DICOM peer that can be sent to."""

    port: int
    ae_title: str
    folder: Path
    pid: int

    def files(self) -> list[Path]:
        """What it has stored, sorted by name."""
        return sorted(path for path in self.folder.iterdir() if path.is_file())


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running Orthanc."""

    port: int
    http_port: int
    ae_title: str
    pid: int

    def get(self, path: str) -> Any:
        """The JSON answer to GET ``path``."""
        url = f"http://{LOOPBACK}:{self.http_port}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    def file(self, instance: str) -> bytes:
        """One instance as Orthanc stored it, as a DICOM file."""
        url = f"http://{LOOPBACK}:{self.http_port}/instances/{instance}/file"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bytes(answer.read())

    def instances(self) -> list[str]:
        """Orthanc's identifiers of all instances."""
        return [str(identifier) for identifier in self.get("/instances")]

    def sop_instance_uids(self) -> list[str]:
        """SOP Instance UIDs of all instances, sorted."""
        return sorted(
            str(found["MainDicomTags"]["SOPInstanceUID"]) for found in self.get("/instances?expand")
        )


@contextmanager
def process(
    arguments: Sequence[str],
    ready: Callable[[], bool],
    log: Path,
    stop: signal.Signals = signal.SIGTERM,
    **options: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block is left, then ``stop`` it; what it says goes to ``log``."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            **{"env": ENVIRONMENT, **options},
        )
    try:
        wait_until(
            lambda: child.poll() is not None or ready(), f"{arguments[0]} answers, see {log}"
        )
        if child.poll() is not None:
            said = log.read_text(errors="replace")[-2000:]
            raise AssertionError(f"{arguments[0]} ended with {child.returncode}: {said}")
        yield child
    finally:
        child.send_signal(stop)
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(STOP_S)


@contextmanager
def storescp(
    folder: Path, *options: str, ae_title: str = "STORESCP", port: int = 0
) -> Iterator[Listener]:
    """DCMTK's storescp; stores into ``folder`` unless ``--ignore`` is among the options."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    arguments = [dcmtk("storescp"), "-aet", ae_title, "-od", str(folder), *options, str(port)]
    log = folder.parent / f"{folder.name}-storescp.log"
    with process(arguments, lambda: listens(port), log) as child:
        yield Listener(port, ae_title, folder, child.pid)


@contextmanager
def orthanc(
    *, ae_title: str = "TESTPACS", port: int = 0, **configuration: Any
) -> Iterator[Orthanc]:
    """Orthanc with an empty store; any sender may store; ``configuration`` goes on top."""
    need("Orthanc")
    with tempfile.TemporaryDirectory(prefix="orthanc-") as name:
        folder = Path(name)
        port, http_port = port or free_port(), free_port()
        settings = {
            "Name": ae_title,
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "Plugins": [],
            "HttpPort": http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": ae_title,
            "DicomPort": port,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomCheckModalityHost": False,
            "OverwriteInstances": False,
            "StableAge": 2,
            "UnknownSopClassAccepted": False,
            "DicomScuTimeout": 10,
            "DicomScpTimeout": 30,
            "DicomAssociationCloseDelay": 1,
            **configuration,
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))

        def healthy() -> bool:
            try:
                system = f"http://{LOOPBACK}:{http_port}/system"
                with urllib.request.urlopen(system, timeout=2) as answer:
                    return answer.status == 200 and listens(port)
            except (urllib.error.URLError, OSError):
                return False

        arguments = ["Orthanc", str(folder / "orthanc.json")]
        with process(arguments, healthy, folder / "log.txt") as child:
            yield Orthanc(port, http_port, ae_title, child.pid)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL data folder that can be served again and again."""

    programs: Path
    folder: Path
    port: int
    user: dict[str, Any]

    @property
    def url(self) -> str:
        """Its SQLAlchemy URL while it is served."""
        return f"postgresql+psycopg://cmr@{LOOPBACK}:{self.port}/postgres"

    @contextmanager
    def served(self) -> Iterator[str]:
        """Run the server; gives the URL."""
        arguments = [
            *(str(self.programs / "postgres"), "-D", str(self.folder / "data")),
            *("-p", str(self.port), "-F"),
            *("-c", f"listen_addresses={LOOPBACK}", "-c", "unix_socket_directories="),
        ]

        def ready() -> bool:
            probe = [str(self.programs / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port)]
            return subprocess.run(probe, check=False).returncode == 0

        log = self.folder / "log.txt"
        # SIGINT: disconnect the clients and stop, where SIGTERM would wait for them to leave
        with process(arguments, ready, log, signal.SIGINT, cwd=self.folder, **self.user):
            yield self.url


@contextmanager
def postgres_cluster() -> Iterator[Cluster]:
    """An empty PostgreSQL, not served yet.

    It keeps nothing through a power cut (fsync off): tests kill processes, not machines.
    The server refuses to run as root and then runs as the user ``postgres``.
    """
    versions = sorted(POSTGRES_BIN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        pytest.skip("PostgreSQL is not installed")
    programs = versions[-1].parent
    user: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if user:
            shutil.chown(folder, "postgres", "postgres")
        subprocess.run(
            [
                *(str(programs / "initdb"), "-D", str(folder / "data")),
                *("-U", "cmr", "-A", "trust", "-N"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **user,
        )
        yield Cluster(programs, folder, free_port(), user)
    finally:
        shutil.rmtree(folder)


@contextmanager
def postgres() -> Iterator[str]:
    """An empty PostgreSQL, served; gives its SQLAlchemy URL.  More in ``postgres_cluster``."""
    with postgres_cluster() as cluster, cluster.served() as url:
        yield url
