"""All trainings behind the published figures, in order; what is done already is not done again.

    python -m models.study RUNS --data DATA [--device cuda]

RUNS comes to hold one folder a training, with ``network.pt`` and ``curves.csv``.  On two cores it
takes about four hours; cut off, it goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models import train
from models.pool import make_pool

POOL, HELD_POOL = "pool.npz", "pool-held.npz"
POOL_SLICES, HELD_SLICES = 6000, 500
FEW = (1, 5, 10)  #: patients; all 24 of a fold are in its cross-validation


@dataclass(frozen=True, slots=True)
class Run:
    """One training: the arguments of ``models.train`` but for where things lie."""

    name: str
    recipe: str
    start: str = ""  #: the run it begins with
    fold: int | None = None
    patients: int | None = None
    real: bool = True
    simulated: bool = True
    steps: float = 1.0

    def arguments(self, runs: Path, data: Path, device: str) -> list[str]:
        """For ``models.train``, which goes on if it was cut off."""
        given = [self.recipe, str(runs / self.name), "--device", device, "--resume"]
        given += ["--steps", str(self.steps)]
        if self.simulated:
            given += ["--pool", str(runs / POOL)]
        if self.real:
            given += ["--data", str(data)]
        if self.start:
            given += ["--start", str(runs / self.start / "network.pt")]
        if self.fold is not None:
            given += ["--fold", str(self.fold)]
        if self.patients is not None:
            given += ["--patients", str(self.patients)]
        return given


SIMULATED = Run("sim", "multitask-simulated", real=False)
FOLDS = tuple(
    run
    for fold in range(train.FOLDS)
    for run in (
        Run(f"cine-{fold}", "multitask-cine", start="sim", fold=fold),
        Run(f"multitask-{fold}", "multitask-kinds", start=f"cine-{fold}", fold=fold),
        Run(f"simple-{fold}", "simplified-cine", fold=fold),
    )
)
CINE = Run("cine", "multitask-cine", start="sim")
SHIPPED = Run("multitask", "multitask-kinds", start="cine")
TRANSFER = Run("transfer", "simplified-transfer", start="simple-0", real=False)
PAPER = Run("paper-0", "multitask-paper", fold=0, simulated=False)
WITHOUT = tuple(
    Run(f"scratch-{count}", "multitask-scratch", fold=0, patients=count, simulated=False)
    for count in (*FEW, 24)
)
WITH = tuple(
    Run(f"few-{count}", "multitask-cine", start="sim", fold=0, patients=count, steps=0.5)
    for count in FEW
)
ALL = (SIMULATED, *FOLDS, CINE, SHIPPED, TRANSFER, PAPER, *WITHOUT, *WITH)


def carry_out(runs: Path, data: Path, device: str = "cpu") -> int:
    """Make the pools and train whatever is missing; 0 if all went well."""
    runs.mkdir(parents=True, exist_ok=True)
    for name, seed, slices, renderings in (
        (POOL, 1, POOL_SLICES, 4),
        (HELD_POOL, 2, HELD_SLICES, 2),
    ):
        if not (runs / name).exists():
            make_pool(seed, slices, renderings).save(runs / name)
    for run in ALL:
        done = runs / run.name / "done"
        if done.exists():
            continue
        if status := train.main(run.arguments(runs, data, device)):
            return status
        done.touch()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m models.study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(arguments)
    return carry_out(given.runs, given.data, given.device)


if __name__ == "__main__":
    sys.exit(main())
