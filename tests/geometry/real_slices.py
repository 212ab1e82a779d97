"""The real planes and slices beside the checkout, where there are any."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import pydicom
import pytest

from cmr_node.geometry.consistency import Slice
from cmr_node.geometry.plane import Plane

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SERIES = (
    "sunnybrook-cine/SC-HF-I-01/sax",
    "sunnybrook-cine/SC-HF-I-01/localizer",
    "sunnybrook-cine/SC-HF-I-04/sax",
    "sunnybrook-cine/SC-HF-I-04/localizer",
    "pig-cine/sax",
    "pig-cine/lax",
    "lge-t1/lge-psir",
    "lge-t1/t1map-molli",
    "lge-t1/t1map-wideband",
)
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no real data beside the checkout")

_KEYWORDS = [
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "TriggerTime",
    "InstanceNumber",
]


@cache
def planes(series: str) -> dict[Plane, Path]:
    """Every plane of a series once, with its earliest image after the R wave."""
    earliest: dict[Plane, tuple[float, int, Path]] = {}
    for path in sorted((DATA / series).iterdir()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the files' own errors, see the data's README
            ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_KEYWORDS)
        plane = Plane.from_dicom(
            ds.ImageOrientationPatient,
            ds.ImagePositionPatient,
            ds.PixelSpacing,
            ds.Rows,
            ds.Columns,
        )
        found = (float(ds.get("TriggerTime") or 0), int(ds.InstanceNumber), path)
        earliest[plane] = min(found, earliest.get(plane, found))
    return {plane: path for plane, (_, _, path) in earliest.items()}


@cache
def slices(series: str) -> tuple[Slice, ...]:
    """The slices of a series at end-diastole, in the order of their positions."""
    found = []
    for plane, path in planes(series).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(Slice(pydicom.dcmread(path).pixel_array, plane))
    return tuple(sorted(found, key=lambda item: float(item.plane.distance([0, 0, 0]))))
