"""A copy of an MR image whose pixels alone are turned, its header not being trusted.

The promise kept here: the picture is turned and nothing is said about the patient that the source
did not say.  Plane attributes stay as they are, or absent; no position is computed from them or
vouched for, and the image says so where a reader, a viewer and a program look:

    SeriesDescription, ImageComments, DerivationDescription   in words
    DerivationCodeSequence, SpatialLocationsPreserved NO      in codes
    FrameOfReferenceUID   a new one, so that nothing is laid over other images of the source's

Private elements go, as from every turned image: some repeat the plane or hold a picture.  To
exchange rows and columns is refused where they are spaced unequally: whether PixelSpacing belongs
to the picture as it is or as it was cannot be known, and the wrong one would stretch the heart.
"""

from __future__ import annotations

from decimal import Decimal

from pydicom.dataset import Dataset, FileDataset

from cmr_node.dicom.raw import is_decimal, put_raw, put_texts, raw_bytes, texts
from cmr_node.errors import RefusedStack
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.codes import SCHEME
from cmr_node.outputs.corrected_proof import NOT_VOUCHED
from cmr_node.outputs.derivation import Derivation
from cmr_node.outputs.functional_groups import frame_groups, shared_group
from cmr_node.outputs.in_plane import PAIRS
from cmr_node.outputs.suitability import check_suitable, check_velocity_without_plane
from cmr_node.outputs.turned import damage_named, turned_instance
from cmr_node.outputs.uids import Producer, derived_uid

_CORRECTED = ("CORRECT_PIXELS", SCHEME, "In-plane correction of the pixels alone")
_FRAME_OF_REFERENCE = "FrameOfReferenceUID"


def correct_instance(
    source: FileDataset, operation: Orientation, producer: Producer
) -> FileDataset:
    """The image of ``source`` with its pixels after ``operation``, as a new instance and series.

    Parameters
    ----------
    source
        An MR Image or Enhanced MR Image as ``dicom.reading`` gives it; not changed.  Its plane
        may be missing or impossible.
    operation
        What is done to the pixels.  To bring an image stored as *o* to the standard view, it is
        ``o.inverse``.
    producer
        This node; part of the new UIDs.

    Raises
    ------
    RefusedStack
        The image must not be turned (see ``suitability``), or rows and columns that are spaced
        unequally would be exchanged.
    UndecodablePixels
        Its pixels cannot be had.
    UnreadableHeader
        A value that is needed is damaged.
    """
    with damage_named():
        check_suitable(source)
        check_velocity_without_plane(source, operation)
        if operation.transposes:
            _check_spacing(source)

        def part_from_source(ds: FileDataset) -> None:
            frame_of_reference = "".join(texts(source, _FRAME_OF_REFERENCE))
            if frame_of_reference:
                # Without the operation in it: the slices of a stack stay one stack.
                new = derived_uid(_FRAME_OF_REFERENCE, frame_of_reference, "correct", producer)
                put_raw(ds, _FRAME_OF_REFERENCE, new.encode())
            if _is_empty(ds, "ImageComments"):
                put_texts(ds, "ImageComments", NOT_VOUCHED)

        return turned_instance(
            source, operation, _derivation(operation), producer, part_from_source
        )


def _derivation(operation: Orientation) -> Derivation:
    return Derivation(
        step=f"correct {operation.value}",
        code=_CORRECTED,
        series_kind=10,
        series_prefix=f"GEOMETRY NOT VOUCHED FOR, {operation.value}",
        description=f"In-plane correction {operation.value} of the pixels alone: stored values "
        f"unchanged, no interpolation; plane attributes left as in the source. {NOT_VOUCHED}",
        contribution=f"In-plane correction {operation.value} of the pixels alone; patient geometry "
        "not vouched for",
        locations="NO",
    )


def _check_spacing(ds: Dataset) -> None:
    measures = [
        item
        for group in (shared_group(ds), *frame_groups(ds))
        for item in group.get("PixelMeasuresSequence") or []
    ]
    for place in (ds, *measures):
        for keyword in ("PixelSpacing", *PAIRS):
            values = texts(place, keyword)
            if len({Decimal(value) if is_decimal(value) else value for value in values}) > 1:
                raise RefusedStack(
                    f"{keyword} {' and '.join(values)} would have to be exchanged with rows and "
                    "columns, or not: which spacing belongs to which axis cannot be known"
                )


def _is_empty(ds: Dataset, keyword: str) -> bool:
    """Whether a text is absent or blank, found without decoding it where it is still bytes."""
    raw = raw_bytes(ds, keyword)
    return not (str(ds.get(keyword) or "") if raw is None else raw).strip()
