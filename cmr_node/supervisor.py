"""All roles of one node under one parent: what ``serve`` runs.

The promise kept here: a role that dies is started again, the others go on; when the supervisor is
told to stop, the roles stop in their order (first the door in, last the door out), each with time
to finish; and when the supervisor itself is killed, its roles die with it (``lifeline``), so that
the next start finds the ports free.

Under systemd with ``Type=notify`` it says when all roles have been started, and answers the
watchdog as long as its loop turns (sd_notify(3)).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from cmr_node.children import Child, describe

logger = logging.getLogger(__name__)

TICK_S = 0.2
STATUS_EVERY_S = 600.0
STOPPED, KILLED = 0, 1


@dataclass(frozen=True, slots=True)
class Role:
    """One process of the node."""

    name: str
    arguments: tuple[str, ...]  #: the program and its arguments
    grace_s: float = 20.0  #: from SIGTERM to SIGKILL


def serve(
    roles: Sequence[Role],
    *,
    fatal: frozenset[int] = frozenset(),
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Run the roles until SIGTERM or SIGINT; call it from the main thread.

    Parameters
    ----------
    roles
        In the order in which they are to be stopped; started in the reverse order, so that nothing
        is taken in before somebody can work on it.
    fatal
        Exit statuses that another start would not mend, such as that of bad settings: everything is
        stopped and the status handed up.

    Returns
    -------
    The supervisor's exit status: 0 if every role stopped in time, 1 if one had to be killed, or a
    fatal status.
    """
    stop = threading.Event()

    def told(number: int, _frame: FrameType | None) -> None:
        logger.info("%s: stopping", signal.Signals(number).name)
        stop.set()

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return _Supervisor(roles, fatal, _Systemd(environment)).run(stop)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Supervisor:
    def __init__(self, roles: Sequence[Role], fatal: frozenset[int], systemd: _Systemd) -> None:
        self._children = {role: Child(role.name, role.arguments) for role in roles}
        self._fatal, self._systemd = fatal, systemd
        self._restarts = dict.fromkeys(roles, 0)

    def run(self, stop: threading.Event) -> int:
        status = STOPPED
        status_due = time.monotonic() + STATUS_EVERY_S
        try:
            self._start()
            while not stop.wait(TICK_S):
                status = self._tend()
                if status != STOPPED:
                    break
                self._systemd.alive()
                if time.monotonic() >= status_due:
                    status_due += STATUS_EVERY_S
                    self._say()
        finally:
            in_time = self._stop()
        return status or (STOPPED if in_time else KILLED)

    def _start(self) -> None:
        for role, child in reversed(self._children.items()):
            child.tend()
            logger.info("role %s started, process %s", role.name, child.pid)
        self._systemd.say("READY=1")

    def _tend(self) -> int:
        """Start again what died; a fatal status, else 0."""
        for role, child in self._children.items():
            was_running = child.pid is not None
            died = child.tend()
            if died is not None:
                logger.error(
                    "role %s: %s; started again in %.1f s", role.name, describe(died), child.waits_s
                )
                if died in self._fatal:
                    logger.error("role %s: another start would not mend that", role.name)
                    return died
            elif child.pid is not None and not was_running:
                self._restarts[role] += 1
                logger.info("role %s started again, process %s", role.name, child.pid)
        return STOPPED

    def _say(self) -> None:
        for role, child in self._children.items():
            state = f"process {child.pid}" if child.pid else f"starts in {child.waits_s:.1f} s"
            logger.info("role %s: %s, restarts %d", role.name, state, self._restarts[role])

    def _stop(self) -> bool:
        """Stop the roles one after the other; whether none had to be killed."""
        self._systemd.say("STOPPING=1")
        in_time = True
        for role, child in self._children.items():
            child.tell(signal.SIGTERM)
            if child.wait(role.grace_s) is None:
                logger.error("role %s did not stop in %g s, killed", role.name, role.grace_s)
                child.kill()
                in_time = False
            logger.info("role %s stopped", role.name)
        return in_time


class _Systemd:
    """sd_notify(3), if systemd is there."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._every_s = float(environment.get("WATCHDOG_USEC", "0")) / 2e6
        self._due = 0.0

    def say(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(message.encode(), self._address)
        except OSError as error:
            logger.warning("systemd was not told %s: %s", message, error)

    def alive(self) -> None:
        if self._every_s and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every_s
            self.say("WATCHDOG=1")
