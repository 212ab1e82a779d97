"""How fast the phantom is and how true: one process, one core.

    python -m tests.benchmarks.phantom [--patients N]

Prints seconds and megabytes of a study, slices per second of the training source, volumes by mask
against volumes by integration, T1 maps against the apparent T1 that was set, and how much brighter
blood is than muscle in the cine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cmr_node.geometry.standard_view import View
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.groups import Group
from cmr_node.phantom.body.measures import volumes
from cmr_node.phantom.body.motion import END_SYSTOLE
from cmr_node.phantom.body.tissues import LV_CAVITY, LV_MUSCLE, Tissue
from cmr_node.phantom.plan import Plan
from cmr_node.phantom.scanner.contrast import draw_contrast
from cmr_node.phantom.scanner.molli import Molli
from cmr_node.phantom.scanner.render import QUIET, Cine, T1Map
from cmr_node.phantom.scanner.scan import Contrast, Stack, cuts, label_map, scan
from cmr_node.phantom.scanner.signals import relaxation
from cmr_node.phantom.scanner.source import Source, render
from cmr_node.phantom.study import write_study

GAP = 8.0  #: mm, a stack without gaps


def examination() -> None:
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_study(Path(folder), Plan.examination(1))
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
    seconds = time.process_time() - started
    print(f"examination: {seconds:.0f} s CPU, {len(files)} files, {size / 1e6:.0f} MB")


def training() -> None:
    batches = Source(1).batches(32)
    for _ in range(4):  # until the pool is full
        next(batches)
    started = time.process_time()
    for _ in range(15):
        next(batches)
    rate = 15 * 32 / (time.process_time() - started)
    source, rng = Source(2), np.random.default_rng(0)
    started = time.process_time()
    sketches = [source.sketch(number) for number in range(10)]
    looked_up = (time.process_time() - started) / 10
    started = time.process_time()
    for number in range(100):
        render(sketches[number % 10], draw_contrast(rng), rng)
    rendered = (time.process_time() - started) / 100
    print(
        f"training source, 128 x 128: {rate:.0f} slices/s per core "
        f"(look-up {1e3 * looked_up:.0f} ms, rendering {1e3 * rendered:.1f} ms)"
    )


def truth(patients: int) -> None:
    found: dict[str, list[float]] = {"cavity": [], "muscle": [], "right": []}
    for seed in range(patients):
        patient = Patient.draw(seed, list(Group)[seed % 4])
        stack = Stack(View.SAX, Cine(), slices=22, gap=GAP, shape=(110, 110), pixel_spacing=1.5)
        places = cuts(patient, stack, (seed,))
        for phase in (0.0, END_SYSTOLE):
            masks = np.stack([label_map(patient, cut, GAP, phase) for cut in places])
            ours = volumes(patient, phase)
            for name, tissues, value in (
                ("cavity", LV_CAVITY, ours.left),
                ("muscle", LV_MUSCLE, ours.muscle),
                ("right", (Tissue.RV_BLOOD,), ours.right),
            ):
                masked = np.isin(masks, tissues).sum() * 1.5**2 * GAP / 1000
                found[name].append(100 * abs(masked / value - 1))
    for name, errors in found.items():
        print(
            f"volume by mask of slices {GAP:g} mm apart, {name}: off by {np.median(errors):.1f} % "
            f"(median), {max(errors):.1f} % (largest of {len(errors)})"
        )


def brightness(patients: int) -> None:
    ratios, errors = [], []
    for seed in range(patients):
        patient = Patient.draw(seed, Group.NORMAL)
        for tesla in (1.5, 3.0):
            stack = Stack(View.SAX, Cine(tesla=tesla), shape=(128, 128), pixel_spacing=2.0)
            (cine,) = scan(patient, stack, (seed,))
            labels = label_map(patient, cine.cut, 8.0, 0.0)
            image = cine.images[Contrast.CINE][0]
            blood, muscle = (
                np.median(image[labels == tissue])
                for tissue in (Tissue.LV_BLOOD, Tissue.MYOCARDIUM)
            )
            ratios.append((tesla, blood / muscle))
            stack = Stack(View.SAX, T1Map(tesla=tesla), shape=(128, 128), pixel_spacing=2.0)
            (mapped,) = scan(patient, stack, (seed,))
            labels = label_map(patient, mapped.cut, 8.0, QUIET)
            t1, t2, _ = relaxation(tesla, patient.tissue_jitter)
            apparent = Molli().apparent(t1, t2, 60_000 / patient.heart_rate_bpm)
            image = mapped.images[Contrast.T1_MAP][0]
            shown = np.median(image[labels == Tissue.MYOCARDIUM])
            errors.append(shown - apparent[Tissue.MYOCARDIUM])
    for tesla in (1.5, 3.0):
        of_field = [ratio for field, ratio in ratios if field == tesla]
        print(f"blood / muscle in the cine at {tesla} T: {np.median(of_field):.2f}")
    print(
        f"T1 of muscle in the map minus the apparent T1 set: {np.mean(errors):.0f} ms on average, "
        f"{max(map(abs, errors)):.0f} at most"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--patients", type=int, default=8)
    arguments = parser.parse_args()
    training()
    truth(arguments.patients)
    brightness(arguments.patients)
    examination()
    return 0


if __name__ == "__main__":
    sys.exit(main())
