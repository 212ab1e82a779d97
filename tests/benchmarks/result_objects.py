"""Seconds and bytes of each object that is made of outlines.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.result_objects

A short-axis cine of 10 slices and 25 phases (256 x 208, 250 instances); every object is built of
instances in memory and encoded.  Outlines are circles of the size of a heart.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from cmr_node.measures.masks import Structure
from cmr_node.outputs.algorithm import Algorithm
from cmr_node.outputs.overlay import capture
from cmr_node.outputs.report import question_report
from cmr_node.outputs.report_facts import OrientationResult
from cmr_node.outputs.review import quality_issue
from cmr_node.outputs.segmentation import Encoding, Phase, segment
from cmr_node.outputs.sources import SourceFrame
from cmr_node.outputs.turned import encode
from cmr_node.outputs.uids import Producer
from cmr_node.pictures.outlines import OutlinedSlice
from cmr_node.pictures.picture import Picture
from cmr_node.pictures.result_page import Findings, Page, draw_page
from cmr_node.pictures.volume_curve import Curve
from tests.outputs.making import stored
from tests.samples import mr

SLICES, PHASES, ROWS, COLUMNS = 10, 25, 208, 256
PRODUCER = Producer("1", "BENCH")
WHEN = datetime(2026, 1, 2, 12, tzinfo=UTC)
ALGORITHM = Algorithm("bench", "1", "00" * 32)


def outlines() -> np.ndarray:
    """uint8 (slices, rows, columns): circles that narrow towards the apex."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    labels = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    for index, labels_of_slice in enumerate(labels):
        share = 1 - 0.06 * index
        left = np.hypot(rows - 100, columns - 140)
        labels_of_slice[np.hypot(rows - 100, columns - 95) < 30 * share] = Structure.RV_BLOOD
        labels_of_slice[left < 30 * share] = Structure.LV_MYOCARDIUM
        labels_of_slice[left < 22 * share] = Structure.LV_BLOOD
    return labels


def page(images: list[np.ndarray], labels: np.ndarray) -> Page:
    shown = [
        OutlinedSlice(Picture(image, (1.25, 1.5), "LP", "FP"), one)
        for image, one in zip(images, labels, strict=True)
    ]
    volumes = 100 + 40 * np.cos(np.arange(PHASES) / 4)
    curve = Curve(np.arange(PHASES) * 35.0, volumes, volumes + 8, 0, 10)
    lines = [f"measure {number}: {number} ml" for number in range(9)]
    return draw_page(Findings("Short-axis cine", shown, shown, curve, lines, "bench", True))


def report(name: str, rounds: int, make: Callable[[], bytes]) -> None:
    seconds, made = [], b""
    for _ in range(rounds + 1):  # the first warms up
        began = time.process_time()
        made = make()
        seconds.append(time.process_time() - began)
    shown = f"{statistics.median(seconds[1:]):7.3f} {min(seconds[1:]):7.3f} {max(seconds[1:]):7.3f}"
    print(f"{name:<34} {shown} {len(made):>10}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    instances = [
        stored(mr(rows=ROWS, columns=COLUMNS, slice_number=number, phase=phase))
        for number in range(SLICES)
        for phase in range(PHASES)
    ]
    sources = [SourceFrame(ds) for ds in instances[::PHASES]]
    images = [source.ds.pixel_array for source in sources]
    labels, stack = outlines(), sources[0].key
    drawn = page(images, labels)

    def segmentation(encoding: Encoding) -> bytes:
        made = segment(
            sources,
            labels,
            stack=stack,
            phase=Phase(1, "end diastole"),
            algorithm=ALGORITHM,
            series_number=3002,
            producer=PRODUCER,
            encoding=encoding,
        )
        assert made.instance is not None
        return encode(made.instance)

    def captured() -> bytes:
        return encode(
            capture(
                drawn,
                sources,
                stack=stack,
                step=ALGORITHM.step,
                series_number=3006,
                producer=PRODUCER,
            )
        )

    def review() -> bytes:
        return encode(quality_issue(instances, "A reason.", series_number=3008, producer=PRODUCER))

    def question() -> bytes:
        asked = OrientationResult("identity", "rot90cw", 31.5, "ask", "A reason.")
        return encode(question_report(instances, asked, PRODUCER, WHEN))

    print(f"{'CPU seconds':<34} {'median':>7} {'min':>7} {'max':>7} {'bytes':>10}")
    report("Segmentation, one phase", rounds, lambda: segmentation(Encoding.BINARY))
    report("Label Map Segmentation, one phase", rounds, lambda: segmentation(Encoding.LABEL_MAP))
    report("Key Object Selection, 250 images", rounds, review)
    report("report of a question, 250 images", rounds, question)
    report("page of pictures, drawing", rounds, lambda: page(images, labels).tobytes())
    report("Secondary Capture of the page", rounds, captured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
