"""The figures of README and cards, from the trainings of ``models.study``.

    python -m models.evaluate RUNS --data DATA [--only PART ...]

Trains what is missing (``models.study``), then prints the tables and writes them to RUNS as
``figures.json`` and as pictures.  Parts: orientation, segmentation, simulated, kinds,
volumes, foreign, few, speed, int8.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from cmr_node.inference.network_outputs import Forward
from cmr_node.inference.predict import Network
from models import study
from models.card import draft
from models.evaluation import (
    agreement,
    eight_bits,
    foreign,
    kinds,
    pictures,
    simulated,
    speed,
    tables,
    volumes,
)
from models.evaluation.held_out import Outlined, Patient, Seen, outline, read_patients, see
from models.networks import as_forward, load
from models.other_views import other_views
from models.pool import Pool
from models.train import SLICES, dealt

FRAME_MM = 85.0  #: radius round the middle of the picture that a frame leaves
HELD_PICTURES = 2000  #: of the held-out pool
HEARTS = 12  #: simulated, three of each disease
Figures = dict[str, Any]


class Evaluation:
    """Figures of one folder of trainings."""

    def __init__(self, runs: Path, data: Path) -> None:
        self.runs = runs
        self.data = data
        self.folder = data / SLICES
        self.folds = dealt(data)
        self._seen: list[Seen] | None = None

    def forward(self, run: str) -> Forward:
        """The network of a training."""
        return as_forward(load(self.runs / run / "network.pt")[0])

    def run_without(self, name: str) -> str:
        """The training that was not shown a patient; that of the shipped network for a stranger."""
        without = [f"multitask-{fold}" for fold, names in enumerate(self.folds) if name in names]
        return without[0] if without else study.SHIPPED.name

    def each_fold(self, kind: str) -> Iterator[tuple[Forward, Patient]]:
        """Every patient with the network trained without it."""
        for number, names in enumerate(self.folds):
            forward = self.forward(f"{kind}-{number}")
            for patient in read_patients(self.folder, names):
                yield forward, patient

    def seen(self) -> list[Seen]:
        """What the multi-task networks make of the held-out patients."""
        if self._seen is None:
            self._seen = [see(f, p, draft().locate_mm) for f, p in self.each_fold("multitask")]
        return self._seen

    def orientation(self) -> Figures:
        """Real cine, cross-validated, beside the simplified network of the paper."""
        locate = draft().locate_mm
        ours = self.seen()
        framed = [see(f, p, locate, FRAME_MM) for f, p in self.each_fold("multitask")]
        sim = self.forward("sim")
        never = [see(sim, one.patient, locate) for one in ours]
        simple = [see(f, p, locate) for f, p in self.each_fold("simple")]
        simple_framed = [see(f, p, locate, FRAME_MM) for f, p in self.each_fold("simple")]
        temperature, fitted = tables.temperature_of(ours)
        thresholds = draft(temperature).thresholds
        pictures.reliability(self.runs / "reliability.png", tables.calibration_row(ours)["bins"])
        return {
            "simplified, alone": tables.orientation_row(simple, alone=True),
            "simplified, averaged": tables.orientation_row(simple, alone=False),
            "simplified, alone, framed": tables.orientation_row(simple_framed, alone=True),
            "multi-task, alone": tables.orientation_row(ours, alone=True),
            "multi-task, averaged": tables.orientation_row(ours, alone=False),
            "multi-task, averaged, framed": tables.orientation_row(framed, alone=False),
            "simulation alone, averaged": tables.orientation_row(never, alone=False),
            "directions": tables.handedness_row(ours),
            "calibration": tables.calibration_row(ours),
            "temperature": {"value": temperature, "fitted": fitted},
            "abstention": tables.abstention_row(ours, thresholds),
            "abstention, framed": tables.abstention_row(framed, thresholds),
        }

    def segmentation(self) -> Figures:
        """Real cine, cross-validated, and simulation alone."""
        card = draft().as_card()
        outlined = [row for f, p in self.each_fold("multitask") for row in outline(f, card, p)]
        sim = self.forward("sim")
        never = [row for one in self.seen() for row in outline(sim, card, one.patient)]
        pictures.outlines(self.runs / "outlines.png", list(self.each_fold("multitask")), card)
        pairs = agreement.pairs(outlined)
        pictures.bland_altman(self.runs / "bland-altman.png", pairs)
        once = [
            row for f, p in self.each_fold("multitask") for row in outline(f, card, p, turns=False)
        ]
        return {
            **tables.outline_rows(outlined),
            "without turned copies": tables.outline_rows(once)["all"],
            "simulation alone": tables.outline_rows(never)["all"],
            "agreement": agreement.agreement_rows(pairs),
        }

    def simulated(self) -> Figures:
        """Every sequence, on simulated patients of another seed."""
        pool = Pool.load(self.runs / study.HELD_POOL)
        count = min(HELD_PICTURES, len(pool))
        outputs, alone = simulated.look(self.forward(study.SHIPPED.name), pool, count)
        told: Figures = {
            "multi-task": simulated.rows(outputs, alone, pool),
            "kinds": kinds.table(outputs.kind, pool.kind[:count]),
            "short axes known": kinds.known_by_size(outputs.kind, pool),
        }
        for name, run in (("simplified", "simple-0"), ("simplified, transferred", "transfer")):
            outputs, alone = simulated.look(self.forward(run), pool, count)
            told[name] = {
                sequence: {key: row[key] for key in ("slices", "class", "class, network alone")}
                for sequence, row in simulated.rows(outputs, alone, pool).items()
            }
        return told

    def kinds(self) -> Figures:
        """What is taken for a short axis, and for what else; real pictures, held out."""
        return kinds.real_table(
            self.seen(),
            other_views(self.data),
            lambda name: self.forward(self.run_without(name)),
            draft().locate_mm,
        )

    def volumes(self) -> Figures:
        """Simulated hearts measured by the network's outlines."""
        network = Network(self.forward(study.SHIPPED.name), draft().as_card())
        return volumes.rows(volumes.hearts(network, HEARTS))

    def foreign(self) -> Figures:
        """Animals, localizers, nothing; in all eight turns."""
        card = draft().as_card()
        return foreign.rows(
            lambda name: Network(self.forward(self.run_without(name)), card), self.data
        )

    def few(self) -> Figures:
        """Fewer patients, with and without simulation; the paper's three stages."""
        card = draft().as_card()
        runs = {f"{run.patients}, without simulation": run.name for run in study.WITHOUT}
        runs |= {f"{run.patients}, with simulation": run.name for run in study.WITH}
        runs |= {"0, simulation alone": "sim", "24, with simulation": "cine-0"}
        runs |= {"24, the paper's three stages": study.PAPER.name}
        told = {}
        for name, run in sorted(runs.items()):
            forward = self.forward(run)
            patients = read_patients(self.folder, self.folds[0])
            rows: list[Outlined] = [row for one in patients for row in outline(forward, card, one)]
            seen = [see(forward, one, card.preprocessing.locate_mm) for one in patients]
            told[name] = {
                "endo Dice": tables.outline_rows(rows)["all"]["endo Dice"],
                "epi Dice": tables.outline_rows(rows)["all"]["epi Dice"],
                "orientation, per slice": tables.orientation_row(seen, alone=False)["per slice"],
                "orientation, alone": tables.orientation_row(seen, alone=True)["per slice"],
            }
        pictures.few(self.runs / "few.png", told)
        return told

    def speed(self) -> Figures:
        """The shipped network on this machine."""
        return speed.rows()

    def int8(self) -> Figures:
        """The shipped network rounded to eight bits."""
        return eight_bits.rows(Pool.load(self.runs / study.HELD_POOL), torch.get_num_threads())


PARTS: dict[str, Callable[[Evaluation], Figures]] = {
    "orientation": Evaluation.orientation,
    "segmentation": Evaluation.segmentation,
    "simulated": Evaluation.simulated,
    "kinds": Evaluation.kinds,
    "volumes": Evaluation.volumes,
    "foreign": Evaluation.foreign,
    "few": Evaluation.few,
    "speed": Evaluation.speed,
    "int8": Evaluation.int8,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m models.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    given = parser.parse_args(arguments)
    if status := study.carry_out(given.runs, given.data):
        return status
    path = given.runs / "figures.json"
    figures: Figures = json.loads(path.read_text()) if path.exists() else {}
    evaluation = Evaluation(given.runs, given.data)
    for part in given.only:
        with torch.inference_mode():
            figures[part] = PARTS[part](evaluation)
        path.write_text(json.dumps(figures, indent=1, default=float) + "\n")
        Console(width=160).print(part, figures[part])
    return 0


if __name__ == "__main__":
    sys.exit(main())
