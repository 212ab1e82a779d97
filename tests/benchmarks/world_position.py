"""World position error of derived images: all real and simulated planes, all eight operations.

    python -m tests.benchmarks.world_position [FOLDER ...]

Each instance below the folders (default: ``shared/data`` beside the checkout), and of a simulated
study as single frames and as Enhanced multi-frame, is derived with each operation, encoded, read
back and proved as the node does before it sends.  What cannot be turned is counted with its reason.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import FileDataset

from cmr_node.dicom.reading import read
from cmr_node.errors import NodeError
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.proof import prove
from cmr_node.outputs.reoriented import reorient_instance
from cmr_node.outputs.turned import encode
from cmr_node.outputs.uids import Producer
from cmr_node.phantom.study import Plan, simulate_study

DATA = Path(__file__).parents[2].parent / "shared" / "data"
PRODUCER = Producer("1", "BENCH")


def real(folders: list[Path], every: int) -> Iterator[FileDataset]:
    """The readable DICOM images below the folders, every n-th."""
    paths = sorted(
        Path(folder, name) for top in folders for folder, _, names in os.walk(top) for name in names
    )
    for path in [path for path in paths if path.suffix == ".dcm"][::every]:
        yield read(path)


def simulated() -> Iterator[FileDataset]:
    """Single frames and multi-frame, oblique, not square."""
    for multi_frame in (False, True):
        yield from simulate_study(Plan(seed=11, slices=3, phases=2, multi_frame=multi_frame))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, default=[DATA])
    parser.add_argument("--every", type=int, default=1, help="take every n-th real instance")
    arguments = parser.parse_args()
    for title, images in (
        ("real", real(arguments.folders, arguments.every)),
        ("simulated", simulated()),
    ):
        worst, proofs, refused = 0.0, 0, Counter[str]()
        for ds in images:
            for operation in Orientation:
                try:
                    derived = encode(reorient_instance(ds, operation, PRODUCER))
                    worst = max(worst, prove(derived, ds))
                except NodeError as error:
                    refused[type(error).__name__] += 1
                else:
                    proofs += 1
        print(f"{title}: {proofs} proofs, worst {worst:.2e} mm, refused {dict(refused) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
