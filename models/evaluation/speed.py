"""How fast the shipped network is on this machine, as the node runs it."""

from __future__ import annotations

import time

import numpy as np

from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.card import weights_folder
from cmr_node.inference.opening import SHIPPED_NETWORK, threads_of
from cmr_node.inference.predict import Network
from cmr_node.inference.runtime import open_network
from cmr_node.settings import Inference
from models.evaluation.tables import Row

SLICES, PHASES = 10, 25
SHAPE, SPACING = (256, 256), (1.33, 1.33)


def rows() -> dict[str, Row]:
    """Seconds of a whole cine: ten slices of 25 phases."""
    inference = Inference()
    threads = threads_of(inference, 1)
    session = open_network(weights_folder(SHIPPED_NETWORK), inference.device, threads)
    network = Network(session.run, session.card)
    rng = np.random.default_rng(0)
    images = [rng.normal(size=SHAPE).astype(np.float32) for _ in range(SLICES)]
    network.look(images[:1], SPACING)
    started = time.perf_counter()
    network.look(images, SPACING)
    recognised = time.perf_counter()
    network.segment(images * PHASES, SPACING, Orientation.ROT90CW, (128.0, 128.0))
    segmented = time.perf_counter()
    return {
        session.provider: {
            "threads": threads,
            "recognise, slices/s": SLICES / (recognised - started),
            "segment, slices/s": SLICES * PHASES / (segmented - recognised),
            "whole cine of 250, s": segmented - started,
        }
    }
