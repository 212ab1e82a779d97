"""Where the scanner puts the planes of each view in a patient, and how it draws them.

The frames come from the patient's heart and not from the directions by which the node judges a
header, so that one can be tested against the other.  Technologists miss the axes of the heart by
a few degrees; so do these planes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.body.fields import unit
from cmr_node.phantom.body.heart import Heart

Vector = npt.NDArray[np.float64]

TILT_SD_DEG = 3.0  #: of a plane against the heart
TURN_SD_DEG = 4.0  #: of a picture in its plane
VIEWS = (View.SAX, View.TWO_CHAMBER, View.FOUR_CHAMBER)  #: what a plan scans unless told
STANDARD_DEG = {
    View.SAX: 180.0,
    View.TWO_CHAMBER: 158.0,
    View.THREE_CHAMBER: 176.0,
    View.FOUR_CHAMBER: -45.0,
}
"""Where the standard view has the septum (short axis) or the apex, clockwise from the right."""
POSSIBLE = tuple(STANDARD_DEG)


def view_planes(
    heart: Heart,
    view: View,
    *,
    shape: tuple[int, int],
    pixel_spacing: float,
    slices: int,
    gap: float,
    rng: np.random.Generator,
    turn_deg: float = 0.0,
) -> tuple[Plane, ...]:
    """The planes of one view as seen in the standard view; a long axis is a single plane.

    Parameters
    ----------
    shape
        (rows, columns) of the picture.
    pixel_spacing, gap
        mm; ``gap`` is the distance between neighbouring short-axis slices, first at the base.
    slices
        Number of short-axis slices.
    turn_deg
        By how much the picture is turned clockwise in its plane away from the standard view, as
        technologists turn it to keep arms out; 0 to 360.

    Raises
    ------
    ValueError
        The view is none of ``POSSIBLE``.
    """
    if view not in POSSIBLE:
        raise ValueError(f"the phantom has no view {view}, allowed are {', '.join(POSSIBLE)}")
    right, down = _turned(*_jitter(*_frame(heart, view), rng), -turn_deg)
    if view is View.SAX:
        along = np.cross(down, right)  # base to apex
        middle = heart.place(12, 0, 0.47 * heart.length)
        steps = (np.arange(slices) - (slices - 1) / 2) * gap
        centres = [middle + step * along for step in steps]
    else:
        septal, anterior = {View.FOUR_CHAMBER: (12, -5), View.THREE_CHAMBER: (6, 6)}.get(
            view, (0, 0)
        )
        centres = [heart.place(septal, anterior, 0.30 * heart.length)]
    return tuple(_plane(centre, right, down, shape, pixel_spacing) for centre in centres)


def _frame(heart: Heart, view: View) -> tuple[Vector, Vector]:
    """(right, down) of the picture, unit vectors in LPS."""
    septal, anterior, apical = heart.axes
    mark = apical
    match view:
        case View.SAX:  # seen from the apex: right ventricle left, anterior wall up
            mark, beside = septal, anterior
        case View.TWO_CHAMBER:  # apex left and a little down, anterior wall up
            beside = anterior
        case View.THREE_CHAMBER:  # apex left, outflow tract and aortic root above the atrium
            root = heart.atria.root
            beside = unit(septal * root[0] + anterior * root[1])
        case _:  # apex up and right, right heart left, leaning from the septum to its lower part
            beside, _ = _turned(-septal, anterior, 5)
    # With the mark to the right and ``beside`` below, until turned to where the mark belongs.
    return _turned(mark, beside, -STANDARD_DEG[view])


def _turned(right: Vector, down: Vector, angle_deg: float) -> tuple[Vector, Vector]:
    """The frame turned clockwise in its picture: ``right`` moves towards ``down``."""
    angle = np.radians(angle_deg)
    return (
        right * np.cos(angle) + down * np.sin(angle),
        down * np.cos(angle) - right * np.sin(angle),
    )


def localizers(
    heart: Heart, *, shape: tuple[int, int], pixel_spacing: float, slices: int, gap: float
) -> tuple[Plane, ...]:
    """Axial, sagittal and coronal planes through the heart, ``slices`` of each, as a scout has.

    Axial from below upwards, sagittal from right to left, coronal from back to front; pictures as
    radiologists view them.  Lengths in mm.
    """
    left, behind, up = np.eye(3)
    steps = (np.arange(slices) - (slices - 1) / 2) * gap
    x, y, z = heart.middle
    return tuple(
        _plane(centre + step * along, right, down, shape, pixel_spacing)
        for centre, right, down, along in (
            (np.array([0, 0, z]), left, behind, up),
            (np.array([x, 0, z]), behind, -up, left),
            (np.array([0, y, z]), left, -up, -behind),
        )
        for step in steps
    )


def _jitter(right: Vector, down: Vector, rng: np.random.Generator) -> tuple[Vector, Vector]:
    turn, tilt_right, tilt_down = np.clip(rng.normal(size=3), -2, 2)
    right, down = _turned(right, down, TURN_SD_DEG * turn)
    normal = np.cross(right, down)
    right, normal = _turned(right, normal, TILT_SD_DEG * tilt_right)
    down, normal = _turned(down, normal, TILT_SD_DEG * tilt_down)
    return right, down


def _plane(
    centre: Vector, right: Vector, down: Vector, shape: tuple[int, int], pixel_spacing: float
) -> Plane:
    """Rounded to what a header holds (DS: 16 characters), so that image and header are one."""
    rows, columns = shape
    corner = centre - pixel_spacing * ((rows - 1) / 2 * down + (columns - 1) / 2 * right)
    position, row_direction, column_direction = (
        tuple(round(float(value), digits) for value in vector)
        for vector, digits in ((corner, 6), (right, 10), (down, 10))
    )
    return Plane.from_dicom(
        (*row_direction, *column_direction), position, (pixel_spacing, pixel_spacing), rows, columns
    )
