"""What the network says to what is no human short axis: animals, localizers, nothing at all.

The promise kept here: whoever is shown is new to the network that is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmr_node.errors import BadInstance
from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.fusion import KINDS, softmax
from cmr_node.inference.predict import Network
from cmr_node.inference.preprocess import checked, normalised, resampled
from models.evaluation.tables import Row
from models.other_views import PIG
from models.stacks import read_stacks

Images = list[npt.NDArray[np.float32]]
OTHER_ANIMAL = "animal"
#: where they lie, and which animal they show; "" for the patient the folder above is named after
FOLDERS = {
    "Sunnybrook cine": ("sunnybrook-cine/*/sax", ""),
    "Sunnybrook localizer": ("sunnybrook-cine/*/localizer", ""),
    "pig, short axis": ("pig-cine/sax", PIG),
    "pig, long axis": ("pig-cine/lax", PIG),
    "animal, PSIR LGE": ("lge-t1/lge-psir", OTHER_ANIMAL),
    "animal, T1 map (MOLLI)": ("lge-t1/t1map-molli", OTHER_ANIMAL),
    "animal, T1 map (wideband)": ("lge-t1/t1map-wideband", OTHER_ANIMAL),
}


def rows(network_without: Callable[[str], Network], data: Path) -> dict[str, Row]:
    """One row a stack, shown in all eight turns.

    Parameters
    ----------
    network_without
        From a patient, an animal or "" to a network that was not shown it.
    """
    told = {}
    for name, (pattern, animal) in FOLDERS.items():
        for folder in sorted(data.glob(pattern)):
            network = network_without(animal or folder.parent.name)
            for number, stack in enumerate(read_stacks(folder), start=1):
                told[f"{name} ({folder.parent.name}/{number})"] = row(
                    network, stack.first_phase, stack.spacing
                )
    for name, images in _nothing().items():
        told[name] = row(network_without(""), images, (1.4, 1.4))
    return told


def row(network: Network, images: Images, spacing: tuple[float, float]) -> Row:
    """Sure or not, of what, and whether the eight turns get one answer, turned."""
    logger = logging.getLogger("cmr_node.inference.predict")
    logger.setLevel(logging.ERROR)  # constant pictures are meant to be refused here
    told = {
        k: network.recognise(
            [k.apply(image) for image in images], spacing[::-1] if k.transposes else spacing
        )
        for k in Orientation
    }
    straight = told[Orientation.IDENTITY]
    return {
        "slices": len(images),
        "sure": not straight.doubt,
        "orientation": str(straight.orientation),
        "probability": straight.probability,
        "short axis": straight.sax,
        "doubt": straight.doubt,
        "kinds": _kinds(network, images, spacing),
        "turns alike": sum(
            one.orientation is k.after(straight.orientation) for k, one in told.items()
        ),
    }


def _kinds(network: Network, images: Images, spacing: tuple[float, float]) -> str:
    try:
        pictures = np.stack([normalised(resampled(checked(i, spacing), spacing,
                             network.card.preprocessing.locate_mm)) for i in images])  # fmt: skip
    except BadInstance:
        return ""
    seen = softmax(network.forward(pictures[:, None]).kind).mean(0)
    return ", ".join(
        f"{kind} {share:.2f}" for kind, share in zip(KINDS, seen, strict=True) if share >= 0.1
    )


def _nothing() -> dict[str, Images]:
    rng = np.random.default_rng(0)
    rows_, columns = np.indices((192, 192))
    bottle = np.hypot(rows_ - 96, columns - 96) < 70
    return {
        "noise": [rng.normal(size=(192, 192)).astype(np.float32) for _ in range(8)],
        "bottle": [
            (bottle + rng.normal(0, 0.02, bottle.shape)).astype(np.float32) for _ in range(8)
        ],
        "ramp": [(rows_ + columns).astype(np.float32)] * 8,
        "zeros": [np.zeros((192, 192), np.float32)] * 8,
    }
