"""Studies handed to a node, and whether all of what came of them has arrived."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.peers import ENVIRONMENT, LOOPBACK, dcmtk
from tests.system.node import Node


def storescu(port: int, *paths: Path, called: str = "CMRNODE") -> None:
    done = subprocess.run(
        [
            dcmtk("storescu"),
            "-v",
            "-aec",
            called,
            "+sd",
            "+r",
            LOOPBACK,
            str(port),
            *map(str, paths),
        ],
        env=ENVIRONMENT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def finished(node: Node, study_uid: str) -> bool:
    study = node.studies().get(study_uid)
    return bool(
        study
        and study["state"] == "done"
        and all(delivery["state"] == "delivered" for delivery in study["deliveries"])
    )
