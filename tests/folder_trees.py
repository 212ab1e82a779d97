"""Trees of files for the folder tool, and the tool run over them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset

from cmr_node.cli import main
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane, reorient
from cmr_node.geometry.standard_view import View, implied_orientation
from cmr_node.phantom.study import Plan, simulate_study
from tests.samples import part10_bytes
from tests.volumes import making

OWN = ".cmr-node"
TURNED = Orientation.ROT90CW
PLAN = Plan(
    seed=0,  # each study has a patient of its own
    views=(View.SAX, View.TWO_CHAMBER),
    slices=2,
    phases=2,
    rows=60,
    columns=72,
    pixel_spacing=4.0,
    stored_as={View.SAX: TURNED},
)
SHORT_AXIS = PLAN.slices * PLAN.phases
"""So many images of a study, its first, are stored turned; the others are as they should be."""

Record = dict[str, Any]


def images(seed: int) -> list[FileDataset]:
    """The images of a patient, the short axis first."""
    return list(simulate_study(replace(PLAN, seed=seed)))


@cache
def study(seed: int) -> tuple[bytes, ...]:
    """As ``images``, as files."""
    return tuple(part10_bytes(ds) for ds in images(seed))


def write(folder: Path, files: Sequence[bytes], name: Callable[[int], str]) -> list[Path]:
    """Write files below a folder; ``name`` gives the n-th its name."""
    paths = [folder / name(number) for number in range(len(files))]
    for path, content in zip(paths, files, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return paths


def numbered(number: int) -> str:
    """The name of the n-th file of a study."""
    return f"{number:04d}.dcm"


def nifti(
    path: Path,
    seed: int,
    stored: Orientation = Orientation.IDENTITY,
    *,
    repeats: int = 1,
    **fields: Any,
) -> Path:
    """A patient's short axis as a NIfTI file, stored turned; ``fields`` as in ``making.nifti``.

    The phantom's planes are put into the affine here, by hand: LPS to RAS, (column, row, slice).
    """
    cells: dict[tuple[float, ...], list[FileDataset]] = {}
    for ds in images(seed)[:SHORT_AXIS]:
        cells.setdefault(tuple(ds.ImagePositionPatient), []).append(ds)
    slices = list(cells.values())
    undone = stored.after(TURNED.inverse)
    values = np.array(
        [[undone.apply(ds.pixel_array) for ds in phase] for phase in zip(*slices, strict=True)]
    )
    planes = [reorient(plane_of(one[0]), undone) for one in slices]
    first = planes[0]
    affine = np.eye(4)
    affine[:3, 0] = np.multiply(first.row_direction, first.pixel_spacing[1])
    affine[:3, 1] = np.multiply(first.column_direction, first.pixel_spacing[0])
    affine[:3, 2] = np.subtract(planes[1].position, first.position)
    affine[:3, 3] = first.position
    affine[:2] *= -1
    values = np.tile(values, (repeats, 1, 1, 1)).astype(fields.pop("dtype", "int16"))
    return making.nifti(path, values, **{"sform": affine, "qform": affine} | fields)


# The tool


def command(*words: str | Path) -> list[str]:
    """A command line that starts the program as a process of its own."""
    return [sys.executable, "-m", "cmr_node", *map(str, words)]


def run(*words: str | Path) -> int:
    """The exit code of the command, run in this process: its own processes are real ones.

    One at work is enough for a few images; each takes a second to start.
    """
    workers = () if "--workers" in words else ("--workers", "1")
    return main([*map(str, words), *workers])


def reported(report: Path, *words: str | Path) -> tuple[int, list[Record]]:
    """The exit code of the command, and its records."""
    code = run(*words, "--json", report)
    return code, json.loads(report.read_bytes())


def record_of(records: Sequence[Record], file: str) -> Record:
    """The one record that names a file."""
    (found,) = [record for record in records if file in record["files"]]
    return found


def named(path: Path, root: Path) -> str:
    """How a record names a file of the tree."""
    return os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")


@contextmanager
def at_work(*words: str | Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The command at work in a session of its own; killed at the end if it still is."""
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command(*words), start_new_session=True, **silent | options)
    try:
        yield process
    finally:
        for survivor in relatives(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(survivor, signal.SIGKILL)
        process.wait()


# What lies in a tree


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a tree by its path; what the tool keeps for itself is left out."""
    return {named(path, root): path.read_bytes() for path in files_in(root)}


def files_in(root: Path) -> list[Path]:
    """Every plain file of a tree, in order; what the tool keeps for itself is left out."""
    found = [
        Path(folder, name)
        for folder, _, names in os.walk(root)
        for name in names
        if OWN not in Path(folder).relative_to(root).parts
    ]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def state(root: Path) -> dict[str, tuple[int, ...]]:
    """What changes if anything in a tree is touched: kind, size, inode and time of each name."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in [".", *folders, *names]:
            path = Path(folder, name)
            status = path.lstat()
            found[named(path, root)] = (
                status.st_mode,
                status.st_size,
                status.st_ino,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
    return found


def plane_of(ds: Dataset) -> Plane:
    """Where an image says it lies."""
    return Plane.from_dicom(
        ds.ImageOrientationPatient, ds.ImagePositionPatient, ds.PixelSpacing, ds.Rows, ds.Columns
    )


def is_standard(path: Path, view: View = View.SAX) -> bool:
    """Whether the header says that the image shows the standard view."""
    evidence = implied_orientation(plane_of(dcmread(path)), view)
    return evidence is not None and evidence.orientation is Orientation.IDENTITY


# Processes


def relatives(session: int) -> list[int]:
    """The processes of a session that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def waited_for(condition: Callable[[], object], seconds: float = 20, step: float = 0.005) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(step)
    return False
