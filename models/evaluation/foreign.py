"""What the network says to pictures it was never taught: animals, localizers, nothing at all."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmr_node.assemble.frames import frames_from
from cmr_node.assemble.stack import assemble
from cmr_node.dicom.reading import read, read_header
from cmr_node.dicom.words import display_values
from cmr_node.errors import BadInstance
from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.fusion import KINDS, softmax
from cmr_node.inference.predict import Network
from cmr_node.inference.preprocess import checked, normalised, resampled
from models.evaluation.tables import Row

Images = list[npt.NDArray[np.float32]]
FOLDERS = {
    "Sunnybrook cine": "sunnybrook-cine/*/sax",
    "Sunnybrook localizer": "sunnybrook-cine/*/localizer",
    "pig, short axis": "pig-cine/sax",
    "pig, long axis": "pig-cine/lax",
    "animal, PSIR LGE": "lge-t1/lge-psir",
    "animal, T1 map (MOLLI)": "lge-t1/t1map-molli",
    "animal, T1 map (wideband)": "lge-t1/t1map-wideband",
}


def rows(network: Network, data: Path) -> dict[str, Row]:
    """One row a stack, shown in all eight turns."""
    told = {}
    for name, pattern in FOLDERS.items():
        for folder in sorted(data.glob(pattern)):
            for number, (images, spacing) in enumerate(_stacks(folder), start=1):
                told[f"{name} ({folder.parent.name}/{number})"] = row(network, images, spacing)
    for name, images in _nothing().items():
        told[name] = row(network, images, (1.4, 1.4))
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


def _stacks(folder: Path) -> Iterator[tuple[Images, tuple[float, float]]]:
    """The first phase of every stack in a folder of DICOM files."""
    paths = {}
    for path in sorted(folder.rglob("*.dcm")):
        header = read_header(path)
        paths[header.sop_instance_uid] = path, header
    opened = frames_from(lambda header: read(paths[header.sop_instance_uid][0]))
    for stack in assemble([header for _, header in paths.values()], opened).stacks:
        cells = [one.cells[0] for one in stack.slices]
        yield (
            [display_values(read(paths[c.instance.sop_instance_uid][0]), c.frame) for c in cells],
            stack.plane.pixel_spacing,
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
