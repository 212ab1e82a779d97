"""Real patients through the node into Orthanc: numbers beside the reader's contours, pages as PNG.

    python -m tests.benchmarks.real_study OUT

Needs the real data, DCMTK and Orthanc.  The shipped network was trained on these patients too:
this shows the way from pixels to numbers, ``models.evaluate`` how well the network does.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from PIL import Image
from pydicom.uid import UID

from tests.system.real_study import PATIENTS, beside, dices, through_the_node


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    for patient in PATIENTS:
        folder = out / patient
        folder.mkdir(parents=True)
        began = time.monotonic()
        arrived = through_the_node(patient, folder)
        print(f"{patient}: {len(arrived.received)} images, {time.monotonic() - began:.0f} s in all")
        sizes: Counter[str] = Counter()
        for ds in arrived.objects:
            sizes[UID(ds.SOPClassUID).name] += len(ds.get("PixelData", b""))
        for name, count in Counter(UID(ds.SOPClassUID).name for ds in arrived.objects).items():
            print(f"  {count} {name}, {sizes[name]} bytes of pixels")
        for words, dice in dices(patient, arrived).items():
            print(f"  cavity at {words}: Dice {dice:.3f}")
        print(f"  {'':26} {'report':>8} {'same slices':>12} {'reader':>8}")
        for one in beside(patient, arrived):
            name = f"{one.quantity.words}, {one.quantity.unit}"
            print(f"  {name:26} {one.reported:8.1f} {one.same_slices:12.1f} {one.drawn:8.1f}")
        Image.fromarray(arrived.page.pixel_array).save(out / f"{patient}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
