"""A simulated cardiac MR study as DICOM instances, with its truth.

The promise kept here: geometry is always true.  A series may be stored turned, as wrongly set up
scanners and converters store it, but its header turns with it, so every pixel value lies where
the patient's tissue was evaluated.  The truth of a study, which view each series shows and which
of the eight orientations it is stored in, comes beside the instances and is in no header.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path

from pydicom.dataset import FileDataset

from cmr_node import __version__
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import reorient
from cmr_node.geometry.standard_view import View
from cmr_node.phantom import headers
from cmr_node.phantom.anatomy import Patient
from cmr_node.phantom.enhanced import multi_frame
from cmr_node.phantom.groups import Group
from cmr_node.phantom.planes import VIEWS
from cmr_node.phantom.render import Cine
from cmr_node.phantom.scan import Acquired, Contrast, Cut, Stack, cuts, scan

Truth = dict[str, dict[str, str]]
"""Series Instance UID -> {"view": View, "stored_as": Orientation}; plain text, fit for JSON."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is scanned of which patient, and how it is stored.  Lengths in mm."""

    seed: int
    group: Group | None = Group.NORMAL  #: the patient's disease; None draws it from the seed
    views: tuple[View, ...] = VIEWS
    slices: int = 8  #: of the short axis
    phases: int = 12
    rows: int = 120  #: of the standard view; a transposing orientation exchanges them
    columns: int = 144
    pixel_spacing: float = 1.9
    gap: float = 10.0  #: between the centres of neighbouring short-axis slices
    stored_as: Mapping[View, Orientation] = field(default_factory=dict)  #: identity where absent
    series_per_slice: bool = False  #: each short-axis slice a series of its own, as Siemens does
    multi_frame: bool = False  #: each series one Enhanced MR instance
    described: bool = True  #: whether SeriesDescription names the view
    protocol: Cine = field(default_factory=Cine)

    @property
    def instances(self) -> int:
        """How many instances the study has."""
        if self.multi_frame:
            return sum(self.slices_of(v) if self.series_per_slice else 1 for v in self.views)
        return sum(self.slices_of(view) for view in self.views) * self.phases

    @property
    def key(self) -> str:
        """Names the content: two plans with the same key give the same bytes."""
        facts = asdict(self) | {"version": __version__}
        facts["stored_as"] = {view: self.orientation_of(view) for view in self.views}
        return json.dumps(facts, sort_keys=True)

    def orientation_of(self, view: View) -> Orientation:
        """The o such that stored = o.apply(standard view)."""
        return self.stored_as.get(view, Orientation.IDENTITY)

    def slices_of(self, view: View) -> int:
        """The number of slices of a view; a long axis is one."""
        return self.slices if view is View.SAX else 1


def simulate_study(plan: Plan) -> Iterator[FileDataset]:
    """Scan: all phases of one slice after the other, as the plan orders the views.

    Raises
    ------
    ValueError
        The plan names a view the phantom cannot show.
    """
    images = _images(plan)
    if not plan.multi_frame:
        yield from images
        return
    for _, series in groupby(images, key=lambda ds: str(ds.SeriesInstanceUID)):
        yield multi_frame(list(series))


def _images(plan: Plan) -> Iterator[FileDataset]:
    patient = Patient.draw(plan.seed, plan.group)
    study = headers.Study(
        key=plan.key,
        patient=f"PHANTOM-{plan.seed}",
        heart_rate_bpm=patient.heart_rate_bpm,
        protocol=plan.protocol,
        phases=plan.phases,
    )
    places = iter(_places(plan, patient))
    for view in plan.views:
        for slice_ in scan(patient, _stack(plan, view), _key(plan, view)):
            yield from _slice_images(study, next(places), slice_)


def _slice_images(
    study: headers.Study, place: headers.Place, acquired: Acquired
) -> Iterator[FileDataset]:
    turned = place.stored_as.apply(acquired.images[Contrast.CINE])
    plane = reorient(acquired.cut.plane, place.stored_as)
    for phase in range(study.phases):
        yield headers.image(study, place, plane, phase, turned[phase])


def truth(plan: Plan) -> Truth:
    """What each series of the study shows and how it is stored."""
    return {
        str(place.series_uid): {"view": str(cut.view), "stored_as": str(place.stored_as)}
        for cut, place in _placed(plan, Patient.draw(plan.seed, plan.group))
    }


def write_study(
    folder: Path, plan: Plan, progress: Callable[[int, int], None] = lambda done, total: None
) -> Truth:
    """Write the study as ``<folder>/<series number>/<instance number>.dcm``.

    ``progress`` is called after each instance with the number written and the total.
    """
    for done, ds in enumerate(simulate_study(plan), start=1):
        place = folder / f"{ds.SeriesNumber:03d}"
        place.mkdir(parents=True, exist_ok=True)
        ds.save_as(place / f"{ds.InstanceNumber:04d}.dcm", enforce_file_format=True)
        progress(done, plan.instances)
    return truth(plan)


def _stack(plan: Plan, view: View) -> Stack:
    return Stack(
        view=view,
        protocol=plan.protocol,
        slices=plan.slices_of(view),
        phases=plan.phases,
        shape=(plan.rows, plan.columns),
        pixel_spacing=plan.pixel_spacing,
        gap=plan.gap,
    )


def _key(plan: Plan, view: View) -> tuple[int, ...]:
    return plan.seed, list(View).index(view)


def _places(plan: Plan, patient: Patient) -> list[headers.Place]:
    return [place for _, place in _placed(plan, patient)]


def _placed(plan: Plan, patient: Patient) -> list[tuple[Cut, headers.Place]]:
    placed: list[tuple[Cut, headers.Place]] = []
    series_number = 0
    for view in plan.views:
        stack = cuts(patient, _stack(plan, view), _key(plan, view))
        for cut in stack:
            series_number += plan.series_per_slice or cut.index == 0
            series = [plan.key, view, cut.index if plan.series_per_slice else "stack"]
            place = headers.Place(
                series_uid=headers.derived_uid(*series),
                series_number=series_number,
                description=f"cine_{view}" if plan.described else "",
                slice_index=0 if plan.series_per_slice else cut.index,
                slices=1 if plan.series_per_slice else len(stack),
                acquisition=len(placed),
                gap=plan.gap if len(stack) > 1 else None,
                stored_as=plan.orientation_of(view),
            )
            placed.append((cut, place))
    return placed
