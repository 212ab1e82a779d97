"""One simulated study on disk: what a scanner sends, and the truth beside it.

The promise kept here: the same plan gives the same files, byte by byte.

    <folder>/study/<series number>/<instance number>.dcm
    <folder>/late/...           what arrives after the rest
    <folder>/truth/truth.json   see ``truth``
    <folder>/truth/*.nii.gz     see ``maps``
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmr_node.phantom.maps import write_maps
from cmr_node.phantom.plan import Plan
from cmr_node.phantom.schedule import Scanner, schedule
from cmr_node.phantom.series import Series, Shot
from cmr_node.phantom.sheet import COLUMNS, Row
from cmr_node.phantom.study import write_study
from cmr_node.phantom.truth import study_truth

Image = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Case:
    """What was written."""

    folder: Path
    size_bytes: int  #: of the DICOM files
    row: Row  #: for the contact sheet


def write_case(
    folder: Path,
    plan: Plan,
    scanner: Scanner | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Case:
    """Write study and truth into ``folder``; see ``study.write_study`` for the rest.

    Raises
    ------
    ValueError
        The plan cannot be; nothing was written.
    """
    planned = schedule(plan)
    shown: dict[str, tuple[Image, float]] = {}

    def watch(series: Series, shot: Shot, pixels: Image) -> None:
        indices = sorted({cut.index for cut in series.scan.cuts})
        for column in COLUMNS:
            if column.series == series.name and shot.cut.index == column.pick(indices):
                shown.setdefault(column.title, (pixels[0], series.scan.stack.pixel_spacing))

    write_study(folder / "study", plan, progress, watch, late=folder / "late", scanner=scanner)
    facts = study_truth(plan)
    facts["maps"] = write_maps(folder / "truth", planned)
    (folder / "truth" / "truth.json").write_text(json.dumps(facts, indent=1) + "\n")
    files = [*(folder / "study").rglob("*.dcm"), *(folder / "late").rglob("*.dcm")]
    title = f"{facts['patient']['id']}, {facts['patient']['group']}, {plan.vendor} "
    title += f"{plan.protocol.tesla:g} T"
    return Case(folder, sum(file.stat().st_size for file in files), Row(title, shown))
