"""dcmqi, which 3D Slicer reads Segmentations with: an independent reader."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = shutil.which("segimage2itkimage") or shutil.which(
    "segimage2itkimage", path=str(Path(sys.executable).parent)
)
needs_dcmqi = pytest.mark.skipif(
    PROGRAM is None, reason="dcmqi (segimage2itkimage) is not installed"
)


def segments(segmentation: Path, folder: Path) -> dict[int, Path]:
    """Segment Number -> a NIfTI file of that segment."""
    folder.mkdir()
    subprocess.run(
        [
            str(PROGRAM),
            *("--inputDICOM", str(segmentation), "--outputDirectory", str(folder)),
            *("--outputType", "nii", "--prefix", "segment"),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return {int(path.name.split("-")[1].split(".")[0]): path for path in folder.glob("*.nii*")}
