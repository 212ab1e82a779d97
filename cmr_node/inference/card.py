"""The card of a network: what it is, what it was made of, and when it counts as sure.

The promise kept here: no network without a card.  A weights folder holds ``card.toml`` and the
ONNX file it names; the card is checked before a byte of that file is read, and what is unknown
or missing in it is refused with the key and what is allowed.  Tables below ``[data]``,
``[training]`` and ``[metrics]`` are free: they are for people.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cmr_node.errors import BadWeights

CARD: Final = "card.toml"
MAX_CARD_BYTES: Final = 1 << 20
SHIPPED: Final = (
    Path(__file__).parents[1] / "weights",
    Path(__file__).parents[2] / "models/weights",
)
"""Where the weights are that come with the node: in the installed package, else in a checkout."""

Words = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A table of the card: nothing unknown in it, nothing changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FreePart(BaseModel):
    """A table of the card that may hold more than is named here."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class Preprocessing(Part):
    """What a picture goes through before the network is shown it.

    size
        Rows and columns, pixels.
    locate_mm, segment_mm
        Pixel spacing while the heart is looked for, and once it is found (mm).
    clip
        Percentiles that become black and white.
    """

    size: int = Field(ge=16, le=1024)
    locate_mm: float = Field(gt=0, le=10)
    segment_mm: float = Field(gt=0, le=10)
    clip: tuple[float, float] = Field(strict=False)  # TOML has no tuples

    @model_validator(mode="after")
    def _clip_in_order(self) -> Self:
        low, high = self.clip
        if not 0 <= low < high <= 100:
            raise ValueError(f"clip {low:g}, {high:g}; allowed: 0 <= first < second <= 100")
        return self


class Thresholds(Part):
    """When the network counts as sure; chosen on data it was not trained on.

    temperature
        The orientation's logits are divided by it before they become probabilities.
    min_probability
        Of one orientation.
    min_sax
        That the pictures show a short axis.
    min_agreement
        Share of the slices that see the orientation by themselves.
    """

    temperature: float = Field(gt=0, allow_inf_nan=False)
    min_probability: Share
    min_sax: Share
    min_agreement: Share


class DataSource(FreePart):
    """One set of images that went into it."""

    name: Words
    licence: Words
    patients: int = Field(ge=0)


class Data(FreePart):
    """``[[data.entries]]``, one a source."""

    entries: tuple[DataSource, ...] = Field(min_length=1, strict=False)


class Training(FreePart):
    """How to make it again."""

    recipe: Words
    commit: Words
    seed: int


class Card(Part):
    """A card as read.

    file
        Name of the ONNX file, in the folder of the card.
    sha256
        Of that file, 64 lower-case hexadecimal digits.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$")
    file: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence: Words
    intended_use: Words
    not_tested_on: tuple[Words, ...] = Field(strict=False)
    preprocessing: Preprocessing
    thresholds: Thresholds
    data: Data
    training: Training
    metrics: dict[str, Any]


def shipped_folder(name: str) -> Path | None:
    """The folder of a network that came with the node, None if there is none of that name."""
    places = (shipped / name for shipped in SHIPPED)
    return next((place for place in places if place.is_dir()), None)


def weights_folder(name_or_path: str) -> Path:
    """The folder of a network: a path if there is a / in it, else the name of a shipped one.

    Raises
    ------
    BadWeights
        There is none; the message says where it was looked for.
    """
    named = "/" not in name_or_path
    found = shipped_folder(name_or_path) if named else Path(name_or_path)
    if found is not None and found.is_dir():
        return found
    places = [shipped / name_or_path for shipped in SHIPPED] if named else [found]
    looked = " nor ".join(str(place) for place in places)
    raise BadWeights(
        f"network {name_or_path!r}: there is no folder {looked}; allowed: "
        'the name of a shipped network, a path with a / in it, or "none"'
    )


def read_card(folder: Path) -> Card:
    """The card in a weights folder.

    Raises
    ------
    BadWeights
        It is absent, no TOML, or says something that is not allowed.
    """
    path = folder / CARD
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CARD_BYTES + 1)
        if len(text) > MAX_CARD_BYTES:
            raise BadWeights(f"{path} is longer than {MAX_CARD_BYTES} bytes: no card")
        tables = tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadWeights(f"{path}: {error}") from error
    try:
        return Card.model_validate(tables)
    except ValidationError as error:
        raise BadWeights(_explain(error, path)) from error


def _explain(error: ValidationError, path: Path) -> str:
    lines = [f"{path}:"]
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"]) or "card"
        if fault["type"] == "extra_forbidden":
            table = fault["loc"][:-1]
            lines.append(f"  {key} is not known; allowed are {', '.join(_names_at(table))}")
        elif fault["type"] == "missing":
            lines.append(f"  {key} is missing")
        else:
            lines.append(f"  {key} = {fault['input']!r}: {fault['msg']}")
    return "\n".join(lines)


def _names_at(location: tuple[int | str, ...]) -> list[str]:
    tables: dict[Literal["preprocessing", "thresholds"] | str, type[BaseModel]] = {
        "preprocessing": Preprocessing,
        "thresholds": Thresholds,
    }
    model = tables[str(location[0])] if location else Card
    return sorted(model.model_fields)
