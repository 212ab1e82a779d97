"""A recipe: everything that decides a training, as one TOML file.

The promise kept here: a name that is not known is refused, and the whole recipe goes into every
checkpoint, so that weights can say how they were made.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Network(_Strict):
    """What is trained."""

    kind: Literal["multitask", "simplified"]
    width: int = 16  #: channels of the first level
    levels: int = 5


class Stage(_Strict):
    """So many steps of one way of training.

    train
        Which part learns; the rest is frozen, its normalisation too.
    masks
        The loss of the segmentation; "dice of each" also gives each picture its own Dice.
    real
        Share of each batch that comes from real patients; the rest is simulated.
    sequences
        Of the simulated pictures; empty for all.
    balanced
        Whether every kind of picture is shown equally often, among real and simulated ones alike;
        if not, simulated ones come as they are, and of the real ones short axes alone.
    shading
        How far pictures fade from one side to the other, as under a coil: standard deviation of
        the logarithm at their edges.
    """

    name: str
    steps: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    train: Literal["all", "segmentation", "branch", "kinds", "last"] = "all"
    masks: Literal["dice", "dice of each", "bce", "none"] = "dice"
    real: float = Field(default=0.0, ge=0, le=1)
    sequences: tuple[str, ...] = ()
    balanced: bool = False
    shading: float = Field(default=0.0, ge=0)
    weight_decay: float = 0.01


class Recipe(_Strict):
    """One training."""

    name: str
    network: Network
    batch: int = 16
    seed: int = 1
    average: float = Field(default=0.998, ge=0, lt=1)  #: of the weights that are kept, per step
    stages: tuple[Stage, ...] = Field(min_length=1)


def read_recipe(path: Path) -> Recipe:
    """Raises ``pydantic.ValidationError`` naming what is not allowed, ``OSError``."""
    with path.open("rb") as file:
        return Recipe.model_validate(tomllib.load(file))
