"""How fast the phantom is and how true.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.phantom [--patients N]

Prints slices per second of the training source with one process and with two, volumes by mask
against volumes by integration, T1 maps against the apparent T1 that was set, how much brighter
blood and fat are than muscle in each sequence and field beside what publications give, and
seconds and megabytes of a study as each vendor writes it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_erosion

from cmr_node.geometry.standard_view import View
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.groups import Group
from cmr_node.phantom.body.measures import measure, volumes
from cmr_node.phantom.body.motion import END_SYSTOLE
from cmr_node.phantom.body.tissues import LV_CAVITY, LV_MUSCLE, Tissue
from cmr_node.phantom.dicom.vendors import Vendor
from cmr_node.phantom.plan import Plan
from cmr_node.phantom.scanner.contrast import draw_contrast
from cmr_node.phantom.scanner.molli import Molli
from cmr_node.phantom.scanner.render import (
    PSIR_ZERO,
    QUIET,
    Cine,
    LateEnhancement,
    T1Map,
    T2Weighted,
)
from cmr_node.phantom.scanner.scan import Contrast, Stack, cuts, label_map, scan
from cmr_node.phantom.scanner.signals import relaxation
from cmr_node.phantom.scanner.source import Source, render
from cmr_node.phantom.study import write_study
from tests.benchmarks import cited

GAPS = (3.0, 8.0)  #: mm, stacks without gaps
FIELDS = (1.5, 3.0)  #: T
TISSUES = {
    "blood": Tissue.LV_BLOOD,
    "muscle": Tissue.MYOCARDIUM,
    "fat": Tissue.FAT,  # of the chest wall
    "epicardial fat": Tissue.EPICARDIAL_FAT,
}
FEWEST = 5  #: pixels that a median is taken of
BATCHES, SIZE = 15, 32


def examination() -> None:
    for vendor in (Vendor.SIEMENS, Vendor.GE, Vendor.PHILIPS):
        started = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            write_study(Path(folder), Plan.examination(1, vendor))
            files = [path for path in Path(folder).rglob("*") if path.is_file()]
            size = sum(path.stat().st_size for path in files)
        seconds = time.process_time() - started
        print(
            f"examination by {vendor}: {seconds:.1f} s CPU, {len(files)} files, {size / 1e6:.1f} MB"
        )


def training() -> None:
    source, rng = Source(2), np.random.default_rng(0)
    started = time.process_time()
    sketches = [source.sketch(number) for number in range(10)]
    looked_up = (time.process_time() - started) / 10
    started = time.process_time()
    for number in range(100):
        render(sketches[number % 10], draw_contrast(rng), rng)
    rendered = (time.process_time() - started) / 100
    print(
        f"training source, 128 x 128: look-up {1e3 * looked_up:.0f} ms, "
        f"rendering {1e3 * rendered:.1f} ms"
    )
    for processes in (1, 2):
        context = get_context("spawn")
        spans: Queue[tuple[float, float]] = context.Queue()
        workers = [
            context.Process(target=_supply, args=(seed, spans)) for seed in range(1, processes + 1)
        ]
        for worker in workers:
            worker.start()
        times = [spans.get() for _ in workers]
        for worker in workers:
            worker.join()
        rate = processes * BATCHES * SIZE / (max(t[1] for t in times) - min(t[0] for t in times))
        print(
            f"training source, 128 x 128, {processes} processes: {rate:.0f} slices/s of wall time"
        )


def _supply(seed: int, spans: Queue[tuple[float, float]]) -> None:
    """One process of a training source; tells when its batches began and ended."""
    batches = Source(seed).batches(SIZE)
    for _ in range(4):  # until the pool is full
        next(batches)
    started = time.time()
    for _ in range(BATCHES):
        next(batches)
    spans.put((started, time.time()))


def truth(patients: int) -> None:
    for gap in GAPS:
        found: dict[str, list[float]] = {"cavity": [], "muscle": [], "right": []}
        for patient in (Patient.draw(seed, list(Group)[seed % 4]) for seed in range(patients)):
            slices = round(174 / gap)
            stack = Stack(
                View.SAX, Cine(), slices=slices, gap=gap, shape=(110, 110), pixel_spacing=1.5
            )
            places = cuts(patient, stack, (1,))
            for phase in (0.0, END_SYSTOLE):
                masks = np.stack([label_map(patient, cut, gap, phase) for cut in places])
                ours = volumes(patient, phase)
                for name, tissues, value in (
                    ("cavity", LV_CAVITY, ours.left),
                    ("muscle", LV_MUSCLE, ours.muscle),
                    ("right", (Tissue.RV_BLOOD,), ours.right),
                ):
                    masked = np.isin(masks, tissues).sum() * 1.5**2 * gap / 1000
                    found[name].append(100 * abs(masked / value - 1))
        for name, errors in found.items():
            print(
                f"volume by mask of slices {gap:g} mm apart, {name}: off by "
                f"{np.median(errors):.1f} % (median), {max(errors):.1f} % "
                f"(largest of {len(errors)})"
            )


def function(patients: int) -> None:
    for group in Group:
        found = [measure(Patient.draw(seed, group), 2.0) for seed in range(4 * patients)]
        for side, values in (
            ("left", [100 * one.left_ejection_fraction for one in found]),
            ("right", [100 * one.right_ejection_fraction for one in found]),
        ):
            print(
                f"ejection fraction, {group}, {side}: {np.mean(values):.0f} % "
                f"(sd {np.std(values):.1f}, {min(values):.0f} to {max(values):.0f})"
            )


def brightness(patients: int) -> None:
    for tesla in FIELDS:
        expected = cited.ratios(tesla)
        found: dict[tuple[str, str, str], list[float]] = {}
        errors = []
        for seed in range(patients):
            patient = Patient.draw(seed, Group.NORMAL)
            for contrast, level in _levels(patient, tesla, seed):
                late = contrast in (Contrast.LATE_ENHANCEMENT, Contrast.PHASE_SENSITIVE)
                reference = "blood" if late else "muscle"  # late, muscle is nulled
                for name, value in level.items():
                    key = str(contrast), name, reference
                    found.setdefault(key, []).append(value / level[reference])
                if contrast is Contrast.T1_MAP:
                    t1, t2, _ = relaxation(tesla, patient.tissue_jitter)
                    apparent = Molli().apparent(t1, t2, 60_000 / patient.heart_rate_bpm)
                    errors.append(level["muscle"] - apparent[Tissue.MYOCARDIUM])
        for (sequence, name, reference), values in found.items():
            if name == reference:
                continue
            by_papers = expected.get((sequence, name.removeprefix("epicardial "), reference))
            print(
                f"{sequence} at {tesla:g} T, {name} / {reference}: {np.median(values):.2f}, "
                f"by cited values {by_papers or 'nulled'}"
            )
        print(
            "cine at {:g} T, blood / muscle aimed at: {} to {}".format(
                tesla, *cited.AIMED_AT[tesla]
            )
        )
        print(
            f"T1 of muscle in the map minus the apparent T1 set, {tesla:g} T: "
            f"{np.mean(errors):.0f} ms on average, {max(map(abs, errors)):.0f} at most"
        )


def _levels(
    patient: Patient, tesla: float, seed: int
) -> Iterator[tuple[Contrast, dict[str, float]]]:
    """Medians of blood, fat and muscle in each contrast of the middle slice, under even coils."""
    for protocol in (
        Cine.usual(tesla),
        LateEnhancement(tesla=tesla),
        T2Weighted(tesla=tesla),
        T1Map(tesla=tesla),
    ):
        even = replace(protocol, receive=replace(protocol.receive, coils=0.0))
        stack = Stack(View.SAX, even, shape=(208, 224), pixel_spacing=1.5)
        (acquired,) = scan(patient, stack, (seed,))
        phase = 0.0 if isinstance(protocol, Cine) else QUIET
        labels = label_map(patient, acquired.cut, protocol.thickness, phase)
        inside = {name: binary_erosion(labels == tissue) for name, tissue in TISSUES.items()}
        for contrast, images in acquired.images.items():
            zero = PSIR_ZERO if contrast is Contrast.PHASE_SENSITIVE else 0
            yield (
                contrast,
                {
                    name: float(np.median(images[0][where])) - zero
                    for name, where in inside.items()
                    if where.sum() >= FEWEST
                },
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--patients", type=int, default=8)
    arguments = parser.parse_args()
    training()
    truth(arguments.patients)
    function(arguments.patients)
    brightness(arguments.patients)
    examination()
    return 0


if __name__ == "__main__":
    sys.exit(main())
