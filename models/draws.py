"""What is drawn for one simulated image, as one record of numbers.

The promise kept here: a generator in a given state gives the parameters that
``cmr_node.phantom.scanner.source.render`` would draw from it, in the same order; only the noise of
single pixels is not drawn here, because the device that renders makes it.  A record is all
float32, so that a batch is one matrix and goes to a device in one copy; and it is cheap to send
from one process to another.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from cmr_node.phantom.body.fields import Field
from cmr_node.phantom.body.tissues import Tissue
from cmr_node.phantom.scanner.acquire import Border, Receive
from cmr_node.phantom.scanner.contrast import Contrast, Kind
from cmr_node.phantom.scanner.source import _GREY as GREY
from cmr_node.phantom.scanner.source import Sketch, draw_receive

Record = npt.NDArray[np.void]  #: () of one image, (n,) of a batch; dtype as :func:`layout`

BORDERS = tuple(Border)
WAVES = 3  #: sines in a field of coils or shim
BANDED_FLIP_DEG = 55.0
_TEXTURE = (np.arange(GREY, dtype=np.float32) + 0.5) * (5 / GREY) - 2.5


@cache
def layout(rows: int) -> np.dtype[np.void]:
    """The fields of a record for images of so many rows; lengths mm, times ms, angles rad."""
    field = [("waves", "f4", (WAVES, 3)), ("shifts", "f4", WAVES)]  # as in :class:`Field`
    return np.dtype(
        [
            ("table", "f4", (len(Tissue) * GREY,)),  # signal by tissue and texture
            ("flow", "f4"),  # 1 where the flow of blood shows, else 0
            # The plane: centre of the first pixel, steps between rows and columns, LPS.
            ("position", "f4", 3),
            ("down", "f4", 3),
            ("right", "f4", 3),
            # The coils, see acquire.coil_sensitivity.
            ("skin", "f4", 2),
            ("middle", "f4", 2),  # x and z of the array on the chest
            ("reach", "f4"),
            ("near", "f4", 2),  # height and reach of what lies right under the array
            ("share", "f4", 2),  # of the arrays in front and behind
            ("ripple", field),
            ("unevenness", "f4"),
            # What is not shimmed away; a repetition time of 0 is an image without bands.
            ("repetition", "f4"),
            ("shim_hz", "f4"),
            ("shim", field),
            ("slope", "f4"),
            # A T1 map: sd of its noise as a share of the longest T1, 0 for other images.
            ("map_noise", "f4"),
            # K-space, see acquire.through_k_space.
            ("noise", "f4"),
            ("ghost", "f4"),
            ("pace", "f4", 2),  # of breathing and pulsation, rad per line
            ("start", "f4", 2),
            ("wobble", "f4", (rows,)),  # of each line's amplitude, sd 1
            ("sampled", "f4", 2),
            ("filtered", "f4"),
            # What becomes of the complex image.
            ("signed", "f4"),  # 1 the real part, 0 the magnitude
            ("power", "f4"),
            ("border", "f4"),  # index in BORDERS
        ]
    )


def draw(sketch: Sketch, contrast: Contrast, rng: np.random.Generator) -> Record:
    """The record () of one image of ``sketch``.

    The order of the draws is that of ``source.render``, statement by statement.
    """
    rows = sketch.plane.shape[0]
    record = np.zeros((), layout(rows))
    roughness = 1 + contrast.roughness[:, None] * _TEXTURE
    record["table"] = (contrast.signal[:, None] * roughness).ravel()
    record["flow"] = contrast.kind is Kind.CINE
    record["position"] = sketch.plane.position
    record["down"], record["right"] = sketch.plane.steps
    record["skin"] = sketch.skin
    receive = draw_receive(rng)
    record["border"] = BORDERS.index(receive.border)
    _draw_coils(record, receive, rng)
    if contrast.kind is Kind.T1_MAP:
        record["map_noise"] = rng.uniform(0.006, 0.014)
        return record
    if contrast.kind is Kind.CINE and rng.random() < 0.5:
        record["shim_hz"] = receive.shim_hz
        record["shim"] = _field(rng, 160)
        record["slope"] = rng.uniform(-0.9, 0.9)
        record["repetition"] = rng.uniform(2.8, 3.6)
    _draw_k_space(record, receive, rng)
    record["signed"] = contrast.kind is Kind.LATE_ENHANCEMENT and rng.random() < 0.5
    record["power"] = np.exp(rng.normal(0, 0.2))
    return record


def _draw_coils(record: Record, receive: Receive, rng: np.random.Generator) -> None:
    record["unevenness"] = receive.coils
    record["middle"] = rng.normal(25, 20), rng.normal(-5, 25)
    record["reach"] = rng.uniform(60, 120)
    record["near"] = rng.uniform(2.5, 6.5), rng.uniform(18, 30)
    record["share"] = rng.uniform(1.6, 3.0), rng.uniform(0.6, 2.5)
    record["ripple"] = _field(rng, 150)


def _draw_k_space(record: Record, receive: Receive, rng: np.random.Generator) -> None:
    record["noise"] = 0.5 / receive.signal_to_noise
    record["sampled"] = receive.sampled
    record["filtered"] = receive.filtered
    if receive.ghost:
        rows = len(record["wobble"])
        record["ghost"] = receive.ghost
        slow, fast = rng.uniform(0.012, 0.05), rng.uniform(0.08, 0.3)
        record["pace"] = 2 * np.pi * rows / 17 * slow, 2 * np.pi * rows / 17 * fast
        record["start"] = rng.uniform(0, 2 * np.pi, 2)
        record["wobble"] = rng.normal(0, 0.3, rows)


def _field(
    rng: np.random.Generator, shortest_mm: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    field = Field.draw(rng, WAVES, shortest_mm, 420)
    return field.waves, field.shifts
