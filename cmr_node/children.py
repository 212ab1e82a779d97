"""Child processes that are started again when they die, and never outlive their parent.

The promise kept here: a child that dies is started again after 0.5 s, then 1, 2 ... 10 s if it
keeps dying; one that lived for 10 s starts over at 0.5 s.  It dies with its parent (``lifeline``).
Nothing here has a loop of its own: the parent calls ``tend`` often.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmr_node import lifeline

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0
HEALTHY_AFTER_S = 10.0


@dataclass(slots=True)
class Backoff:
    """When a child that died may start again (s, of a monotonic clock)."""

    wait_s: float = FIRST_WAIT_S

    def died(self, lived_s: float) -> float:
        """How long to wait now, after it lived for that long (s)."""
        if lived_s >= HEALTHY_AFTER_S:
            self.wait_s = FIRST_WAIT_S
        now, self.wait_s = self.wait_s, min(2 * self.wait_s, LONGEST_WAIT_S)
        return now


class Child:
    """One program, kept running.

    The kernel ties the child to the *thread* that starts it: call ``tend`` from one that lives as
    long as the process.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name, self._arguments, self._clock = name, list(arguments), clock
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = Backoff()
        self._started = 0.0
        self._due = clock()

    @property
    def pid(self) -> int | None:
        """Process id, if it runs."""
        return self._process.pid if self._process else None

    def tend(self) -> int | None:
        """Start it if it is due; its status if it has died since the last call (-9 for SIGKILL)."""
        if self._process is None:
            if self._clock() >= self._due:
                self._start()
            return None
        status = self._process.poll()
        if status is not None:
            self._process = None
            self._due = self._clock() + self._backoff.died(self._clock() - self._started)
        return status

    @property
    def waits_s(self) -> float:
        """How long until the next start (s)."""
        return max(0.0, self._due - self._clock())

    def _start(self) -> None:
        tied = [sys.executable, "-I", "-S", str(Path(lifeline.__file__)), str(os.getpid())]
        try:
            self._process = subprocess.Popen([*tied, *self._arguments], stdin=subprocess.DEVNULL)
        except OSError as error:  # no memory or no process to be had: the others must go on
            self._due = self._clock() + self._backoff.died(0.0)
            logger.error(
                "%s cannot be started, again in %.1f s: %s", self.name, self.waits_s, error
            )
        self._started = self._clock()

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process:
            self._process.send_signal(number)

    def wait(self, seconds: float) -> int | None:
        """Wait for it to end; its status, None if it still runs."""
        if self._process is None:
            return 0
        try:
            status = self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return None
        self._process = None
        return status

    def kill(self) -> int | None:
        """SIGKILL and wait; its status."""
        self.tell(signal.SIGKILL)
        return self.wait(LONGEST_WAIT_S)


def describe(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
