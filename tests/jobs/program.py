"""A worker whose jobs do what their payload says, and write down what they did.

    python program.py URL EXECUTOR TRACE KIND HEARTBEAT TAKEOVER_AFTER CONCURRENCY ATTENDED

Each line of TRACE: what, key, executor, attempt, Unix time.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from cmr_node.errors import PeerRefused, PeerUnreachable
from cmr_node.jobs.queue import JSON, Kind
from cmr_node.jobs.worker import JobContext, run_slot
from cmr_node.settings import Work


def main(
    url: str,
    executor: str,
    trace: str,
    kind: str,
    heartbeat: str,
    takeover_after: str,
    concurrency: str,
    attended: str,
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def handle(context: JobContext, payload: dict[str, JSON]) -> None:
        def note(what: str) -> str:
            line = f"{what} {context.key} {executor} {context.attempt} {time.time()}\n"
            descriptor = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(descriptor, line.encode())
            os.close(descriptor)
            return what

        note("start")
        assert context.step("first", note, "first") == "first"
        act, number = payload.get("act"), float(str(payload.get("number", 0)))
        if act == "sleep":
            time.sleep(number)
        elif act == "wait for":  # polls, so that a paused process goes on where it was
            while not Path(str(payload["path"])).exists():
                time.sleep(0.02)
        elif act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif act == "hang":  # PyDLL keeps the interpreter locked: no other thread runs
            ctypes.PyDLL(None).sleep(1000)
        elif act == "refuse":
            raise PeerRefused("0x0122 is not to be mended")
        elif act == "unreachable" and context.attempt <= number:
            raise PeerUnreachable("no association")
        elif act == "bug":
            raise ValueError("DOE^JANE")
        assert context.step("second", note, "second") == "second"
        note("end")

    work = Work(heartbeat=float(heartbeat), takeover_after=float(takeover_after))
    run_slot(
        url,
        {Kind(kind): handle},
        executor,
        work,
        stop,
        concurrency=int(concurrency),
        attended=attended == "attended",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
