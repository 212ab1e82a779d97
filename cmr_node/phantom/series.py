"""The order of an examination: scans, the series they give, and the breath-holds in each.

The promise kept here: everything that is decided before a pixel exists, in plain values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane, reorient
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.scanner.scan import Contrast, Cut, Stack

LOCALIZER = "localizer"
HOLD_S = 15  #: from the beginning of one breath-hold to the next


@dataclass(frozen=True, slots=True)
class Scan:
    """One stack scanned once; late enhancement gives two series, everything else one."""

    stack: Stack
    key: tuple[int, ...]  #: seeds the noise
    cuts: tuple[Cut, ...]


@dataclass(frozen=True, slots=True)
class Shot:
    """One slice of a series."""

    cut: Cut
    seconds: int  #: from the beginning of the study to that of the breath-hold
    take: int = 0  #: 1 and more where the slice was scanned again


@dataclass(frozen=True, slots=True)
class Series:
    """One series as it will be stored."""

    scan: Scan
    contrast: Contrast
    part: str  #: which of the series of this name: the stack, one slice, slices scanned again
    number: int  #: SeriesNumber
    shots: tuple[Shot, ...]
    logged: Orientation = Orientation.IDENTITY  #: turned, and the header with it
    unlogged: Orientation = Orientation.IDENTITY  #: turned after that, the header not
    placed: bool = True  #: whether orientation and position are written
    late: bool = False

    @property
    def view(self) -> View:
        """What its planes show."""
        return self.scan.stack.view

    @property
    def kind(self) -> str:
        """Its contrast, or that it is a localizer."""
        return LOCALIZER if self.view is View.OTHER else str(self.contrast)

    @property
    def name(self) -> str:
        """For example ``cine_sax``; series of one name are one stack."""
        return LOCALIZER if self.view is View.OTHER else f"{self.contrast}_{self.view}"

    @property
    def stored_as(self) -> Orientation:
        """The o such that stored = o.apply(as scanned)."""
        return self.unlogged.after(self.logged)

    def header_plane(self, cut: Cut) -> Plane:
        """Where the header says the stored pixels lie.

        Whoever turns pixels without a word to the header leaves position, directions and spacing
        as they are, but cannot leave Rows and Columns.
        """
        told = reorient(cut.plane, self.logged)
        return replace(told, shape=self.unlogged.turned_shape(told.shape))
