"""Real worker processes for the tests, and what they wrote down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cmr_node.jobs.queue import Jobs, Kind, State
from tests.peers import wait_until

PROGRAM = Path(__file__).with_name("program.py")
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class Line:
    """One thing a job did."""

    what: str
    key: str
    executor: str
    attempt: int
    at: float  # Unix time (s)


@dataclass
class Bench:
    """A queue, a folder, and workers on it."""

    url: str
    folder: Path
    jobs: Jobs

    @property
    def trace(self) -> Path:
        return self.folder / "trace.txt"

    def lines(self, what: str = "", key: str = "") -> list[Line]:
        """What the jobs did, in order."""
        if not self.trace.exists():
            return []
        found = []
        for text in self.trace.read_text().splitlines():
            name, job, executor, attempt, at = text.split()
            if what in ("", name) and key in ("", job):
                found.append(Line(name, job, executor, int(attempt), float(at)))
        return found

    def arguments(
        self,
        executor: str = "one:work:0",
        kind: Kind = Kind.STUDY,
        *,
        heartbeat: float = 0.3,
        takeover_after: float = 1.5,
        concurrency: int = 1,
        attended: bool = False,
    ) -> list[str]:
        """The command of one worker."""
        return [
            *(sys.executable, str(PROGRAM), self.url, executor, str(self.trace), kind),
            *(str(heartbeat), str(takeover_after), str(concurrency)),
            "attended" if attended else "alone",
        ]

    @contextmanager
    def worker(
        self, executor: str = "one:work:0", kind: Kind = Kind.STUDY, *, concurrency: int = 1
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A worker process; stopped at the end unless it is dead by then."""
        arguments = self.arguments(executor, kind, concurrency=concurrency)
        with (self.folder / "workers.log").open("ab") as log:
            process = subprocess.Popen(arguments, stderr=log, env=ENVIRONMENT)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_S)

    @property
    def log(self) -> str:
        return (self.folder / "workers.log").read_text()

    def wait_for(self, key: str, state: State, seconds: float = 20.0) -> None:
        wait_until(
            lambda: self.jobs.state(key) is state,
            f"{key} is {state}; it is {self.jobs.ledger.get(key)}; {self.folder}",
            seconds,
        )

    def wait_for_line(self, what: str, key: str, count: int = 1, seconds: float = 20.0) -> None:
        wait_until(
            lambda: len(self.lines(what, key)) >= count,
            f"{what} of {key}; {self.folder}",
            seconds,
        )
