"""What the shipped network loses when its weights and activations are rounded to eight bits.

It is shipped so only if labels and orientation do not change; this is where that is looked at.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from cmr_node.inference.card import read_card, weights_folder
from cmr_node.inference.opening import SHIPPED_NETWORK
from cmr_node.inference.preprocess import normalised
from models.evaluation.tables import Row
from models.pool import Pool

BATCH = 16
CALIBRATION = 6 * BATCH  #: whole batches, as the runtime wants them
STRUCTURES = {"LV": 1, "Myo": 2, "RV": 3}

Pictures = npt.NDArray[np.float32]


def rows(pool: Pool, threads: int, calibration: int = CALIBRATION) -> dict[str, Row]:
    """Size, speed and what changes, on simulated pictures of a pool nobody was trained on.

    The first ``calibration`` pictures set the ranges, the others are compared; their orientation
    where they have one.
    """
    folder = weights_folder(SHIPPED_NETWORK)
    exact = folder / read_card(folder).file
    pictures = np.stack([normalised(one) for one in pool.images.astype(np.float32)])[:, None]
    with tempfile.TemporaryDirectory() as scratch:
        rounded = Path(scratch) / "rounded.onnx"
        _round(exact, rounded, pictures[:calibration])
        told = {path: _run(path, pictures[calibration:], threads) for path in (exact, rounded)}
        sizes = {path: path.stat().st_size for path in told}
    posed = np.isfinite(pool.right[calibration:, 0])
    (masks, classes, seconds), (other_masks, other_classes, other_seconds) = told.values()
    return {
        "int8 beside fp32": {
            "pictures": len(masks),
            "MB": sizes[rounded] / 1e6,
            "MB of fp32": sizes[exact] / 1e6,
            "times as fast": seconds / other_seconds,
            "another orientation": float((classes != other_classes)[posed].mean()),
            "pictures with another label": float((masks != other_masks).any((1, 2)).mean()),
            **{
                f"Dice of {name}, median and 5th centile": _overlap(masks, other_masks, value)
                for name, value in STRUCTURES.items()
            },
        }
    }


class _Shown(CalibrationDataReader):  # type: ignore[misc]
    """Pictures, a batch at a time."""

    def __init__(self, pictures: Pictures) -> None:
        self._batches: Iterator[Pictures] = iter(
            [pictures[first : first + BATCH] for first in range(0, len(pictures), BATCH)]
        )

    def get_next(self) -> dict[str, Pictures] | None:
        """As the runtime's calibration asks for it."""
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


def _round(exact: Path, rounded: Path, pictures: Pictures) -> None:
    prepared = rounded.with_name("prepared.onnx")
    quant_pre_process(str(exact), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(rounded),
        _Shown(pictures),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"CalibPercentile": 99.99},
    )


def _run(
    path: Path, pictures: Pictures, threads: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], float]:
    """Labels (n, size, size), class of the orientation (n,), and seconds."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    session.run(["masks"], {"image": pictures[:1]})
    labels, classes = [], []
    started = time.perf_counter()
    for first in range(0, len(pictures), BATCH):
        masks, orientation = session.run(
            ["masks", "orientation"], {"image": pictures[first : first + BATCH]}
        )
        labels.append(masks.argmax(1))
        classes.append(orientation.argmax(1))
    seconds = time.perf_counter() - started
    return np.concatenate(labels), np.concatenate(classes), seconds


def _overlap(
    masks: npt.NDArray[np.int64], others: npt.NDArray[np.int64], value: int
) -> list[float]:
    """Of the outlines that hold 20 pixels or more."""
    found = [
        2 * ((a == value) & (b == value)).sum() / ((a == value).sum() + (b == value).sum())
        for a, b in zip(masks, others, strict=True)
        if (a == value).sum() >= 20
    ]
    return [float(one) for one in np.percentile(found, [50, 5])]
