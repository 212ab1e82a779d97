"""What is scanned of which patient, and how it is stored: the settings of a simulated study.

The promise kept here: a study depends on its plan, and on nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

from cmr_node import __version__
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.body.groups import Group
from cmr_node.phantom.dicom.vendors import Vendor
from cmr_node.phantom.faults import Fault
from cmr_node.phantom.scanner.planes import VIEWS
from cmr_node.phantom.scanner.render import Cine, LateEnhancement, T1Map, T2Weighted
from cmr_node.phantom.scanner.scan import Contrast

STILLS = (Contrast.T2, Contrast.T1_MAP, Contrast.LATE_ENHANCEMENT)
"""What can be scanned of the short axis beside cine, in the order of an examination."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A small cine study unless told otherwise; :meth:`examination` is a whole one.

    Lengths in mm.  The field strength of every scan is that of ``protocol``.
    """

    seed: int
    group: Group | None = Group.NORMAL  #: the patient's disease; None draws it from the seed
    views: tuple[View, ...] = VIEWS  #: of cine; ``View.OTHER`` is the localizer
    slices: int = 8  #: of the short axis
    phases: int = 12
    rows: int = 120  #: of the standard view; a transposing orientation exchanges them
    columns: int = 144
    pixel_spacing: float = 1.9
    gap: float = 10.0  #: between the centres of neighbouring short-axis slices
    stored_as: Mapping[View, Orientation] = field(default_factory=dict)  #: identity where absent
    series_per_slice: bool = False  #: each short-axis cine slice a series, as Siemens does
    multi_frame: bool = False  #: each series one Enhanced MR instance; Philips always
    described: bool = True  #: whether SeriesDescription names the view
    protocol: Cine = field(default_factory=Cine)
    stills: tuple[Contrast, ...] = ()  #: of ``STILLS``; late enhancement gives two series
    late_enhancement: LateEnhancement = field(default_factory=LateEnhancement)
    t2: T2Weighted = field(default_factory=T2Weighted)
    t1: T1Map = field(default_factory=T1Map)
    vendor: Vendor = Vendor.PLAIN
    breath_hold_mm: float = 0.0  #: sd of the patient's shift from hold to hold
    turn_deg: float = 0.0  #: by which the short axis is planned turned, clockwise
    faults: tuple[Fault, ...] = ()  #: in the order in which they befall the study

    def __post_init__(self) -> None:
        if unknown := set(self.stills) - set(STILLS):
            raise ValueError(
                f"stills are {', '.join(sorted(unknown))}, allowed are {', '.join(STILLS)}"
            )

    @classmethod
    def examination(
        cls,
        seed: int,
        vendor: Vendor = Vendor.SIEMENS,
        tesla: float = 1.5,
        faults: tuple[Fault, ...] = (),
        **changes: object,
    ) -> Self:
        """A whole examination of the patient of this seed, of any group.

        Localizer, long axes and short axis as cine of 25 phases, T2, native T1 map, late
        enhancement; ``changes`` are fields that shall differ.
        """
        fields: dict[str, object] = {
            "group": None,
            "views": (
                View.OTHER,
                View.TWO_CHAMBER,
                View.THREE_CHAMBER,
                View.FOUR_CHAMBER,
                View.SAX,
            ),
            "slices": 11,
            "phases": 25,
            "rows": 208,
            "columns": 256,
            "pixel_spacing": 1.4,
            "stills": STILLS,
            "series_per_slice": vendor is Vendor.SIEMENS,
            "protocol": Cine.usual(tesla),
            "breath_hold_mm": 2.0,
        }
        return cls(seed=seed, vendor=vendor, faults=faults, **(fields | changes))  # type: ignore[arg-type]

    @property
    def instances(self) -> int:
        """How many instances the study has, before faults take some or add some."""
        short_axis = self.slices
        stills = sum(
            {
                Contrast.T1_MAP: len(self.t1_slices),
                Contrast.LATE_ENHANCEMENT: 2 * short_axis,
            }.get(still, short_axis)
            for still in self.stills
        )
        if self.in_multi_frames:
            stills = sum(1 + (still is Contrast.LATE_ENHANCEMENT) for still in self.stills)
            return stills + sum(
                self.slices if self.series_per_slice and view is View.SAX else 1
                for view in self.views
            )
        return stills + sum(
            3 if view is View.OTHER else self.slices_of(view) * self.phases for view in self.views
        )

    @property
    def in_multi_frames(self) -> bool:
        """Whether the study is written as Enhanced MR."""
        return self.multi_frame or self.vendor is Vendor.PHILIPS

    @property
    def key(self) -> str:
        """Names the content: two plans with the same key give the same bytes."""
        facts = asdict(self) | {"version": __version__}
        facts["stored_as"] = {view: self.orientation_of(view) for view in self.views}
        return json.dumps(facts, sort_keys=True)

    @property
    def t1_slices(self) -> tuple[int, ...]:
        """Which short-axis slices the T1 map shows: three evenly spaced about the middle."""
        middle, step = round((self.slices - 1) * 0.45), self.t1_step
        return tuple(
            place for place in (middle - step, middle, middle + step) if 0 <= place < self.slices
        )

    @property
    def t1_step(self) -> int:
        """From one slice of the T1 map to the next, in slices of the short axis."""
        return max(1, round((self.slices - 1) * 0.2))

    def orientation_of(self, view: View) -> Orientation:
        """The o such that stored = o.apply(standard view)."""
        return self.stored_as.get(view, Orientation.IDENTITY)

    def slices_of(self, view: View) -> int:
        """The number of slices of a view; a long axis is one."""
        return self.slices if view is View.SAX else 1
