"""What one huge object costs the receiver: memory beyond what it had, and time.

    python -m tests.benchmarks.large_object --gigabytes 2

The object is a multi-frame image of random words, sent in one association to ``receive``.
"""

from __future__ import annotations

import argparse
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cmr_node.commands.printed_settings import settings_as_toml
from tests.benchmarks.end_to_end import resident_mb
from tests.peers import listens, wait_until
from tests.raw_scu import RawScu, p_data, pdv, store_rq
from tests.samples import data_set_bytes, mr
from tests.system.node import COMMAND, node_settings

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
FRAME_BYTES = 256 * 256 * 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    frames = round(parser.parse_args().gigabytes * 1e9 / FRAME_BYTES)
    ds = mr(rows=256, columns=256, NumberOfFrames=frames, PixelData=b"")
    ds["PixelData"].VR = "OW"
    start = data_set_bytes(ds)[:-4] + struct.pack("<L", frames * FRAME_BYTES)
    item = p_data(pdv(1, 0, random.Random(1).randbytes(FRAME_BYTES // 2)))
    with tempfile.TemporaryDirectory() as name:
        settings = node_settings(Path(name))
        config = Path(name, "cmr-node.toml")
        config.write_text(settings_as_toml(settings))
        node = subprocess.Popen([*COMMAND, "--config", str(config), "receive"])
        try:
            wait_until(lambda: listens(settings.receive.port), "the door opens")
            before = resident_mb(node.pid, peak=True)
            began = time.monotonic()
            with RawScu(settings.receive.port, 600) as scu:
                scu.associate([(MR, [EXPLICIT])])
                scu.send(p_data(pdv(1, 3, store_rq(MR, str(ds.SOPInstanceUID)))))
                scu.send(p_data(pdv(1, 0, start)))
                for _ in range(2 * frames):
                    scu.send(item)
                scu.send(p_data(pdv(1, 2, b"")))
                status = scu.status()[0]
            seconds = time.monotonic() - began
            grown = resident_mb(node.pid, peak=True) - before
        finally:
            node.terminate()
            node.wait(60)
    size = frames * FRAME_BYTES / 1e9
    print(
        f"{size:.2f} GB answered 0x{status:04X} in {seconds:.1f} s ({1000 * size / seconds:.0f} "
        f"MB/s); peak memory grew by {grown:.0f} MB"
    )
    return 0 if status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
