"""How true volumes, function and mass are with true outlines, and how fast.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.measures [--patients N] [--step MM]

One simulated patient a line, of each disease in turn, slices without gap at a random place:
measured against integrated; ``*`` marks what is off by more than 3 % or 3 ml, 2 points, 3 % of the
mass.  Then how often that is, by quantity, the same with the 50 % basal rule, and seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict

import numpy as np

from cmr_node.measures.masks import Masks
from cmr_node.measures.measure import measure
from cmr_node.measures.quantities import Quantity
from cmr_node.measures.volumes import BasalRule
from tests.measures.hearts import allowed, group_of, simulated, simulated_truth


def truth(patients: int, step: float) -> None:
    misses: dict[BasalRule, dict[Quantity, list[float]]] = {
        rule: defaultdict(list) for rule in BasalRule
    }
    off: dict[Quantity, list[float]] = defaultdict(list)
    for seed in range(patients):
        masks, positions = simulated(seed, step)
        told = []
        for rule in BasalRule:
            found = measure(masks, positions, (1.5, 1.5), basal_rule=rule)
            for name, true in simulated_truth(seed).items():
                value = found.values.get(name, np.nan)
                miss = not abs(value - true) <= allowed(name, true)
                misses[rule][name].append(miss)
                if rule is BasalRule.AS_DRAWN:
                    told.append(f"{name} {value:.1f} / {true:.1f}{' *' if miss else ''}")
                    off[name].append(value - true)
        print(f"patient {seed}, {group_of(seed)}: {', '.join(told)}")
    for name, differences in off.items():
        print(
            f"{name}: off by {np.mean(differences):+.1f} {name.unit} on average, "
            f"{np.max(np.abs(differences)):.1f} at most; beyond the limits in "
            f"{np.sum(misses[BasalRule.AS_DRAWN][name])} of {patients} "
            f"({np.sum(misses[BasalRule.HALF][name])} with the 50 % basal rule)"
        )


def speed() -> None:
    masks, positions = simulated(0)
    phases = np.arange(25) % 4
    labels = np.zeros((len(positions), 25, 208, 256), np.uint8)
    labels[:, :, 40:150, 60:170] = masks.labels[:, phases]
    drawn = Masks(labels, masks.present[:, phases], masks.confidence[:, phases])
    started = time.process_time()
    measure(drawn, positions, (1.4, 1.4))
    print(f"{len(positions)} slices of 25 phases: {time.process_time() - started:.2f} s CPU")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--step", type=float, default=8.0)
    arguments = parser.parse_args()
    truth(arguments.patients, arguments.step)
    speed()
    return 0


if __name__ == "__main__":
    sys.exit(main())
