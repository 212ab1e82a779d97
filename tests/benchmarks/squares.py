"""Squares round the heart, simulated and real, cut to the same millimetres.

The promise kept here: a simulated and a real square differ in what is in the picture and not in how
it was cut: same size, same pixel, same grey scale, standard view, masks a pixel inside what they
mask.  Real images are read where they lie and never changed.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pydicom
from matplotlib.image import imread
from scipy.ndimage import binary_erosion, uniform_filter, zoom

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.groups import Group
from cmr_node.phantom.body.tissues import LV_CAVITY, LV_MUSCLE
from cmr_node.phantom.scanner.render import QUIET, Cine, Protocol
from cmr_node.phantom.scanner.scan import Contrast, Stack, cuts, label_map, scan_cut

Pixels = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

SIDE_MM, PIXEL_MM = 150.0, 1.33  #: 1.33 is Sunnybrook's own, so that its pixels are shown as stored
SIDE = round(SIDE_MM / PIXEL_MM)
LEVELS = {"base": 0.15, "mid": 0.5, "apex": 0.85}  #: of the slices that show muscle, from the base
FEWEST = 20  #: pixels of muscle or blood that a slice is measured with


@dataclass(frozen=True, slots=True)
class Square:
    """One picture; masks are empty where nothing marks blood and muscle."""

    title: str
    pixels: Pixels  #: (SIDE, SIDE), as stored
    blood: Mask  #: of the left ventricle with its papillary muscles, a pixel inside it
    muscle: Mask

    @property
    def grey(self) -> Pixels:
        """0 to 1 between the 1st and 99th centile of the square."""
        low, high = np.percentile(self.pixels, (1, 99))
        return np.asarray(np.clip((self.pixels - low) / max(high - low, 1e-6), 0, 1))

    @property
    def measurable(self) -> bool:
        return min(int(self.blood.sum()), int(self.muscle.sum())) >= FEWEST


def simulated(
    seed: int,
    protocol: Protocol,
    contrast: Contrast,
    group: Group | None = None,
    levels: tuple[float, ...] = tuple(LEVELS.values()),
) -> list[Square]:
    """Short-axis slices of one patient at these shares of its ventricle."""
    patient = Patient.draw(seed, group)
    phase = 0.0 if isinstance(protocol, Cine) else QUIET
    stack = Stack(View.SAX, protocol, slices=13, gap=8.0, shape=(220, 220), pixel_spacing=PIXEL_MM)
    shown = []
    for cut in cuts(patient, stack, (seed,)):
        labels = label_map(patient, cut, protocol.thickness, phase)
        if np.isin(labels, LV_MUSCLE).sum() > 300:  # else the slice lies beyond the ventricle
            shown.append((cut, labels))
    squares = []
    for level in levels:
        cut, labels = shown[round(level * (len(shown) - 1))]
        pixels = scan_cut(patient, cut, stack, np.random.default_rng([seed, cut.index]))
        inside = np.isin(labels, LV_CAVITY) | np.isin(labels, LV_MUSCLE)
        centre = _centre(inside)
        squares.append(
            Square(
                f"{patient.group} {seed}",
                _cut(pixels[contrast][0].astype(float), centre),
                _cut(binary_erosion(np.isin(labels, LV_CAVITY)), centre),
                _cut(binary_erosion(np.isin(labels, LV_MUSCLE)), centre),
            )
        )
    return squares


def sunnybrook(data: Path) -> Iterator[list[Square]]:
    """The end-diastolic slices of each patient whose masks fit, from base to apex."""
    folder = data / "sunnybrook-slices"
    with (folder / "index.csv").open(newline="") as table:
        rows = [
            row
            for row in csv.DictReader(table)
            if row["phase"] == "ED" and row["has_epi"] == "1" and row["masks_usable"] == "1"
        ]
    rows.sort(key=lambda row: (row["patient"], int(row["slice_index"])))
    for patient, slices in groupby(rows, key=lambda row: row["patient"]):
        squares = []
        for row in slices:
            back = Orientation(row["stored_as"]).inverse
            picture, endo, epi = (
                back.apply(np.rint(255 * imread(folder / kind / row["file"])))
                for kind in ("images", "endo", "epi")
            )
            centre = _centre(epi > 0)
            squares.append(
                Square(
                    patient,
                    _cut(picture, centre),
                    _cut(binary_erosion(endo > 0), centre),
                    _cut(binary_erosion((epi > 0) & (endo == 0)), centre),
                )
            )
        yield squares


def at_levels(squares: list[Square]) -> list[Square]:
    """Of all slices of a patient those at ``LEVELS``."""
    return [squares[round(level * (len(squares) - 1))] for level in LEVELS.values()]


def unmarked(folder: Path, centre_mm: tuple[float, float], every: int) -> list[Square]:
    """Every n-th DICOM image of a folder round a place (down, right) in mm from its middle."""
    squares = []
    for path in sorted(folder.glob("*.dcm"))[::every]:
        ds = pydicom.dcmread(path)
        down, right = (float(spacing) for spacing in ds.PixelSpacing)
        pixels = zoom(ds.pixel_array.astype(float), (down / PIXEL_MM, right / PIXEL_MM), order=1)
        middle = [
            size / 2 + mm / PIXEL_MM for size, mm in zip(pixels.shape, centre_mm, strict=True)
        ]
        nothing = np.zeros(pixels.shape, np.bool_)
        squares.append(
            Square(
                path.stem,
                *(_cut(part, (middle[0], middle[1])) for part in (pixels, nothing, nothing)),
            )
        )
    return squares


def ratios(squares: list[Square]) -> npt.NDArray[np.float64]:
    """Median of blood by median of muscle of each square that can be measured."""
    return np.array(
        [
            np.median(one.pixels[one.blood]) / max(np.median(one.pixels[one.muscle]), 1.0)
            for one in squares
            if one.measurable
        ]
    )


def unevenness(squares: list[Square], mask: Callable[[Square], Mask]) -> float:
    """Interquartile range by median inside a mask, the median over squares."""
    found = []
    for one in squares:
        if one.measurable:
            low, middle, high = np.percentile(one.pixels[mask(one)], (25, 50, 75))
            found.append((high - low) / max(middle, 1.0))
    return float(np.median(found))


def grain(squares: list[Square], mask: Callable[[Square], Mask]) -> float:
    """Noise and finest texture: what is left of 5 x 5 means taken away, sd by median.

    The sd is 1.48 times the median of magnitudes, the median over squares is returned.
    """
    found = []
    for one in squares:
        inside = binary_erosion(mask(one))
        if one.measurable and inside.sum() >= FEWEST:
            left = one.pixels - uniform_filter(one.pixels, 5)
            middle = max(float(np.median(one.pixels[inside])), 1.0)
            found.append(1.4826 * np.median(np.abs(left[inside])) / middle)
    return float(np.median(found))


def _centre(mask: Mask) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return float(rows.mean()), float(columns.mean())


def _cut(pixels: npt.NDArray[Scalar], centre: tuple[float, float]) -> npt.NDArray[Scalar]:
    """(SIDE, SIDE) round ``centre``; zero where the picture has ended."""
    wide = np.pad(pixels, SIDE)
    row, column = (round(place) - SIDE // 2 + SIDE for place in centre)
    return wide[row : row + SIDE, column : column + SIDE]
