"""How fast instances become durable: journal against one flush per file.

    python -m tests.benchmarks.intake [--folder DIR] [--instances N] [--rounds N]

Each row is the median of interleaved rounds in this very run; compare within a run only.
``files`` writes each instance to a file and syncs file and folder before it goes on, with no
index; ``journal`` is the intake with an index that does nothing, ``journal+index`` with SQLite.
The time is until the last answer; ``filed`` counts until all are files and in the index.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import FileDataset

from cmr_node.durable import sync_folder
from cmr_node.settings import Storage
from cmr_node.store.arrival import Arrival
from cmr_node.store.database import Database
from cmr_node.store.index import Index
from cmr_node.store.intake import Intake
from tests.samples import data_set_bytes, mr, uid

FRAGMENT_BYTES = 128 * 1024 - 12
Instance = tuple[str, str, str, bytes]


@dataclass
class Figure:
    """One run: seconds to the last answer, CPU seconds, seconds until all is filed."""

    answered: float
    cpu: float
    filed: float


class NoIndex:
    """An index that keeps nothing."""

    def register(self, arrivals: Sequence[Arrival]) -> None:
        """Do nothing."""


def instances(count: int) -> list[Instance]:
    """MR instances of 144 kB, all different; made by changing one UID in the encoded bytes."""
    ds: FileDataset = mr(rows=256, columns=280)
    first, encoded = str(ds.SOPInstanceUID), data_set_bytes(ds)
    made = []
    for number in range(count):
        new = uid("benchmark", os.getpid(), time.monotonic_ns(), number)[: len(first)]
        new = new.ljust(len(first), "1")
        data = encoded.replace(first.encode(), new.encode())
        made.append((str(ds.SOPClassUID), new, str(ds.file_meta.TransferSyntaxUID), data))
    return made


def on_threads(count: int, todo: list[Instance], keep: Callable[[Instance], None]) -> None:
    """Each thread keeps its share, one instance after the other, as an association does."""
    threads = [
        threading.Thread(target=lambda share: [keep(i) for i in share], args=(todo[n::count],))
        for n in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def files(folder: Path, threads: int, todo: list[Instance]) -> Figure:
    """One file and two flushes for each instance."""
    target = folder / "files"
    target.mkdir()

    def keep(instance: Instance) -> None:
        fd = os.open(target / instance[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, instance[3])
        os.fsync(fd)
        os.close(fd)
        sync_folder(target)

    began, cpu = time.perf_counter(), time.process_time()
    on_threads(threads, todo, keep)
    seconds = time.perf_counter() - began
    return Figure(seconds, time.process_time() - cpu, seconds)


def journal(folder: Path, threads: int, todo: list[Instance], indexed: bool) -> Figure:
    """The intake."""
    storage = Storage(root=folder / "store", soft_free_bytes=0, hard_free_bytes=0)
    storage.root.mkdir()
    database = Database.open(storage.index_url) if indexed else None
    intake = Intake(storage, Index(database) if database else NoIndex())

    def keep(instance: Instance) -> None:
        sop_class_uid, sop_instance_uid, transfer_syntax_uid, data = instance
        reception = intake.begin(sop_class_uid, sop_instance_uid, transfer_syntax_uid, "BENCH")
        view = memoryview(data)
        for start in range(0, len(view), FRAGMENT_BYTES):
            reception.write(view[start : start + FRAGMENT_BYTES])
        reception.keep()

    began, cpu = time.perf_counter(), time.process_time()
    on_threads(threads, todo, keep)
    answered = time.perf_counter() - began
    intake.close(600)
    filed = time.perf_counter() - began
    figure = Figure(answered, time.process_time() - cpu, filed)
    if database:
        database.close()
    return figure


WAYS: dict[str, Callable[[Path, int, list[Instance]], Figure]] = {
    "files": files,
    "journal": lambda *given: journal(*given, indexed=False),
    "journal+index": lambda *given: journal(*given, indexed=True),
}


def main() -> None:
    """Measure every way with 1 and 4 threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default a new one")
    parser.add_argument("--instances", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    top = Path(tempfile.mkdtemp(dir=given.folder))
    found: dict[tuple[str, int], list[Figure]] = {}
    try:
        for _ in range(given.rounds):
            for threads in (1, 4):
                for way, run in WAYS.items():
                    folder = top / "round"
                    folder.mkdir()
                    figure = run(folder, threads, instances(given.instances))
                    found.setdefault((way, threads), []).append(figure)
                    shutil.rmtree(folder)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(f"{given.instances} instances of 144 kB, median of {given.rounds} interleaved rounds")
    print(f"{'way':14} {'threads':>7} {'answered/s':>10} {'filed/s':>8} {'CPU ms':>7} {'ratio':>6}")
    for (way, threads), figures in sorted(found.items(), key=lambda item: item[0][1]):
        base = statistics.median(f.answered for f in found["files", threads])
        answered = statistics.median(f.answered for f in figures)
        filed = statistics.median(f.filed for f in figures)
        cpu = statistics.median(f.cpu for f in figures) / given.instances * 1000
        print(
            f"{way:14} {threads:7} {given.instances / answered:10.0f} "
            f"{given.instances / filed:8.0f} {cpu:7.2f} {base / answered:6.2f}"
        )


if __name__ == "__main__":
    main()
