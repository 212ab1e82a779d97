"""From the last C-STORE answer to the derived series at Orthanc, and the memory of each role.

    python -m tests.benchmarks.end_to_end [--network cmr-multitask]

A short-axis cine of 10 slices and 25 phases (256 x 208, 250 instances) stored turned is sent to a
node of one worker slot as ``serve`` runs it; Orthanc is the PACS.  The study is proved complete by
its tags, so the settle time of 1 s is part of every figure.  With a network two segmentations and
a report come too, and are waited for.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.network.scu import send
from cmr_node.phantom.study import Plan, write_study
from cmr_node.settings import Deliver, Peer
from tests.peers import LOOPBACK, Orthanc, orthanc, wait_until
from tests.system.node import Node, node_settings, running_node


def plan(seed: int, slices: int, phases: int) -> Plan:
    return Plan(
        seed=seed,
        views=(View.SAX,),
        slices=slices,
        phases=phases,
        rows=208,
        columns=256,
        pixel_spacing=1.4,
        stored_as={View.SAX: Orientation.ROT90CW},
    )


RESULTS = 3  #: segmentations at end-diastole and end-systole, report


def once(node: Node, pacs: Orthanc, study: Plan, results: int) -> tuple[float, float]:
    """Seconds to send the study, and from its last answer to the last of what comes of it."""
    with tempfile.TemporaryDirectory() as name:
        write_study(Path(name), study)
        files = sorted(Path(name).rglob("*.dcm"))
        before = len(pacs.instances())
        door = Peer(name="door", ae_title="CMRNODE", host=LOOPBACK, port=node.port)
        began = time.monotonic()
        outcomes = list(send(door, files, "SCANNER", Deliver()))
        sent = time.monotonic()
        assert all(outcome.delivered for outcome in outcomes)
        wait_until(
            lambda: len(pacs.instances()) == before + study.instances + results,
            "all are back",
            seconds=300,
        )
        return sent - began, time.monotonic() - sent


def resident_mb(pid: int, peak: bool) -> float:
    """Resident memory of a process (MB), now or at its highest."""
    word = "VmHWM" if peak else "VmRSS"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(word):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} has no {word}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--phases", type=int, default=25)
    parser.add_argument("--network", default="none", help="its name; none by default")
    arguments = parser.parse_args()
    results = 0 if arguments.network == "none" else RESULTS
    inference = {"network": arguments.network}
    with orthanc() as pacs, tempfile.TemporaryDirectory() as name:
        peer = Peer(
            name="pacs",
            ae_title=pacs.ae_title,
            host=LOOPBACK,
            port=pacs.port,
            receives=("derived",),
        )
        began = time.monotonic()
        settings = node_settings(Path(name), peer, inference=inference)
        with running_node(Path(name), settings) as node:
            print(f"door open {time.monotonic() - began:.1f} s after the start")
            rounds = [
                once(node, pacs, plan(seed, arguments.slices, arguments.phases), results)
                for seed in range(arguments.rounds)
            ]
            for title, seconds in zip(
                ("sent in", "last answer to last instance at Orthanc"),
                zip(*rounds, strict=True),
                strict=True,
            ):
                print(
                    f"{title}: median {statistics.median(seconds):.2f} s "
                    f"({min(seconds):.2f} to {max(seconds):.2f})"
                )
            print("role             now MB  peak MB")
            for role, pids in {"supervisor": [node.process.pid], **node.processes()}.items():
                for pid in sorted(pids):
                    print(
                        f"{role:<16} {resident_mb(pid, False):6.0f}  {resident_mb(pid, True):7.0f}"
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
