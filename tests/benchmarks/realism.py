"""Simulated beside real images: look what gives the simulation away.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.realism OUT [--data FOLDER] [--patients N]

Draws into the folder OUT cine.png (short axis at base, mid and apex, simulated left, Sunnybrook
right), lge.png (magnitude and PSIR beside the PSIR of an animal) and t1.png (native maps beside
maps after contrast medium), each with its histograms, and prints how much brighter blood is than
muscle, how uneven each is and how grainy.  OUT then holds real images: it is for looking, not for
publishing.

Exit status: 0 drawn, 2 the real images are not there.
"""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from operator import attrgetter
from pathlib import Path

import numpy as np

from cmr_node.phantom.body.groups import Group
from cmr_node.phantom.scanner.render import Cine, LateEnhancement, T1Map
from cmr_node.phantom.scanner.scan import Contrast
from tests.benchmarks import squares
from tests.benchmarks.side_by_side import Histogram, Side, draw
from tests.benchmarks.squares import Square

DATA = Path(__file__).parents[2].parent / "shared" / "data"
NEEDED = (
    "sunnybrook-slices/index.csv",
    "lge-t1/lge-psir",
    "lge-t1/t1map-molli",
    "lge-t1/t1map-wideband",
)
SHOWN = 6  #: patients a montage has room for
ANIMAL_HEART_MM = (0.0, 0.0)  #: down and right of the middle of its pictures, read by eye
LONGEST_MS = 2000.0  #: of the histograms of maps


def cine(data: Path, out: Path, patients: int) -> None:
    groups = (Group.INFARCT, Group.DILATED, Group.HYPERTROPHIC, Group.NORMAL)
    ours = [
        squares.simulated(seed, Cine(), Contrast.CINE, groups[seed % 4]) for seed in range(patients)
    ]
    whole = list(squares.sunnybrook(data))
    theirs = [squares.at_levels(one) for one in whole]
    every = max(1, len(theirs) // SHOWN)
    draw(
        out / "cine.png",
        "Cine at end-diastole: base, mid, apex",
        Side("simulated", ours[:SHOWN], _by_mask(ours)),
        Side("Sunnybrook", theirs[::every][:SHOWN], _by_mask(theirs)),
    )
    for name, group in (("simulated", ours), ("Sunnybrook", theirs)):
        flat = list(chain.from_iterable(group))
        found = squares.ratios(flat)
        low, middle, high = np.percentile(found, (25, 50, 75))
        by_patient = [np.median(squares.ratios(one)) for one in group if len(squares.ratios(one))]
        print(
            f"cine, {name}: blood / muscle {middle:.2f} ({low:.2f} to {high:.2f}), "
            f"{len(found)} slices of {len(group)} patients; sd between patients "
            f"{np.std(by_patient):.2f}"
        )
        for tissue in ("blood", "muscle"):
            mask = attrgetter(tissue)
            print(
                f"cine, {name}, {tissue}: unevenness (IQR / median) "
                f"{squares.unevenness(flat, mask):.2f}, grain {squares.grain(flat, mask):.3f}"
            )


def late_enhancement(data: Path, out: Path, patients: int) -> None:
    protocol = LateEnhancement(tesla=3.0)
    ours = [
        [
            squares.simulated(seed, protocol, contrast, Group.INFARCT, (0.5,))[0]
            for contrast in (Contrast.LATE_ENHANCEMENT, Contrast.PHASE_SENSITIVE)
        ]
        for seed in range(patients)
    ]
    animal = squares.unmarked(data / "lge-t1" / "lge-psir", ANIMAL_HEART_MM, 1)
    draw(
        out / "lge.png",
        "Late enhancement at 3 T",
        Side(
            "simulated: magnitude, PSIR",
            ours[:SHOWN],
            [
                *_by_mask([[pair[1]] for pair in ours], "PSIR: "),
                _whole("PSIR: whole square", [pair[1] for pair in ours]),
            ],
        ),
        Side(
            "real PSIR of one animal, no masks",
            _in_rows(animal, 2),
            [_whole("PSIR: whole square", animal)],
        ),
    )


def t1_maps(data: Path, out: Path, patients: int) -> None:
    ours = [
        squares.simulated(seed, T1Map(tesla=3.0), Contrast.T1_MAP, Group.NORMAL, (0.35, 0.65))
        for seed in range(patients)
    ]
    maps = {
        name: squares.unmarked(data / "lge-t1" / f"t1map-{name}", ANIMAL_HEART_MM, 1)
        for name in ("molli", "wideband")
    }
    draw(
        out / "t1.png",
        "T1 maps at 3 T; maps after contrast medium are not simulated",
        Side("simulated: native", ours[:SHOWN], [_in_ms("native", list(chain(*ours)))]),
        Side(
            "real animal, after contrast: MOLLI, wideband",
            [list(pair) for pair in zip(maps["molli"], maps["wideband"][::2], strict=False)][
                :SHOWN
            ],
            [_in_ms(name, found) for name, found in maps.items()],
        ),
        limit=LONGEST_MS,
    )
    for name, found in {"simulated, native": list(chain(*ours)), **maps}.items():
        values = np.concatenate([one.pixels.ravel() for one in found])
        low, middle, high = np.percentile(values, (25, 50, 75))
        print(f"T1 map, {name}: {middle:.0f} ms ({low:.0f} to {high:.0f}) in the whole square")


def _by_mask(patients: list[list[Square]], prefix: str = "") -> list[Histogram]:
    flat = [one for one in chain.from_iterable(patients) if one.measurable]
    return [
        Histogram(
            f"{prefix}{tissue}",
            np.concatenate([one.grey[getattr(one, tissue)] for one in flat]),
        )
        for tissue in ("blood", "muscle")
    ]


def _whole(name: str, flat: list[Square]) -> Histogram:
    return Histogram(name, np.concatenate([one.grey.ravel() for one in flat]))


def _in_ms(name: str, flat: list[Square]) -> Histogram:
    values = np.concatenate([one.pixels.ravel() for one in flat])
    return Histogram(name, values / LONGEST_MS)


def _in_rows(flat: list[Square], width: int) -> list[list[Square]]:
    picked = flat[:: max(1, len(flat) // (SHOWN * width))]
    return [picked[at : at + width] for at in range(0, SHOWN * width, width)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real images")
    parser.add_argument("--patients", type=int, default=12, help="simulated, of each sequence")
    arguments = parser.parse_args()
    missing = [name for name in NEEDED if not (arguments.data / name).exists()]
    if missing:
        print(f"real images not found in {arguments.data}: {', '.join(missing)}", file=sys.stderr)
        return 2
    arguments.out.mkdir(parents=True, exist_ok=True)
    for part in (cine, late_enhancement, t1_maps):
        part(arguments.data, arguments.out, arguments.patients)
    return 0


if __name__ == "__main__":
    sys.exit(main())
