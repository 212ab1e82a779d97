"""Slices with what was outlined in them, in a block of a result page.

The promise kept here: all slices of a page have one scale in mm, one grey window and one place in
the picture, so that a heart is seen to move; a line runs along the edges of the pixels that were
outlined, and is not smoothed.  Structures differ in colour (Okabe and Ito 2008) and in dashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cmr_node.measures.masks import Structure
from cmr_node.pictures.page import axes_at, label
from cmr_node.pictures.picture import Picture, grey
from cmr_node.pictures.theme import INK, MARK

Square = tuple[float, float, float]  #: middle, down and right from the corner; side; mm

MOST_SLICES = 12
MARGIN_MM, LEAST_MM = 14.0, 60.0  #: round what is outlined; side of the square shown
DASHES: dict[str, Literal["-", "--", "-."]] = {"endo": "-", "epi": "--", "rv": "-."}
COLOURS = {"endo": "#f0a30a", "epi": "#4fd6a4", "rv": "#56b4e9"}
NAMES = {"endo": "LV endocardium", "epi": "LV epicardium", "rv": "RV endocardium"}

_BLOCK = (606.0, 472.0)  #: (width, height), px
_GAP = 4
_SAMPLES = 4  # of an image pixel, in each direction, where lines are drawn


@dataclass(frozen=True, slots=True)
class OutlinedSlice:
    """One slice at one phase.

    picture
        The image, in the view in which it is read.
    labels
        (rows, columns) on its pixels, values of ``Structure``.

    Raises
    ------
    ValueError
        The two differ in shape.
    """

    picture: Picture
    labels: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.labels.shape != self.picture.pixels.shape:
            raise ValueError(
                f"labels of shape {self.labels.shape} on a picture of {self.picture.pixels.shape}"
            )


def draw_slices(
    figure: Figure,
    left: int,
    slices: Sequence[OutlinedSlice],
    window: tuple[float, float],
    square: Square,
) -> None:
    """The slices from base to apex, their block ``left`` px from the edge of the page."""
    picked = sorted({*np.linspace(0, len(slices) - 1, MOST_SLICES).round().astype(int)})
    across = 2 if len(picked) <= 4 else 3 if len(picked) <= 9 else 4
    down = -(-len(picked) // across)
    side = min(_BLOCK[0] / across, _BLOCK[1] / down) - _GAP
    inset = (_BLOCK[0] - across * (side + _GAP)) / 2
    for place, index in enumerate(picked):
        row, column = divmod(place, across)
        axes = axes_at(
            figure, left + inset + column * (side + _GAP), 90 + row * (side + _GAP), side, side
        )
        axes.set_axis_off()
        _draw_slice(axes, slices[index], window, square)
        ends = {0: " base", len(slices) - 1: " apex"} if len(slices) > 1 else {}
        label(axes, 0.03, 0.97, f"{index + 1}{ends.get(index, '')}", INK, "left", "top")
        if place == 0:
            picture = slices[index].picture
            label(axes, 0.97, 0.5, picture.right, MARK, "right", "center")
            label(axes, 0.03, 0.5, picture.left, MARK, "left", "center")
            label(axes, 0.5, 0.03, picture.bottom, MARK, "center", "bottom")
            label(axes, 0.5, 0.97, picture.top, MARK, "center", "top")


def _draw_slice(
    axes: Axes, one: OutlinedSlice, window: tuple[float, float], square: Square
) -> None:
    between_rows, between_columns = one.picture.pixel_spacing
    rows, columns = one.labels.shape
    axes.imshow(
        grey(one.picture.pixels, window),
        cmap="gray",
        vmin=0,
        vmax=1,
        extent=(0, columns * between_columns, rows * between_rows, 0),
        interpolation="bicubic",
    )
    for name, mask in _outlines(one.labels).items():
        if mask.any():
            # Each pixel as a square of samples: the line runs along the edges of pixels, and a
            # structure of one pixel has one.  What lies outside is not looked at, to save time.
            found = np.argwhere(mask)
            (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0) + 1
            block = np.ones((_SAMPLES, _SAMPLES), np.uint8)
            fine = np.pad(np.kron(mask[top:bottom, left:right], block), 1)
            x = (left + (np.arange(fine.shape[1]) - 0.5) / _SAMPLES) * between_columns
            y = (top + (np.arange(fine.shape[0]) - 0.5) / _SAMPLES) * between_rows
            axes.contour(
                x, y, fine, [0.5], colors=COLOURS[name], linewidths=1.4, linestyles=DASHES[name]
            )
    down, across, side = square
    axes.set_xlim(across - side / 2, across + side / 2)
    axes.set_ylim(down + side / 2, down - side / 2)
    axes.set_aspect("equal")


def _outlines(labels: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.bool_]]:
    cavity = labels == Structure.LV_BLOOD
    return {
        "rv": labels == Structure.RV_BLOOD,
        "epi": cavity | (labels == Structure.LV_MYOCARDIUM),
        "endo": cavity,
    }


def shown_square(slices: Sequence[OutlinedSlice]) -> Square:
    """What is shown of every slice: all that is outlined in any, with its margin."""
    spacing = np.array(slices[0].picture.pixel_spacing)
    found = [np.argwhere(one.labels) for one in slices]
    corners = np.concatenate([*found, *(one + 1 for one in found)]) * spacing
    if not len(corners):
        corners = np.array([(0, 0), slices[0].labels.shape]) * spacing
    low, high = corners.min(axis=0), corners.max(axis=0)
    down, right = (low + high) / 2
    return float(down), float(right), max(LEAST_MM, float(max(high - low)) + 2 * MARGIN_MM)


def shown_values(one: OutlinedSlice) -> npt.NDArray[np.float64]:
    """Every other value of the image in each direction, for the grey window."""
    return one.picture.pixels[::2, ::2].astype(np.float64).ravel()
