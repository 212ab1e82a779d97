"""Train a network by a recipe.

    python -m models.train RECIPE OUT [--pool POOL] [--data DATA] [--start NETWORK]

``RECIPE`` is a file of ``models/recipes`` or the name of one.  Real patients come from ``DATA``
(the folder that holds ``sunnybrook-slices``, ``sunnybrook-cine`` and ``pig-cine``); ``--fold K``
leaves out the K-th fifth of them, ``--patients N`` takes N of the rest.  ``--steps 0.05`` is the
same training with a twentieth of the steps.  A training that was cut off goes on with ``--resume``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from models.examples import Examples, folds, simulated, sunnybrook, sunnybrook_index
from models.loop import Training
from models.other_views import PIG, other_views
from models.pool import Pool
from models.recipe import Recipe, read_recipe

RECIPES = Path(__file__).parent / "recipes"
FOLDS = 5
SLICES = "sunnybrook-slices"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when trained, 2 when something it was given is missing or not allowed."""
    given = _parser().parse_args(arguments)
    try:
        path = Path(given.recipe)
        recipe = read_recipe(path if path.suffix else RECIPES / f"{path}.toml")
        training = Training(
            recipe=shortened(recipe, given.steps),
            out=given.out,
            simulated=simulated(Pool.load(given.pool)) if given.pool else None,
            real=patients_of(given.data, given.fold, given.patients) if given.data else None,
            start=given.start,
            device=torch.device(given.device),
            compiled=given.device != "cpu",
        )
        print(training.run(given.resume))
    except (OSError, ValueError, RuntimeError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return 0


def shortened(recipe: Recipe, share: float) -> Recipe:
    """The same recipe with this share of its steps, at least one a stage."""
    stages = [
        stage.model_copy(update={"steps": max(1, round(stage.steps * share))})
        for stage in recipe.stages
    ]
    return recipe.model_copy(update={"stages": tuple(stages)})


def patients_of(data: Path, fold: int | None = None, count: int | None = None) -> Examples:
    """The real patients without one fold; of the rest the first ``count``, dealt evenly."""
    examples = sunnybrook(data / SLICES).beside(other_views(data))
    kept = [group for number, group in enumerate(dealt(data)) if number != fold]
    if count is None:
        return examples.of(name for group in kept for name in group)
    in_turn = [name for names in zip(*kept, strict=False) for name in names]
    return examples.of(in_turn[:count])


def dealt(data: Path) -> list[list[str]]:
    """Whose pictures each fold leaves out; the pig goes with the first."""
    first, *others = folds((one.patient for one in sunnybrook_index(data / SLICES)), FOLDS)
    return [[*first, PIG], *others]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe")
    parser.add_argument("out", type=Path)
    parser.add_argument("--pool", type=Path, help="simulated slices (models.pool)")
    parser.add_argument("--data", type=Path, help="folder that holds sunnybrook-slices and others")
    parser.add_argument("--start", type=Path, help="checkpoint to begin with")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="left out")
    parser.add_argument("--patients", type=int, help="how many are taken")
    parser.add_argument("--steps", type=float, default=1.0, help="share of the recipe's steps")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--resume", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
