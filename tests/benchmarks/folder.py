"""How fast the folder tool is, and how much memory it takes:  python -m tests.benchmarks.folder

    DICOM     simulated cine studies (--real FOLDER: the DICOM files there), of which every
              other is stored turned; beside it, in the same round, what one must do at least:
              pydicom reading and writing each file, one process
    NIfTI     the same studies as 4D volumes; beside it nibabel loading and saving each
    start     from the command to the first file in TARGET
    memory    a tree of 1000 and of 10 000 files: peak of the main process and of a worker

Every run is a process of its own, as a user starts it.  Medians; rounds are interleaved.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pydicom

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.study import Plan, simulate_study
from tests.samples import part10_bytes, uid

STUDY = Plan(seed=3, views=(View.SAX,), slices=10, phases=25, rows=208, columns=256,
             pixel_spacing=1.4)  # fmt: skip
TURNED = Plan(seed=3, views=(View.SAX,), slices=10, phases=25, rows=208, columns=256,
              pixel_spacing=1.4, stored_as={View.SAX: Orientation.ROT90CW})  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--real", type=Path, help="a folder of DICOM to take in place of studies")
    parser.add_argument("--only", choices=("speed", "memory"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cmr-node-folder-") as name:
        root = Path(name)
        if chosen.only != "memory":
            _speed(root, chosen.rounds, chosen.real)
        if chosen.only != "speed":
            _memory(root)


def _speed(root: Path, rounds: int, real: Path | None) -> None:
    dicom, volumes = root / "dicom", root / "nifti"
    if real is None:
        _write_tree(dicom, studies=4)
    else:
        shutil.copytree(real, dicom)
    _as_volumes(dicom, volumes)
    figures: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, source, bare in (
            ("DICOM", dicom, _pydicom), ("NIfTI", volumes, _nibabel)
        ):  # fmt: skip
            seconds, first, _ = _standardise(source, root / "out")
            figures.setdefault(f"{name}: cmr-node standardise", []).append(seconds)
            figures.setdefault(f"{name}: to the first file", []).append(first)
            figures.setdefault(f"{name}: {bare.__doc__}", []).append(_timed(bare, source, root))
    files = {"DICOM": len(list(_images(dicom))), "NIfTI": len(list(volumes.iterdir()))}
    megabytes = {
        "DICOM": sum(path.stat().st_size for path in _images(dicom)) / 1e6,
        "NIfTI": sum(path.stat().st_size for path in volumes.iterdir()) / 1e6,
    }
    for name, seconds in figures.items():
        kind, middle = name.partition(":")[0], statistics.median(seconds)
        rate = f"{files[kind] / middle:8.1f} files/s {megabytes[kind] / middle:7.1f} MB/s"
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(f"{name:45} {middle:7.2f} s ({spread}) {'' if 'first' in name else rate}")
    print(f"{files}, {megabytes}")


def _memory(root: Path) -> None:
    for studies in (4, 40):
        tree = root / f"tree-{studies}"
        _write_tree(tree, studies=studies, small=True)
        files = len(list(_images(tree)))
        seconds, _, (parent, worker) = _standardise(tree, root / "out")
        print(
            f"{files} files: {seconds:.1f} s, peak {parent:.0f} MB main process, "
            f"{worker:.0f} MB largest worker"
        )
        shutil.rmtree(tree)


def _write_tree(root: Path, *, studies: int, small: bool = False) -> None:
    """Studies that differ in their UIDs; every other one is stored turned."""
    for turned in (False, True):
        plan = TURNED if turned else STUDY
        images = list(simulate_study(plan))
        for number in range(turned, studies, 2):
            folder = root / f"study{number}"
            folder.mkdir(parents=True)
            for ds in images:
                if small:
                    ds.Rows, ds.Columns = 52, 64
                    ds.PixelData = bytes(52 * 64 * 2)
                ds.StudyInstanceUID = uid("study", number)
                ds.SeriesInstanceUID = uid("series", number)
                ds.FrameOfReferenceUID = uid("frame", number)
                ds.SOPInstanceUID = uid("instance", number, ds.InstanceNumber)
                ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
                (folder / f"{ds.InstanceNumber:04d}").write_bytes(part10_bytes(ds))


def _images(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.open("rb").read(132)[128:] == b"DICM":
            yield path


def _as_volumes(dicom: Path, volumes: Path) -> None:
    """Each short axis series as one 4D NIfTI, by dcm2niix."""
    volumes.mkdir()
    subprocess.run(
        ["dcm2niix", "-z", "y", "-b", "n", "-f", "%j_cine_sax", "-o", str(volumes), str(dicom)],
        check=True,
        capture_output=True,
    )
    for path in volumes.iterdir():
        if nibabel.load(path).ndim != 4:
            path.unlink()


def _standardise(source: Path, target: Path) -> tuple[float, float, tuple[float, float]]:
    """Seconds in all, seconds to the first file, and the peaks (MB) of parent and worker."""
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "cmr_node", "standardise", str(source), str(target)]
    began, first, parent, workers = time.monotonic(), 0.0, 0.0, {}
    process = subprocess.Popen(
        [*command, "--sequence", "cine"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while process.poll() is None:
        if not first and any(p.is_dir() and p.name != ".cmr-node" for p in _listed(target)):
            first = time.monotonic() - began
        if not first and any(p.is_file() for p in _listed(target)):
            first = time.monotonic() - began
        parent = max(parent, _peak(process.pid))
        for pid in _below(process.pid):
            workers[pid] = max(workers.get(pid, 0.0), _peak(pid))
        time.sleep(0.02)
    seconds = time.monotonic() - began
    assert process.returncode in (0, 1), process.stderr and process.stderr.read()
    return seconds, first, (parent, max(workers.values(), default=0.0))


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _peak(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(lines.get("VmHWM", "0 kB").split()[0]) / 1024


def _below(pid: int) -> list[int]:
    """The descendants of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += children
        for child in children:
            found += _below(child)
    return found


def _timed(bare: Callable[[Path, Path], None], source: Path, root: Path) -> float:
    target = root / "bare"
    target.mkdir()
    began = time.monotonic()
    bare(source, target)
    seconds = time.monotonic() - began
    shutil.rmtree(target)
    return seconds


def _pydicom(source: Path, target: Path) -> None:
    """pydicom reads and writes, one process"""
    for number, path in enumerate(_images(source)):
        ds = pydicom.dcmread(path)
        ds.PixelData = np.ascontiguousarray(ds.pixel_array).tobytes()
        ds.save_as(target / str(number))


def _nibabel(source: Path, target: Path) -> None:
    """nibabel loads and saves, one process"""
    for path in source.iterdir():
        image = nibabel.load(path)
        nibabel.save(
            nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine), target / path.name
        )


if __name__ == "__main__":
    main()
