"""A re-indexed copy of an MR image in which every pixel value keeps its place in the patient.

The promise kept here: pixels and plane attributes are turned by one operation, or the image is
refused.  What is done, beside what ``turned`` does to any image:

    suitability   what must not be turned is refused
    in_plane, functional_groups   what speaks of rows and columns is turned
"""

from __future__ import annotations

from pydicom.dataset import FileDataset

from cmr_node.dicom.words import layout
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import patient_orientation
from cmr_node.outputs.codes import SCHEME
from cmr_node.outputs.derivation import Derivation
from cmr_node.outputs.functional_groups import frame_planes, turn_frames
from cmr_node.outputs.in_plane import plane_text, turn_roles, turn_single_frame
from cmr_node.outputs.plane_text import PlaneText
from cmr_node.outputs.suitability import check_suitable, check_velocity, is_enhanced
from cmr_node.outputs.turned import damage_named, turned_instance
from cmr_node.outputs.uids import Producer

_REORIENTED = ("REORIENT", SCHEME, "In-plane re-orientation without interpolation")
"""CID 7203 has no code for it; resampling (113085) and MPR (113072) would say too much."""

_NO_STANDING = {
    True: ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"),
    False: ("PerFrameFunctionalGroupsSequence",),
}
"""What would speak of a plane beside what counts: the frames' groups, or the top level."""


def reorient_instance(
    source: FileDataset, operation: Orientation, producer: Producer
) -> FileDataset:
    """The image of ``source`` after ``operation``, as a new instance of a new series.

    Parameters
    ----------
    source
        An MR Image or Enhanced MR Image as ``dicom.reading`` gives it; not changed.
    operation
        What is done to the pixels.  To bring an image stored as *o* to the standard view, it is
        ``o.inverse``.
    producer
        This node; part of the new UIDs.

    Raises
    ------
    RefusedStack, UnusableGeometry
        The image must not or cannot be turned; see ``suitability`` and ``functional_groups``.
    UndecodablePixels
        Its pixels cannot be had.
    UnreadableHeader
        A value that is needed is damaged.
    """
    with damage_named():
        check_suitable(source)
        check_velocity(source, operation)
        enhanced = is_enhanced(source)
        found = layout(source)
        shape = (found.rows, found.columns)
        planes = frame_planes(source, shape) if enhanced else [plane_text(source, shape)]

        def turn_header(ds: FileDataset) -> None:
            if enhanced:
                turn_frames(ds, operation, shape)
            else:
                turn_single_frame(ds, operation, shape)
            for keyword in _NO_STANDING[enhanced]:
                if keyword in ds:
                    del ds[keyword]
            turn_roles(ds, operation, enhanced=enhanced)

        derivation = _derivation(operation, planes)
        return turned_instance(source, operation, derivation, producer, turn_header)


def _derivation(operation: Orientation, source_planes: list[PlaneText]) -> Derivation:
    letters = {patient_orientation(plane.plane) for plane in source_planes}
    one_view = len(letters) == 1
    return Derivation(
        step=f"reorient {operation.value}",
        code=_REORIENTED,
        series_kind=1,
        series_prefix=f"STD-ORIENT {operation.value}",
        description=f"In-plane re-indexing {operation.value}: stored values unchanged, no "
        "interpolation; plane attributes updated, so every pixel keeps its patient position.",
        contribution=f"In-plane re-indexing {operation.value}",
        locations="REORIENTED_ONLY" if one_view else "",
        letters=letters.pop() if one_view else (),
    )
