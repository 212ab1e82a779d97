"""Where the pixels of one slice are in the patient.

The promise kept here: no ``Plane`` exists whose numbers do not describe a plane, and turning a
picture together with its plane moves no pixel value in the patient.

A pixel at (row r, column c), zero-based, has its centre at (PS3.3 C.7.6.2.1.1)

    position + r * PSr * column_direction + c * PSc * row_direction        mm, patient frame, LPS

where ``row_direction`` is F1, the direction in which the *column index* grows (along a row), and
``column_direction`` is F2, the direction in which the *row index* grows (down a column).  The
numbers are used as they were read, never made unit or orthogonal, because every other reader of
the same header uses them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, radians, sin

import numpy as np
import numpy.typing as npt

from cmr_node.errors import UnusableGeometry
from cmr_node.geometry.orientation import Orientation

Array = npt.NDArray[np.float64]
Vector = tuple[float, float, float]

ORTHONORMAL_TOLERANCE = 2e-3  # 1; of a length from 1 and of a cosine from 0
SPACING_RANGE = (1e-3, 1e3)  # mm; beyond it the number is no pixel spacing of a scanner
POSITION_LIMIT = 1e5  # mm; a hundred metres from the isocentre is no position
SIZE_LIMIT = 65535  # Rows and Columns are 16 bit
PARALLEL_LIMIT_DEG = 0.5  # cosines written with three decimals are up to 0.08 deg off
LETTER_LIMIT = sin(radians(5))  # 1; a smaller component gets no letter in PatientOrientation


@dataclass(frozen=True, slots=True)
class Plane:
    """A rectangle of pixels in the patient: plain numbers, so it compares, hashes and pickles.

    position
        Centre of pixel (0, 0), mm, LPS: ImagePositionPatient.
    row_direction, column_direction
        F1 and F2, unit vectors, LPS: the first and last three of ImageOrientationPatient.
    pixel_spacing
        (PSr, PSc): distance between neighbouring rows, between neighbouring columns, mm.
    shape
        (rows, columns).

    Raises
    ------
    UnusableGeometry
        A number is missing or not finite, a direction is not unit, the two are not orthogonal
        (within ``ORTHONORMAL_TOLERANCE``), or spacing or shape is out of range.
    """

    position: Vector
    row_direction: Vector
    column_direction: Vector
    pixel_spacing: tuple[float, float]
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        _check_numbers("ImagePositionPatient", self.position, 3)
        _check_numbers("ImageOrientationPatient", (*self.row_direction, *self.column_direction), 6)
        _check_numbers("PixelSpacing", self.pixel_spacing, 2)
        if max(abs(value) for value in self.position) > POSITION_LIMIT:
            raise UnusableGeometry(
                f"ImagePositionPatient {_shown(self.position)} mm is out of the patient, "
                f"allowed is {POSITION_LIMIT:g} mm at most"
            )
        for name, direction in (("row", self.row_direction), ("column", self.column_direction)):
            length = float(np.hypot(np.hypot(direction[0], direction[1]), direction[2]))
            if not abs(length - 1) <= ORTHONORMAL_TOLERANCE:
                raise UnusableGeometry(
                    f"ImageOrientationPatient: {name} direction {_shown(direction)} has length "
                    f"{length:.6g}, allowed is 1 within {ORTHONORMAL_TOLERANCE:g}"
                )
        cosine = float(np.dot(self.row_direction, self.column_direction))
        if not abs(cosine) <= ORTHONORMAL_TOLERANCE:
            raise UnusableGeometry(
                f"ImageOrientationPatient: the cosine between {_shown(self.row_direction)} and "
                f"{_shown(self.column_direction)} is {cosine:.6g}, "
                f"allowed is 0 within {ORTHONORMAL_TOLERANCE:g}"
            )
        least, most = SPACING_RANGE
        if not all(least <= spacing <= most for spacing in self.pixel_spacing):
            raise UnusableGeometry(
                f"PixelSpacing {_shown(self.pixel_spacing)} mm, "
                f"allowed is {least:g} to {most:g} mm between rows and between columns"
            )
        if len(self.shape) != 2 or not all(1 <= size <= SIZE_LIMIT for size in self.shape):
            raise UnusableGeometry(
                f"Rows and Columns are {self.shape}, allowed is 1 to {SIZE_LIMIT} each"
            )

    @classmethod
    def from_dicom(
        cls,
        image_orientation_patient: Sequence[float],
        image_position_patient: Sequence[float],
        pixel_spacing: Sequence[float],
        rows: int,
        columns: int,
    ) -> Plane:
        """The plane that a header (or the functional groups of a frame) describes.

        An absent attribute is an empty sequence, and is refused like a wrong one.

        Raises
        ------
        UnusableGeometry
            See the class; also a wrong number of values.
        """
        _check_numbers("ImageOrientationPatient", image_orientation_patient, 6)
        _check_numbers("ImagePositionPatient", image_position_patient, 3)
        _check_numbers("PixelSpacing", pixel_spacing, 2)
        f1x, f1y, f1z, f2x, f2y, f2z = (float(value) for value in image_orientation_patient)
        x, y, z = (float(value) for value in image_position_patient)
        between_rows, between_columns = (float(value) for value in pixel_spacing)
        return cls(
            position=(x, y, z),
            row_direction=(f1x, f1y, f1z),
            column_direction=(f2x, f2y, f2z),
            pixel_spacing=(between_rows, between_columns),
            shape=(int(rows), int(columns)),
        )

    @property
    def steps(self) -> Array:
        """(2, 3), mm, LPS: from a pixel to its neighbour in the next row, in the next column."""
        between_rows, between_columns = self.pixel_spacing
        return np.array(
            [
                np.multiply(between_rows, self.column_direction),
                np.multiply(between_columns, self.row_direction),
            ]
        )

    @property
    def normal(self) -> Array:
        """(3,), unit, LPS: F1 x F2.  It flips when the picture is mirrored."""
        normal = np.cross(self.row_direction, self.column_direction)
        return np.asarray(normal / np.linalg.norm(normal), dtype=np.float64)

    @property
    def corners(self) -> Array:
        """(4, 3), mm, LPS: centres of the pixels top left, top right, bottom left, bottom right."""
        last_row, last_column = self.shape[0] - 1, self.shape[1] - 1
        return self.to_patient([[0, 0], [0, last_column], [last_row, 0], [last_row, last_column]])

    @property
    def centre(self) -> Array:
        """(3,), mm, LPS: the middle of the rectangle."""
        return self.to_patient([(self.shape[0] - 1) / 2, (self.shape[1] - 1) / 2])

    def to_patient(self, indices: npt.ArrayLike) -> Array:
        """Where pixels are.

        Parameters
        ----------
        indices
            (..., 2), zero-based (row, column), fractions allowed; 0 is the *centre* of a pixel.

        Returns
        -------
        (..., 3), mm, LPS.
        """
        placed = np.asarray(indices, dtype=np.float64) @ self.steps + np.array(self.position)
        return np.asarray(placed, dtype=np.float64)

    def to_indices(self, points: npt.ArrayLike) -> Array:
        """Which pixels points fall on, once dropped on the plane along its normal.

        Parameters
        ----------
        points
            (..., 3), mm, LPS.

        Returns
        -------
        (..., 2), fractional zero-based (row, column); outside ``shape`` is not an error.
        """
        away = np.asarray(points, dtype=np.float64) - np.array(self.position)
        # The pseudo-inverse, not a projection on F1 and F2: they need not be quite orthogonal.
        return np.asarray(away @ np.linalg.pinv(self.steps), dtype=np.float64)

    def distance(self, points: npt.ArrayLike) -> Array:
        """(...), mm: how far (..., 3) points lie from the plane, positive along ``normal``."""
        away = np.asarray(points, dtype=np.float64) - np.array(self.position)
        return np.asarray(away @ self.normal, dtype=np.float64)

    def tilt_deg(self, other: Plane) -> float:
        """Angle between the two planes, 0 to 90 degrees; a plane has no front and no back."""
        across = float(np.linalg.norm(np.cross(self.normal, other.normal)))
        along = abs(float(self.normal @ other.normal))
        return float(np.degrees(np.arctan2(across, along)))


def reorient(plane: Plane, orientation: Orientation) -> Plane:
    """The plane of a slice whose pixels have gone through ``orientation.apply``.

    Every pixel value keeps its place in the patient: for a value that moved from [i, j] to
    [k, l], ``plane.to_patient([i, j])`` equals ``reorient(plane, o).to_patient([k, l])``.
    So position, spacing and shape may change together with the directions; writing the
    directions alone would move the heart.  A mirroring turns the normal round: the stack is
    then seen from the other side, its planes stay where they are.
    """
    matrix, offset = orientation.index_map(plane.shape)
    directions = (plane.column_direction, plane.row_direction)

    def turned(axis: int) -> tuple[Vector, float]:
        old = int(np.flatnonzero(matrix[:, axis])[0])
        sign = int(matrix[old, axis])
        x, y, z = directions[old]
        return (sign * x, sign * y, sign * z), plane.pixel_spacing[old]

    column_direction, between_rows = turned(0)
    row_direction, between_columns = turned(1)
    x, y, z = plane.to_patient(offset).tolist()
    return Plane(
        position=(x, y, z),
        row_direction=row_direction,
        column_direction=column_direction,
        pixel_spacing=(between_rows, between_columns),
        shape=orientation.turned_shape(plane.shape),
    )


def patient_orientation(plane: Plane) -> tuple[str, str]:
    """PatientOrientation (0020,0020): where rows, then columns, point to (PS3.3 C.7.6.1.1.1).

    Letters of the LPS axes (L or R, P or A, H or F), the strongest first; a component of less
    than sin 5 deg gets none.  For example ("LP", "FA") for an oblique short axis.
    """
    return _letters(plane.row_direction), _letters(plane.column_direction)


def _letters(direction: Vector) -> str:
    strongest_first = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    return "".join(
        ("LPH" if direction[axis] > 0 else "RAF")[axis]
        for axis in strongest_first
        if abs(direction[axis]) >= LETTER_LIMIT
    )


def _check_numbers(keyword: str, values: Sequence[float], count: int) -> None:
    if len(values) != count:
        raise UnusableGeometry(f"{keyword} has {len(values)} values, allowed are {count}")
    if not all(isfinite(value) for value in values):
        raise UnusableGeometry(f"{keyword} {_shown(values)} is not finite, allowed are numbers")


def _shown(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
