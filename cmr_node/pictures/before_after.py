"""One picture of a few stacks, large: as the demonstration shows them.

The promise kept here: a picture shows the patient, not the pixel grid.  Both halves of a panel
have one scale in mm, one grey window, and at each edge the direction of the patient it points
to, so that what was turned is seen and nothing looks turned that was not.  No display, no
``pyplot`` and no setting of matplotlib is touched; the same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.patheffects import withStroke

from cmr_node.pictures.picture import Panel, Picture, grey, reach_mm
from cmr_node.pictures.theme import FAINT, GROUND, INK, MARK
from cmr_node.pictures.words import Face

PANEL_INCHES = (7.2, 4.1)
HEADING_INCHES = 0.55
DOTS_PER_INCH = 110


def before_after_sheet(panels: Sequence[Panel], path: Path, heading: str = "") -> None:
    """Write one PNG with a panel for each stack: stored on the left, standardised on the right.

    Raises
    ------
    ValueError
        There is no panel.
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


def _draw_panel(area: SubFigure, panel: Panel) -> None:
    _write(area, 0.5, 0.945, panel.title, INK, 12, True)
    _write(area, 0.5, 0.065, panel.caption, FAINT, 9.5)
    reach = reach_mm(panel.shown) / 2 if panel.shown else 1.0
    after = "no picture" if panel.decision == "act" else "left as it is"
    for left, name, picture, otherwise in (
        (0.04, "stored", panel.before, "no picture"),
        (0.54, "standard", panel.after, after),
    ):
        axes = area.add_axes((left, 0.15, 0.42, 0.70))
        axes.set_axis_off()
        axes.set_xlim(-reach, reach)
        axes.set_ylim(reach, -reach)
        axes.set_aspect("equal")
        if picture is None:
            _write(axes, 0, 0, otherwise, FAINT, 11)
        else:
            _draw_picture(axes, picture, panel.window, name)
    if panel.after is not None:
        _write(area, 0.5, 0.5, "→", MARK, 20)


def _draw_picture(axes: Axes, picture: Picture, window: tuple[float, float], name: str) -> None:
    height, width = picture.size_mm
    axes.imshow(
        grey(picture.pixels, window),
        cmap="gray",
        vmin=0,
        vmax=1,
        extent=(-width / 2, width / 2, height / 2, -height / 2),
        interpolation="bicubic",
    )
    inset = 0.02 * max(height, width)
    x, y = width / 2 - inset, height / 2 - inset
    _write(axes, x, 0, picture.right, MARK, 10, True, "right", "center")
    _write(axes, -x, 0, picture.left, MARK, 10, True, "left", "center")
    _write(axes, 0, y, picture.bottom, MARK, 10, True, "center", "bottom")
    _write(axes, 0, -y, picture.top, MARK, 10, True, "center", "top")
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
    face = Face(size * DOTS_PER_INCH / 72, bold=bold)
    area.text(
        x,
        y,
        face.drawable(words),
        color=colour,
        fontproperties=face.properties(DOTS_PER_INCH),
        ha=across,
        va=along,
        parse_math=False,  # a dollar sign in a description is a dollar sign
        path_effects=[withStroke(linewidth=2.5, foreground=GROUND)],  # legible on white fat
    )
