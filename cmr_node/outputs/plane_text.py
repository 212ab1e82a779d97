"""The plane of an image as the decimal strings of its header, turned digit by digit.

The promise kept here: what an operation does not change keeps its very characters, a direction
is negated by its sign, and only a position that moves is computed, in decimal.  Every string
that is made fits the 16 bytes of DS (PS3.5 6.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from cmr_node.dicom.raw import is_decimal
from cmr_node.errors import UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane

LONGEST = 16
"""Bytes of one DS value."""


@dataclass(frozen=True, slots=True)
class PlaneText:
    """A plane in the words of its header; read ``geometry.plane.Plane`` for what they mean.

    Raises
    ------
    UnusableGeometry
        A value is missing or no decimal, or the values describe no plane.
    """

    orientation: tuple[str, ...]  #: ImageOrientationPatient, 6 values
    position: tuple[str, ...]  #: ImagePositionPatient, 3 values, mm
    spacing: tuple[str, ...]  #: PixelSpacing, between rows and between columns, mm
    shape: tuple[int, int]  #: (rows, columns)

    def __post_init__(self) -> None:
        for keyword, values in (
            ("ImageOrientationPatient", self.orientation),
            ("ImagePositionPatient", self.position),
            ("PixelSpacing", self.spacing),
        ):
            for value in values:
                if not is_decimal(value):
                    raise UnusableGeometry(f"{keyword} has the value {value!r}; allowed: decimals")
        self.plane  # noqa: B018 - its checks are the point

    @property
    def plane(self) -> Plane:
        """The same plane in numbers."""
        return Plane.from_dicom(
            [float(value) for value in self.orientation],
            [float(value) for value in self.position],
            [float(value) for value in self.spacing],
            *self.shape,
        )

    def turned(self, operation: Orientation) -> PlaneText:
        """The plane of the picture after ``operation``: every value keeps its patient position."""
        matrix, offset = operation.index_map(self.shape)
        directions = (self.orientation[3:], self.orientation[:3])  # of a row step, a column step
        new_directions: list[tuple[str, ...]] = []
        new_spacing: list[str] = []
        for axis in (0, 1):
            old = 0 if matrix[0, axis] else 1
            keep = matrix[old, axis] > 0
            new_directions.append(
                tuple(fitting(value) if keep else negated(value) for value in directions[old])
            )
            new_spacing.append(fitting(self.spacing[old]))
        return PlaneText(
            orientation=(*new_directions[1], *new_directions[0]),
            position=tuple(
                self._moved(component, int(offset[0]), int(offset[1])) for component in range(3)
            ),
            spacing=tuple(new_spacing),
            shape=operation.turned_shape(self.shape),
        )

    def _moved(self, component: int, rows: int, columns: int) -> str:
        start = self.position[component]
        if not rows and not columns:
            return fitting(start)
        with localcontext(prec=100):  # 3 factors of at most 16 digits: exact
            return formatted(
                Decimal(start)
                + rows * Decimal(self.spacing[0]) * Decimal(self.orientation[3 + component])
                + columns * Decimal(self.spacing[1]) * Decimal(self.orientation[component])
            )


def formatted(value: Decimal) -> str:
    """A number as DS, with as many decimals as 16 bytes hold; |value| below 1e14."""
    with localcontext(prec=100):
        for decimals in range(LONGEST - 2, -1, -1):
            rounded = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
            text = f"{rounded:f}"
            if "." in text:
                text = text.rstrip("0").rstrip(".")
            if len(text) <= LONGEST:
                return "0" if text == "-0" else text
    raise UnusableGeometry(f"{value} does not fit a decimal string of {LONGEST} bytes")


def fitting(text: str) -> str:
    """The text itself, or the same number rounded to 16 bytes where a writer took more."""
    return text if len(text) <= LONGEST else formatted(Decimal(text))


def negated(text: str) -> str:
    """The number with its sign turned, its digits kept where 16 bytes allow."""
    digits = text.lstrip("+-")
    if Decimal(text) == 0:
        return fitting(digits)
    return fitting(digits if text.startswith("-") else f"-{digits}")
