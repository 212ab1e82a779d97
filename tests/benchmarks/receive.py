"""Receiving 144 kB MR instances with a durable answer, beside Orthanc and storescp.

    python -m tests.benchmarks.receive [--rounds 5] [--instances 400] [--folder DIR]

One run, interleaved rounds, medians.  The sender writes prebuilt bytes from a process of its own
per association and waits for each answer before the next object, as a scanner does; how fast it
could go is the row "discard".  Every receiver gets instances it has not seen.

    cmr-node        answers when the instance is durable (journal, one fdatasync for all who wait)
    stock           pynetdicom's own SCP before the same store
    discard         cmr-node's SCP that keeps nothing: the protocol alone
    Orthanc         as Debian ships it; SQLite index
    storescp        DCMTK, --bit-preserving --fork, TCP_NODELAY; writes files, syncs nothing
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.peers import free_port, orthanc, storescp
from tests.raw_scu import RawScu, fragments, p_data, store_rq
from tests.receiver import receiver
from tests.samples import data_set_bytes, mr

MR, EXPLICIT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1"
UID_CHARACTERS = 40
ASSOCIATIONS = (1, 4)


def instance(uid: str) -> bytes:
    """A data set of about 144 kB that holds ``uid`` once, in its first kilobyte."""
    ds = mr(rows=264, columns=270, SOPInstanceUID=uid)
    noise = np.random.default_rng(1).integers(0, 4096, 264 * 270, dtype=np.uint16)
    ds.PixelData = noise.tobytes()
    return data_set_bytes(ds)


def new_uid(run: str, number: int) -> str:
    """A UID of ``UID_CHARACTERS`` characters."""
    start = f"2.25.1{run}"
    return f"{start}{number:0{UID_CHARACTERS - len(start)}d}"


def sender() -> None:
    """Run the jobs that come in on standard input: a job, then "begin"; gives times (s)."""
    for line in sys.stdin:
        port, called, run, count = json.loads(line)
        placeholder = new_uid(run, 0)
        template = instance(placeholder)
        with RawScu(port, 120) as scu:
            assert scu.associate([(MR, [EXPLICIT])], called=called) == 2
            items = [p_data(item) for item in fragments(1, 0, template, 16_000)]
            first, rest = items[0], b"".join(items[1:])
            before, after = first.split(placeholder.encode())
            print("ready", flush=True)
            sys.stdin.readline()
            began, latencies = time.monotonic(), []
            for number in range(1, count + 1):
                uid = new_uid(run, number)
                sent = time.monotonic()
                command = p_data(*fragments(1, 1, store_rq(MR, uid), 16_000))
                scu.send(b"".join((command, before, uid.encode(), after, rest)))
                status, _ = scu.status()
                assert status == 0, f"status 0x{status:04X}"
                latencies.append(time.monotonic() - sent)
            ended = time.monotonic()
            scu.release()
        print(json.dumps([began, ended, latencies]), flush=True)


class Senders:
    """As many sender processes as there are associations at most."""

    def __init__(self) -> None:
        self._children = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.benchmarks.receive", "--sender"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
            )
            for _ in range(max(ASSOCIATIONS))
        ]

    def __enter__(self) -> Senders:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.communicate(timeout=20)

    def run(
        self, port: int, called: str, pid: int, run: str, associations: int, count: int
    ) -> tuple[float, float, list[float]]:
        """Rate (1/s), CPU of the receiver per instance (ms) and latencies (s) of one run."""
        each, children = count // associations, self._children[:associations]
        for number, child in enumerate(children):
            self._say(child, json.dumps([port, called, f"{run}{number}", each]))
        for child in children:
            assert self._hear(child) == "ready\n"
        before = cpu_seconds(pid)
        for child in children:
            self._say(child, "begin")
        answers = [json.loads(self._hear(child)) for child in children]
        spent, total = cpu_seconds(pid) - before, each * associations
        seconds = max(answer[1] for answer in answers) - min(answer[0] for answer in answers)
        latencies = [latency for answer in answers for latency in answer[2]]
        return total / seconds, 1000 * spent / total, latencies

    @staticmethod
    def _say(child: subprocess.Popen[str], line: str) -> None:
        assert child.stdin is not None
        child.stdin.write(line + "\n")
        child.stdin.flush()

    @staticmethod
    def _hear(child: subprocess.Popen[str]) -> str:
        assert child.stdout is not None
        return child.stdout.readline()


@dataclass
class Measured:
    """What one receiver did over the rounds, by number of associations."""

    rates: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in ASSOCIATIONS})
    cpu_ms: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in ASSOCIATIONS})
    latencies: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in ASSOCIATIONS})


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its ended children so far (s)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, after_name[11:15])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, rounds: int, count: int) -> dict[str, Measured]:
    """Interleaved rounds over all receivers."""
    with ExitStack() as stack:
        enter = stack.enter_context
        ours = enter(receiver(folder / "ours", free_port()))
        stock = enter(receiver(folder / "stock", free_port(), "--stock"))
        discard = enter(receiver(folder / "discard", free_port(), "--discard"))
        pacs = enter(orthanc())
        dcmtk = enter(storescp(folder / "storescp", "--bit-preserving", "--fork"))
        receivers = {
            "cmr-node": (ours.port, ours.ae_title, ours.pid),
            "stock": (stock.port, stock.ae_title, stock.pid),
            "discard": (discard.port, discard.ae_title, discard.pid),
            "Orthanc": (pacs.port, pacs.ae_title, pacs.pid),
            "storescp": (dcmtk.port, dcmtk.ae_title, dcmtk.pid),
        }
        found = {name: Measured() for name in receivers}
        senders = enter(Senders())
        for number in range(rounds):
            for associations in ASSOCIATIONS:
                for name, (port, called, pid) in receivers.items():
                    run = f"{number:03d}{associations}{time.time_ns() % 10**9:09d}"
                    rate, cpu_ms, latencies = senders.run(
                        port, called, pid, run, associations, count
                    )
                    found[name].rates[associations].append(rate)
                    found[name].cpu_ms[associations].append(cpu_ms)
                    found[name].latencies[associations] += latencies
        return found


def table(found: dict[str, Measured]) -> str:
    """Medians; ratios to Orthanc."""
    lines = [
        f"{'receiver':10} {'assoc':>5} {'inst/s':>8} {'x Orthanc':>9} {'cpu ms':>7} "
        f"{'p50 ms':>7} {'p99 ms':>7}   rates of the rounds"
    ]
    for associations in ASSOCIATIONS:
        orthanc_rate = statistics.median(found["Orthanc"].rates[associations])
        for name, measured in found.items():
            rates = measured.rates[associations]
            rate = statistics.median(rates)
            p50, p99 = np.percentile(measured.latencies[associations], [50, 99]) * 1000
            lines.append(
                f"{name:10} {associations:5d} {rate:8.0f} {rate / orthanc_rate:9.2f} "
                f"{statistics.median(measured.cpu_ms[associations]):7.2f} {p50:7.2f} {p99:7.2f}   "
                + " ".join(f"{one:.0f}" for one in rates)
            )
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:] == ["--sender"]:
        sender()
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--instances", type=int, default=400, help="of each run")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: temporary")
    arguments = parser.parse_args()
    size_kb = len(instance(new_uid("0", 0))) / 1000
    with tempfile.TemporaryDirectory(prefix="receive-", dir=arguments.folder) as name:
        found = measure(Path(name), arguments.rounds, arguments.instances)
    print(
        f"{arguments.rounds} rounds of {arguments.instances} instances of {size_kb:.0f} kB, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n{table(found)}"
    )


if __name__ == "__main__":
    main()
