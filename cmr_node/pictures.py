"""Pictures for people: how a stack was stored and how it is now, side by side.

The promise kept here: a picture shows the patient, not the pixel grid.  Both halves of a panel
have one scale in mm, one grey window, and at each edge the direction of the patient it points
to, so that what was turned is seen and nothing looks turned that was not.  No display, no
``pyplot`` and no setting of matplotlib is touched; the same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.patheffects import withStroke
from scipy.ndimage import gaussian_filter

from cmr_node.geometry.plane import Plane, patient_orientation

Image = npt.NDArray[np.generic]

OPPOSITE = str.maketrans("LRPAHF", "RLAPFH")
WINDOW_PERCENT = (1.0, 99.5)  #: grey values shown black and white
GROUND, INK, FAINT, MARK = "#14171c", "#e8eaed", "#9aa0a6", "#f2c14e"
PANEL_INCHES = (7.2, 4.1)
HEADING_INCHES = 0.55
DOTS_PER_INCH = 110


@dataclass(frozen=True, slots=True)
class Picture:
    """One grey picture and where its edges point to.

    pixels
        (rows, columns), any real type.
    pixel_spacing
        (between rows, between columns), mm.
    right, bottom
        Letters of the patient directions there (L R A P H F); "" shows none.
    """

    pixels: Image
    pixel_spacing: tuple[float, float] = (1.0, 1.0)
    right: str = ""
    bottom: str = ""

    @classmethod
    def on(cls, plane: Plane, pixels: Image) -> Self:
        """``pixels`` on their plane, which says spacing and letters."""
        right, bottom = patient_orientation(plane)
        return cls(pixels, plane.pixel_spacing, right, bottom)

    @property
    def size_mm(self) -> tuple[float, float]:
        """(height, width), mm."""
        rows, columns = self.pixels.shape
        return rows * self.pixel_spacing[0], columns * self.pixel_spacing[1]


@dataclass(frozen=True, slots=True)
class Panel:
    """One stack on the sheet.

    title
        What it is, for example ``cine SAX, slice 4 of 8``.
    caption
        What was decided and why, one or two lines.
    before
        As it was stored.
    after
        As it is now; None if it was left alone.
    """

    title: str
    caption: str
    before: Picture
    after: Picture | None


def before_after_sheet(panels: Sequence[Panel], path: Path, heading: str = "") -> None:
    """Write one PNG with a panel for each stack: stored on the left, standardised on the right.

    Raises
    ------
    ValueError
        There is no panel, or a picture is not two-dimensional.
    OSError
        ``path`` cannot be written.
    """
    if not panels:
        raise ValueError("a sheet needs at least one panel")
    across = 1 if len(panels) <= 3 else 2
    down = -(-len(panels) // across)
    width, height = PANEL_INCHES
    top = HEADING_INCHES if heading else 0.05
    figure = Figure((across * width, down * height + top), dpi=DOTS_PER_INCH, facecolor=GROUND)
    grid = figure.add_gridspec(down + 1, across, height_ratios=[top] + [height] * down)
    grid.update(left=0, right=1, bottom=0, top=1, wspace=0, hspace=0)
    _write(figure.add_subfigure(grid[0, :], facecolor=GROUND), 0.5, 0.4, heading, INK, 15, True)
    for index, panel in enumerate(panels):
        row, column = divmod(index, across)
        _draw_panel(figure.add_subfigure(grid[row + 1, column], facecolor=GROUND), panel)
    FigureCanvasAgg(figure)
    figure.savefig(
        path, format="png", dpi=DOTS_PER_INCH, facecolor=GROUND, metadata={"Software": None}
    )


def terminal_picture(pixels: Image, columns: int = 48, spacing_ratio: float = 1.0) -> str:
    """A small grey picture for a terminal with 256 colours.

    Parameters
    ----------
    pixels
        (rows, columns).
    columns
        Width in characters; a character shows two pixels, one above the other.
    spacing_ratio
        Distance between rows divided by that between columns.

    Returns
    -------
    Lines of upper half blocks with ANSI colour codes, each ending with a reset.
    """
    low, high = _window(pixels)
    rows = max(1, round(columns * pixels.shape[0] * spacing_ratio / pixels.shape[1] / 2))
    step = np.array(pixels.shape) / (2 * rows, columns)
    smooth = gaussian_filter(pixels.astype(np.float64), np.maximum(step - 1, 0) / 2)
    places = [
        ((np.arange(count) + 0.5) * size / count).astype(int)
        for count, size in zip((2 * rows, columns), pixels.shape, strict=True)
    ]
    share = np.clip((smooth[np.ix_(*places)] - low) / (high - low), 0, 1)
    grey = 232 + np.rint(23 * share).astype(int)  # the 24 greys of the 256 colours
    return "\n".join(
        "".join(f"\x1b[38;5;{a};48;5;{b}m▀" for a, b in zip(upper, lower, strict=True)) + "\x1b[0m"
        for upper, lower in zip(grey[0::2], grey[1::2], strict=True)
    )


def _draw_panel(area: SubFigure, panel: Panel) -> None:
    _write(area, 0.5, 0.945, panel.title, INK, 12, True)
    _write(area, 0.5, 0.065, panel.caption, FAINT, 9.5)
    shown = [picture for picture in (panel.before, panel.after) if picture is not None]
    window = _window(panel.before.pixels)
    reach = max(max(picture.size_mm) for picture in shown) / 2
    for left, name, picture in ((0.04, "stored", panel.before), (0.54, "standard", panel.after)):
        axes = area.add_axes((left, 0.15, 0.42, 0.70))
        axes.set_axis_off()
        axes.set_xlim(-reach, reach)
        axes.set_ylim(reach, -reach)
        axes.set_aspect("equal")
        if picture is None:
            _write(axes, 0, 0, "left as it is", FAINT, 11)
        else:
            _draw_picture(axes, picture, window, name)
    if panel.after is not None:
        _write(area, 0.5, 0.5, "→", MARK, 20)


def _draw_picture(axes: Axes, picture: Picture, window: tuple[float, float], name: str) -> None:
    height, width = picture.size_mm
    axes.imshow(
        picture.pixels,
        cmap="gray",
        vmin=window[0],
        vmax=window[1],
        extent=(-width / 2, width / 2, height / 2, -height / 2),
        interpolation="bicubic",
    )
    inset = 0.02 * max(height, width)
    x, y = width / 2 - inset, height / 2 - inset
    right, bottom = picture.right, picture.bottom
    _write(axes, x, 0, right, MARK, 10, True, "right", "center")
    _write(axes, -x, 0, right.translate(OPPOSITE), MARK, 10, True, "left", "center")
    _write(axes, 0, y, bottom, MARK, 10, True, "center", "bottom")
    _write(axes, 0, -y, bottom.translate(OPPOSITE), MARK, 10, True, "center", "top")
    _write(axes, -x, -y, name, INK, 8.5, False, "left", "top")


def _write(
    area: SubFigure | Axes,
    x: float,
    y: float,
    words: str,
    colour: str,
    size: float,
    bold: bool = False,
    across: Literal["left", "center", "right"] = "center",
    along: Literal["top", "center", "bottom"] = "center",
) -> None:
    area.text(
        x,
        y,
        words,
        color=colour,
        size=size,
        weight="bold" if bold else "normal",
        ha=across,
        va=along,
        parse_math=False,  # a dollar sign in a description is a dollar sign
        path_effects=[withStroke(linewidth=2.5, foreground=GROUND)],  # legible on white fat
    )


def _window(pixels: Image) -> tuple[float, float]:
    if pixels.ndim != 2:
        raise ValueError(f"a picture has two dimensions, found {pixels.ndim}")
    low, high = np.percentile(pixels.astype(np.float64), WINDOW_PERCENT)
    return float(low), float(max(high, low + 1e-9))
