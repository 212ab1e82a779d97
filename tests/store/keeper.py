"""A process that keeps instances until it is killed: ``python -m tests.store.keeper``.

Prints a line for each instance that was acknowledged, after it was acknowledged.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
from itertools import count
from pathlib import Path

from cmr_node.store.database import Database
from cmr_node.store.index import Index
from tests.store.keeping import keep, open_intake, storage

THREADS = 3


def main(root: Path, first: int, step: int) -> None:
    """Keep number ``first``, ``first + step``, ..., small and large, and some twice."""
    faulthandler.dump_traceback_later(30, exit=True)  # to stderr: where does it stand?
    database = Database.open(storage(root).index_url)
    intake = open_intake(root, Index(database))
    numbers, lock = count(first, step), threading.Lock()
    faulthandler.cancel_dump_traceback_later()
    print("ready", flush=True)

    def run() -> None:
        while True:
            with lock:
                number = next(numbers)
            kept = keep(intake, number, extra=400_000 if number % 10 == 0 else 0)
            with lock:
                print(number, 0, kept.name, flush=True)
            if number % 7 == 0:
                kept = keep(intake, number, content=1)
                with lock:
                    print(number, 1, kept.name, flush=True)

    for _ in range(THREADS):
        threading.Thread(target=run).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
