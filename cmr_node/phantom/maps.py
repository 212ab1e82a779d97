"""Label maps and true relaxation times of every stack, as NIfTI files.

The promise kept here: a map lies where the header of the stored series says its pixels lie, and
is turned as they are, so the two can be laid over each other voxel by voxel; where a fault made
the header wrong, the map is as wrong.

Slices are those of the stack as planned, in order along F1 x F2, as readers of DICOM series sort
them; a slice that a fault dropped is there.  Tissue is that at the centre of each voxel, moved as
the breath-hold of its slice was.

    <stack>_labels.nii.gz        ``Tissue`` at the phase of the still image, uint8
    <stack>_labels_ed.nii.gz     of a cine: first phase, and _es the one nearest to end-systole
    <stack>_t1.nii.gz, _t2       ms, float32, of the first; after contrast medium for enhancement
    t1_sax_apparent.nii.gz       what a perfect map of this train shows, ms, float32

A phase-sensitive series has the maps of the magnitude it comes with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from cmr_node.geometry.standard_view import View
from cmr_node.phantom.body.motion import END_SYSTOLE
from cmr_node.phantom.scanner import render
from cmr_node.phantom.scanner.scan import Contrast, label_map
from cmr_node.phantom.scanner.signals import relaxation
from cmr_node.phantom.schedule import Schedule
from cmr_node.phantom.series import Series


def write_maps(folder: Path, planned: Schedule) -> dict[str, dict[str, Any]]:
    """Write the maps of all stacks but the localizer.

    Returns
    -------
    Name of the stack -> what a file shows -> its name; and ``phase`` of each label map of a cine
    -> zero-based index of the phase.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stacks = {}
    for series in planned.series:
        if series.view is not View.OTHER and series.name not in stacks:
            stacks[series.name] = series
    return {
        name: _write_stack(folder, planned, series)
        for name, series in stacks.items()
        if series.contrast is not Contrast.PHASE_SENSITIVE
    }


def _write_stack(folder: Path, planned: Schedule, series: Series) -> dict[str, Any]:
    patient, stack = planned.patient, series.scan.stack
    told: dict[str, Any] = {}
    if series.contrast is Contrast.CINE:
        systole = min(round(END_SYSTOLE * stack.phases), stack.phases - 1)
        told["phase"] = {"labels_ed": 0, "labels_es": systole}
        times = {"labels_ed": 0.0, "labels_es": systole / stack.phases}
    else:
        times = {"labels": render.QUIET}
    found = {}
    for what, time in times.items():
        found[what] = np.stack(
            [
                series.stored_as.apply(label_map(patient, cut, stack.protocol.thickness, time))
                for cut in series.scan.cuts
            ]
        )
    first = next(iter(found.values()))
    tesla = stack.protocol.tesla
    enhanced = series.contrast is Contrast.LATE_ENHANCEMENT
    t1, t2, _ = relaxation(tesla, patient.tissue_jitter, gadolinium=enhanced)
    maps: dict[str, npt.NDArray[Any]] = {
        **found,
        "t1": t1.astype(np.float32)[first],
        "t2": t2.astype(np.float32)[first],
    }
    if isinstance(stack.protocol, render.T1Map):
        shown = stack.protocol.train.apparent(t1, t2, 60_000 / patient.heart_rate_bpm)
        maps["apparent"] = shown.astype(np.float32)[first]
    for what, values in maps.items():
        told[what] = f"{series.name}_{what}.nii.gz"
        sitk.WriteImage(_placed(series, values), str(folder / told[what]), useCompression=True)
    return told


def _placed(series: Series, values: npt.NDArray[Any]) -> Any:
    """``values`` (slices, rows, columns) where the header of the series has them."""
    planes = [series.header_plane(cut) for cut in series.scan.cuts]
    along = np.argsort([plane.position @ planes[0].normal for plane in planes])
    planes = [planes[index] for index in along]
    first, last = (np.array(planes[end].position) for end in (0, -1))
    gap = series.scan.stack.protocol.thickness
    if len(planes) > 1:
        gap = float(np.linalg.norm(last - first)) / (len(planes) - 1)
    between_rows, between_columns = planes[0].pixel_spacing
    image: Any = sitk.GetImageFromArray(values[along])
    image.SetSpacing((between_columns, between_rows, gap))
    image.SetOrigin(planes[0].position)
    axes = np.stack([planes[0].row_direction, planes[0].column_direction, planes[0].normal], axis=1)
    image.SetDirection(axes.ravel().tolist())
    return image
