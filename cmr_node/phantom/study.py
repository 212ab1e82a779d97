"""A simulated cardiac MR study as DICOM instances, with its truth.

The promise kept here: geometry is true unless a fault was ordered.  A series may be stored
turned, as wrongly set up scanners and converters store it, but its header turns with it, so every
pixel value lies where the patient's tissue was evaluated.  The truth of a study, which view each
series shows and which of the eight orientations it is stored in, comes beside the instances and
is in no header.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset

from cmr_node.phantom.dicom import headers
from cmr_node.phantom.dicom.enhanced import multi_frame
from cmr_node.phantom.dicom.parameters import parameters
from cmr_node.phantom.dicom.vendors import STYLES, Vendor
from cmr_node.phantom.plan import Plan
from cmr_node.phantom.schedule import Scanner, Schedule, schedule
from cmr_node.phantom.series import Series, Shot

__all__ = ["Plan", "Truth", "simulate_study", "stored", "truth", "write_study"]

Truth = dict[str, dict[str, str]]
"""Series Instance UID -> {"name": of its stack, "view": View, "stored_as": Orientation}; text."""

Watcher = Callable[[Series, Shot, npt.NDArray[np.uint16]], None]
"""Told of each slice: its series, itself, and its pixels (phases, rows, columns) as stored."""


def simulate_study(
    plan: Plan, watcher: Watcher | None = None, scanner: Scanner | None = None
) -> Iterator[FileDataset]:
    """Scan: series after series, all phases of one slice after the other.

    ``scanner`` is one that scanned the same patient before, for another vendor.

    Raises
    ------
    ValueError
        The plan names a view the phantom cannot show, or a fault that cannot be.
    """
    planned = schedule(plan)
    for _, ds in _simulated(plan, planned, watcher, scanner or Scanner(planned.patient)):
        yield ds


def truth(plan: Plan) -> Truth:
    """What each series of the study shows and how it is stored; see also ``truth``."""
    told = headers_of(plan, schedule(plan))
    return {
        str(told.series_uid(series)): {
            "name": series.name,
            "view": str(series.view),
            "stored_as": str(series.stored_as),
        }
        for series in schedule(plan).series
    }


def write_study(
    folder: Path,
    plan: Plan,
    progress: Callable[[int, int], None] = lambda done, total: None,
    watcher: Watcher | None = None,
    late: Path | None = None,
    scanner: Scanner | None = None,
) -> Truth:
    """Write the study as ``<folder>/<series number>/<instance number>.dcm``.

    What arrives late lies in the folder ``late`` instead, ``<folder>/late`` unless told.
    ``progress`` is called after each instance with the number written and the total.  See
    :func:`simulate_study` for ``scanner``.
    """
    late = late or folder / "late"
    planned = schedule(plan)
    total = instances(plan, planned)
    scanner = scanner or Scanner(planned.patient)
    simulated = _simulated(plan, planned, watcher, scanner)
    for done, (series, ds) in enumerate(simulated, start=1):
        place = (late if series.late else folder) / f"{ds.SeriesNumber:03d}"
        place.mkdir(parents=True, exist_ok=True)
        ds.save_as(place / f"{ds.InstanceNumber:04d}.dcm", enforce_file_format=True)
        progress(done, total)
    return truth(plan)


def instances(plan: Plan, planned: Schedule) -> int:
    """How many instances the study has."""
    if plan.in_multi_frames:
        return len(planned.series)
    return sum(len(one.shots) * one.scan.stack.phases for one in planned.series)


def headers_of(plan: Plan, planned: Schedule) -> headers.Study:
    """What the headers of all its images share."""
    return headers.Study(
        key=plan.key,
        patient=f"PHANTOM-{plan.seed}",
        heart_rate_bpm=planned.patient.heart_rate_bpm,
        style=STYLES[plan.vendor],
        described=plan.described,
    )


def _simulated(
    plan: Plan, planned: Schedule, watcher: Watcher | None, scanner: Scanner
) -> Iterator[tuple[Series, FileDataset]]:
    images = _images(plan, planned, watcher, scanner)
    if not plan.in_multi_frames:
        yield from images
        return
    for _, group in groupby(images, key=lambda pair: str(pair[1].SeriesInstanceUID)):
        pairs = list(group)
        whole = multi_frame([ds for _, ds in pairs], rescaled=plan.vendor is Vendor.PHILIPS)
        yield pairs[0][0], whole


def _images(
    plan: Plan, planned: Schedule, watcher: Watcher | None, scanner: Scanner
) -> Iterator[tuple[Series, FileDataset]]:
    study = headers_of(plan, planned)
    for series in planned.series:
        facts = parameters(planned.patient, series.scan.stack.protocol)
        for shot in series.shots:
            pixels = stored(series, scanner.take(series.scan, shot)[series.contrast])
            if watcher is not None:
                watcher(series, shot, pixels)
            for phase, image in enumerate(pixels):
                yield series, headers.image(study, series, shot, phase, facts, image)


def stored(series: Series, pixels: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """``pixels`` (..., rows, columns) as scanned, turned as this series stores them."""
    return series.stored_as.apply(pixels)
