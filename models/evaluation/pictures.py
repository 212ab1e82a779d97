"""What people would rather look at than read: outlines, reliability, fewer patients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from cmr_node.inference.card import Card
from cmr_node.inference.network_outputs import Forward
from cmr_node.inference.predict import Network
from models.evaluation.agreement import Pair
from models.evaluation.held_out import SPACING, Patient

matplotlib.use("Agg")

from matplotlib import pyplot as plt

COLOURS = {1: "#ff5555", 2: "#55dd66", 3: "#55aaff"}
HALF = 60  #: pixels shown each way from the heart
PER_ROW = 5


def reliability(path: Path, bins: Sequence[tuple[float, float, int]]) -> None:
    """Confidence of single slices against the share that is right."""
    figure, axes = plt.subplots(figsize=(4, 4), layout="constrained")
    sure, right, count = (np.array(column) for column in zip(*bins, strict=True))
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    axes.scatter(sure, right, s=10 + 3 * np.sqrt(count), color="#2266aa")
    for x, y, n in zip(sure, right, count, strict=True):
        axes.annotate(f"{n:.0f}", (x, y), (4, -10), textcoords="offset points", fontsize=7)
    axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_title("orientation, single slices of held-out patients", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def outlines(path: Path, each: Sequence[tuple[Forward, Patient]], card: Card) -> None:
    """The reader's contours (thin, white) and the network's on a middle slice of each patient."""
    shown = [(forward, patient) for forward, patient in each if patient.phase == "ED"]
    rows = -(-len(shown) // PER_ROW)
    figure, axes = plt.subplots(rows, PER_ROW, figsize=(2.2 * PER_ROW, 2.35 * rows),
                                layout="constrained", squeeze=False)  # fmt: skip
    for place in axes.flat:
        place.axis("off")
    for place, (forward, patient) in zip(axes.flat, shown, strict=False):
        network = Network(forward, card)
        look = network.look(patient.images, SPACING)
        middle = len(patient.images) // 2
        (drawn,) = network.segment(
            [patient.images[middle]], SPACING, look.evidence.orientation, look.centre, turns=True
        )
        row, column = look.centre or (128.0, 128.0)
        place.imshow(patient.images[middle], cmap="gray")
        for value, colour in COLOURS.items():
            place.contour(drawn.labels == value, [0.5], colors=colour, linewidths=1.1)
        for value in (1, 2):
            inside = patient.masks[middle] > 0 if value == 2 else patient.masks[middle] == 1
            place.contour(inside, [0.5], colors="white", linewidths=0.6)
        place.set_xlim(column - HALF, column + HALF)
        place.set_ylim(row + HALF, row - HALF)
        place.set_title(f"{patient.name} {look.evidence.orientation}", fontsize=7)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def bland_altman(path: Path, told: dict[str, list[Pair]]) -> None:
    """Difference against mean for each quantity, a dot a patient; bias and 95 % limits."""
    figure, axes = plt.subplots(2, 2, figsize=(8, 6.4), layout="constrained")
    for place, (name, each) in zip(axes.flat, told.items(), strict=True):
        both = np.array([(one.found, one.drawn) for one in each])
        both = both[np.isfinite(both).all(1)]
        apart, mean = both[:, 0] - both[:, 1], both.mean(1)
        place.scatter(mean, apart, s=18, color="#2266aa")
        bias, spread = apart.mean(), 1.96 * apart.std(ddof=1)
        for level, style in ((bias, "-"), (bias - spread, "--"), (bias + spread, "--")):
            place.axhline(level, color="#cc6633", linestyle=style, linewidth=1)
            at = place.get_yaxis_transform()
            place.text(0.99, level, f"{level:+.1f}", transform=at, ha="right", va="bottom", size=8)
        place.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
        place.set_xlabel(f"{name}: mean of network and reader", fontsize=9)
        place.set_ylabel("network - reader", fontsize=9)
    figure.suptitle("held-out patients, over the slices that the reader drew", fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def few(path: Path, rows: dict[str, Any]) -> None:
    """Dice of the endocardium against the number of patients, with and without simulation."""
    figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
    for words, colour in (("with simulation", "#2266aa"), ("without simulation", "#cc6633")):
        named = {name: row for name, row in rows.items() if name.endswith(f", {words}")}
        points = sorted((int(name.split(",")[0]), row["endo Dice"]) for name, row in named.items())
        axes.plot(*zip(*points, strict=True), marker="o", color=colour, label=words)
    counts = sorted({int(name.split(",")[0]) for name in rows} - {0})
    axes.set(xlabel="patients taught", ylabel="endocardium, Dice", xscale="log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.axhline(rows["0, simulation alone"]["endo Dice"], color="#999999", linestyle=":",
                 label="simulation alone")  # fmt: skip
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
