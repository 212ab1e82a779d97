"""The training loop: one for both networks, on CPU and GPU, on simulated and real pictures.

The promise kept here: the recipe, the seed and the examples decide the weights on one machine;
a training that was cut off goes on from its last checkpoint as if nothing had been (the random
numbers of a step follow from seed and step alone); and what is kept are the averaged weights
(EMA), with the whole recipe beside them.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import nn

from cmr_node.inference.picture_kind import PictureKind
from models.augment import Batch, Spread, draw_batch
from models.examples import Examples
from models.networks import build, learning, loss_of
from models.orientation import MultiTask
from models.pool import KINDS, SEQUENCES
from models.predictions import draw_predictions
from models.recipe import Recipe, Stage

REAL = Spread(spacing=(1.15, 2.4), turn_deg=8.0, shift=16.0)
SIMULATED = Spread(spacing=None, turn_deg=20.0, shift=10.0)
CHECKPOINT_S = 120.0
WARM_UP = 0.05  #: share of a stage's steps in which the learning rate rises
CURVE_STEPS = 25  #: between the lines of curves.csv


@dataclass(slots=True)
class Training:
    """One training, from its recipe to ``network.pt``, ``curves.csv`` and ``predictions.png``.

    start
        A checkpoint whose averaged weights are taken to begin with; None for fresh ones.
    compiled
        Whether torch compiles the network first: worth it on a GPU.
    """

    recipe: Recipe
    out: Path
    simulated: Examples | None = None
    real: Examples | None = None
    start: Path | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    compiled: bool = False

    def run(self, resume: bool = False) -> Path:
        """Train, or go on; gives the checkpoint.

        Raises
        ------
        ValueError
            A stage asks for examples that were not given.
        """
        self._must_have_examples()
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / "network.pt"
        torch.manual_seed(self.recipe.seed)
        network = build(self.recipe.network).to(self.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        averaged = build(self.recipe.network).to(self.device)
        if self.start is not None:
            held = torch.load(self.start, map_location=self.device, weights_only=True)
            network.load_state_dict(held["averaged"])
        averaged.load_state_dict(network.state_dict())
        done, optimiser = 0, None
        if resume and path.exists():
            held = torch.load(path, map_location=self.device, weights_only=True)
            network.load_state_dict(held["network"])
            averaged.load_state_dict(held["averaged"])
            done, optimiser = held["step"], held["optimiser"]
        self._steps(network, averaged, done, optimiser, path)
        return path

    def _steps(
        self,
        network: nn.Module,
        averaged: nn.Module,
        done: int,
        held: dict[str, Any] | None,
        path: Path,
    ) -> None:
        runs = torch.compile(network) if self.compiled else network
        assert isinstance(runs, nn.Module)
        first, saved = 0, time.monotonic()
        with (
            _progress(self.recipe) as progress,
            (self.out / "curves.csv").open("a" if done else "w", newline="") as file,
        ):
            curves = csv.writer(file)
            task = progress.add_task("", total=_total(self.recipe), completed=done, loss="")
            for stage in self.recipe.stages:
                last = first + stage.steps
                if last <= done:
                    first = last
                    continue
                optimiser = _optimiser(network, stage)
                if held is not None and first < done:
                    optimiser.load_state_dict(held)
                for step in range(max(first, done), last):
                    rate = _learning_rate(stage, step - first)
                    for group in optimiser.param_groups:
                        group["lr"] = rate
                    batch = self._batch(stage, step)
                    parts = self._step(runs, network, optimiser, stage, step, batch)
                    _average(averaged, network, min(self.recipe.average, (1 + step) / (10 + step)))
                    progress.update(
                        task, advance=1, description=stage.name, loss=f"{sum(parts.values()):.3f}"
                    )
                    if step % CURVE_STEPS == 0:
                        curves.writerow([step, stage.name, f"{rate:.2e}", *_told(parts)])
                        file.flush()
                    if time.monotonic() - saved > CHECKPOINT_S or step + 1 == last:
                        self._save(path, network, averaged, optimiser, step + 1)
                        if isinstance(averaged, MultiTask):
                            draw_predictions(self.out / "predictions.png", averaged, batch)
                        saved = time.monotonic()
                first = last

    def _step(
        self,
        runs: nn.Module,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        stage: Stage,
        step: int,
        batch: Batch,
    ) -> dict[str, float]:
        network.eval()
        for module in learning(network, stage):
            module.train()
        torch.manual_seed(self.recipe.seed * 1_000_003 + step)
        with torch.autocast(self.device.type, torch.bfloat16):
            parts = loss_of(runs, batch, stage)
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise ValueError(f"the loss is {loss.item()} at step {step} of {self.recipe.name}")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        return {name: float(part.detach()) for name, part in parts.items()}

    def _batch(self, stage: Stage, step: int) -> Batch:
        rng = np.random.default_rng([self.recipe.seed, step])
        real = round(self.recipe.batch * stage.real)
        parts = []
        if real:
            assert self.real is not None
            places = _chosen(self.real, _real(self.real, stage), real, stage, rng)
            spread = replace(REAL, shading=stage.shading)
            parts.append(draw_batch(self.real, places, spread, rng, self.device))
        if real < self.recipe.batch:
            assert self.simulated is not None
            wanted = self.recipe.batch - real
            places = _chosen(self.simulated, self._pool(stage), wanted, stage, rng)
            spread = replace(SIMULATED, shading=stage.shading)
            parts.append(draw_batch(self.simulated, places, spread, rng, self.device))
        return _joined(parts)

    def _pool(self, stage: Stage) -> npt.NDArray[np.int64]:
        assert self.simulated is not None
        if not stage.sequences:
            return np.arange(len(self.simulated))
        wanted = [SEQUENCES.index(one) for one in SEQUENCES if str(one) in stage.sequences]
        return np.flatnonzero(np.isin(self.simulated.sequence, wanted))

    def _must_have_examples(self) -> None:
        for stage in self.recipe.stages:
            if stage.real > 0 and self.real is None:
                raise ValueError(f"stage {stage.name} of {self.recipe.name} needs real patients")
            if stage.real < 1 and self.simulated is None:
                raise ValueError(f"stage {stage.name} of {self.recipe.name} needs a pool")
            if stage.real < 1 and not len(self._pool(stage)):
                raise ValueError(
                    f"stage {stage.name} of {self.recipe.name}: the pool holds no picture of its "
                    f"sequences ({', '.join(stage.sequences)})"
                )

    def _save(
        self,
        path: Path,
        network: nn.Module,
        averaged: nn.Module,
        optimiser: torch.optim.Optimizer,
        step: int,
    ) -> None:
        part = path.with_suffix(".part")
        torch.save(
            {
                "recipe": self.recipe.model_dump(mode="json"),
                "step": step,
                "network": network.state_dict(),
                "averaged": averaged.state_dict(),
                "optimiser": optimiser.state_dict(),
            },
            part,
        )
        part.replace(path)


def _real(examples: Examples, stage: Stage) -> npt.NDArray[np.int64]:
    if stage.balanced:
        return np.arange(len(examples))
    return np.flatnonzero(examples.kind == KINDS.index(PictureKind.SHORT_AXIS))


def _chosen(
    examples: Examples,
    places: npt.NDArray[np.int64],
    count: int,
    stage: Stage,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """``count`` of the places, each kind of picture equally often if the stage wants that."""
    if not stage.balanced:
        return rng.choice(places, count)
    _, kind, pictures = np.unique(examples.kind[places], return_inverse=True, return_counts=True)
    share = 1 / pictures[kind]
    return rng.choice(places, count, p=share / share.sum())


def _optimiser(network: nn.Module, stage: Stage) -> torch.optim.Optimizer:
    learns = {p for module in learning(network, stage) for p in module.parameters()}
    for parameter in network.parameters():
        parameter.requires_grad_(parameter in learns)
    return torch.optim.AdamW(
        list(filter(lambda p: p.requires_grad, network.parameters())),
        lr=stage.learning_rate,
        weight_decay=stage.weight_decay,
    )


def _learning_rate(stage: Stage, step: int) -> float:
    """Rises in a line, falls as a cosine."""
    warm = max(1, round(WARM_UP * stage.steps))
    if step < warm:
        return stage.learning_rate * (step + 1) / warm
    share = (step - warm) / max(1, stage.steps - warm)
    return stage.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, keep: float) -> None:
    for kept, fresh in zip(
        averaged.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if kept.is_floating_point():
            kept.lerp_(fresh, 1 - keep)
        else:
            kept.copy_(fresh)


def _joined(parts: Sequence[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return Batch(
        **{
            name: torch.cat([getattr(part, name) for part in parts])
            for name in Batch.__dataclass_fields__
        }
    )


def _told(parts: dict[str, float]) -> list[str]:
    names = ("masks", "orientation", "mirrored", "directions", "kind")
    return [f"{parts[name]:.4f}" if name in parts else "" for name in names]


def _total(recipe: Recipe) -> int:
    return sum(stage.steps for stage in recipe.stages)


def _progress(recipe: Recipe) -> Progress:
    return Progress(
        TextColumn(f"{recipe.name} [progress.description]{{task.description}}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        refresh_per_second=2,
    )
