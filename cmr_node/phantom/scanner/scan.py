"""Scanning a patient: stacks of slices, breath-hold by breath-hold, before any file is written.

The promise kept here: whoever writes files gets pixels, the plane they lie in, and what only the
truth knows (the shift of the breath-hold, the label map), and has nothing left to invent.  Planes
are those of the standard view, turned by the stack's own angle; storing a picture turned is the
writer's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View
from cmr_node.phantom.body.anatomy import Patient
from cmr_node.phantom.body.tissues import Labels
from cmr_node.phantom.scanner import render
from cmr_node.phantom.scanner.planes import localizers, view_planes
from cmr_node.phantom.scanner.render import Pixels, Protocol
from cmr_node.phantom.scanner.sample import Sampling, Slice


class Contrast(StrEnum):
    """What kind of image a series holds; one acquisition can give two."""

    CINE = "cine"
    LATE_ENHANCEMENT = "lge"  #: magnitude
    PHASE_SENSITIVE = "psir"
    T2 = "t2"
    T1_MAP = "t1"  #: pixel value = ms


@dataclass(frozen=True, slots=True)
class Stack:
    """One view scanned with one protocol; lengths in mm."""

    view: View  #: ``View.OTHER`` means a scout: axial, sagittal and coronal
    protocol: Protocol
    slices: int = 1  #: of a short axis or of each direction of a scout; a long axis is one
    phases: int = 1  #: of a cine; every other protocol gives one image
    shape: tuple[int, int] = (208, 256)  #: (rows, columns)
    pixel_spacing: float = 1.4
    gap: float = 10.0  #: between the centres of neighbouring slices
    turn_deg: float = 0.0  #: clockwise in the plane, away from the standard view
    breath_hold_mm: float = 0.0  #: sd of the patient's shift along each axis, slice by slice
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)  #: shift of the whole stack, LPS


@dataclass(frozen=True, slots=True)
class Cut:
    """Where one slice lies."""

    view: View
    index: int  #: within the stack, short axis from base to apex
    plane: Plane
    shift: tuple[float, float, float]  #: by how much the patient lay off, mm LPS


@dataclass(frozen=True, slots=True)
class Acquired:
    """One slice, scanned."""

    cut: Cut
    images: Mapping[Contrast, Pixels] = field(default_factory=dict)  #: (phases, rows, columns)


def cuts(patient: Patient, stack: Stack, key: tuple[int, ...]) -> tuple[Cut, ...]:
    """Where the slices of a stack lie, without scanning them.

    ``key`` seeds what chance decides (planes, shifts, noise); the same gives the same stack.
    """
    rng = np.random.default_rng([*key, 0])
    if stack.view is View.OTHER:
        planes = localizers(
            patient.heart,
            shape=stack.shape,
            pixel_spacing=stack.pixel_spacing,
            slices=stack.slices,
            gap=stack.gap,
        )
    else:
        planes = view_planes(
            patient.heart,
            stack.view,
            shape=stack.shape,
            pixel_spacing=stack.pixel_spacing,
            slices=stack.slices,
            gap=stack.gap,
            rng=rng,
            turn_deg=stack.turn_deg,
        )
    # Breathing moves the heart most along the body; one hold in twenty is far off.
    shifts = rng.normal(0, 1, (len(planes), 3)) * (0.5, 0.7, 1.6) * stack.breath_hold_mm
    shifts[rng.random(len(planes)) < 0.05] *= 2.5
    found = []
    for index, (plane, shift) in enumerate(zip(planes, shifts, strict=True)):
        x, y, z = (round(float(value), 3) for value in shift + np.array(stack.offset))
        found.append(Cut(stack.view, index, plane, (x, y, z)))
    return tuple(found)


def scan(patient: Patient, stack: Stack, key: tuple[int, ...]) -> Iterator[Acquired]:
    """The slices of a stack, one after the other; see :func:`cuts` for ``key``."""
    for cut in cuts(patient, stack, key):
        rng = np.random.default_rng([*key, 1, cut.index])
        yield Acquired(cut, scan_cut(patient, cut, stack, rng))


def scan_cut(
    patient: Patient, cut: Cut, stack: Stack, rng: np.random.Generator
) -> dict[Contrast, Pixels]:
    """One breath-hold: (phases, rows, columns) of each contrast that the protocol gives."""
    where, protocol = (patient, cut.plane), stack.protocol
    match protocol:
        case render.Cine():
            film = render.render_cine(*where, stack.phases, protocol, rng, cut.shift)
            return {Contrast.CINE: film}
        case render.LateEnhancement():
            pair = render.render_late_enhancement(*where, protocol, rng, cut.shift)
            magnitude, signed = (pixels[None] for pixels in pair)
            return {Contrast.LATE_ENHANCEMENT: magnitude, Contrast.PHASE_SENSITIVE: signed}
        case render.T2Weighted():
            return {Contrast.T2: render.render_t2(*where, protocol, rng, cut.shift)[None]}
        case render.T1Map():
            return {Contrast.T1_MAP: render.render_t1_map(*where, protocol, rng, cut.shift)[None]}


def label_map(patient: Patient, cut: Cut, thickness: float, phase: float) -> Labels:
    """(rows, columns): the tissue at the centre of each pixel, as the breath-hold had it."""
    sampling = Sampling(thickness, 1, 1)
    return Slice(patient, cut.plane, sampling, cut.shift).label_map(phase)
