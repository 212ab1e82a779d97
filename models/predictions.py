"""A look at a training while it runs: what the network draws on pictures of its last batch."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes

from models.augment import Batch
from models.orientation import MultiTask

matplotlib.use("Agg")

from matplotlib import pyplot as plt

SHOWN = 8
COLOURS = {1: "#f0a30a", 2: "#4fd6a4", 3: "#56b4e9"}  #: as on the pages of results


@torch.no_grad()
def draw_predictions(path: Path, network: MultiTask, batch: Batch) -> None:
    """The first pictures of a batch: above what is known of them, below what the network draws.

    The network is left in the mode it was in.
    """
    training = network.training
    drawn = network.eval()(batch.images[:SHOWN]).masks.argmax(1)
    network.train(training)
    truth = batch.masks[:SHOWN]
    figure, axes = plt.subplots(2, SHOWN, figsize=(1.6 * SHOWN, 3.3), layout="constrained")
    images, *both = (one.cpu().numpy() for one in (batch.images[:SHOWN, 0], truth, drawn))
    for column, image in enumerate(images):
        for row, labels in enumerate(both):
            place = axes[row, column]
            place.imshow(image, cmap="gray")
            _contours(place, labels[column])
            place.axis("off")
    axes[0, 0].set_title("known", fontsize=8, loc="left")
    axes[1, 0].set_title("drawn", fontsize=8, loc="left")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _contours(place: Axes, labels: npt.NDArray[np.int64]) -> None:
    for value, colour in COLOURS.items():
        inside = labels == value
        if inside.any():
            place.contour(inside, [0.5], colors=colour, linewidths=1)
