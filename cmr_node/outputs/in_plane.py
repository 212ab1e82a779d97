"""Attributes of one image that speak of rows and columns, turned with its pixels.

The promise kept here: of the attributes of MR Image and Enhanced MR Image, those that name a row,
a column or an angle in the picture follow the pixels; those that name a role (frequency, phase),
a value or a direction in the patient stay.  All 561 and 745 attributes of the two were screened.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from cmr_node.dicom.raw import put_texts, texts
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import patient_orientation
from cmr_node.outputs.plane_text import PlaneText

PAIRS = (  # of the row direction and the column direction, in either order
    "PixelAspectRatio",
    "NominalScannedPixelSpacing",
    "ImagerPixelSpacing",
    "PresentationPixelSpacing",
)
_PHASE_ENCODING = {"ROW": "COL", "COL": "ROW", "COLUMN": "ROW"}
_PHASE_ENCODING_ENHANCED = {"ROW": "COLUMN", "COLUMN": "ROW", "COL": "ROW"}
_TAG_ANGLES = ("TagAngleFirstAxis", "TagAngleSecondAxis")


def plane_text(ds: Dataset, shape: tuple[int, int]) -> PlaneText:
    """The plane of a single-frame image.

    Raises
    ------
    UnusableGeometry
        A part of it is missing or wrong.
    """
    return PlaneText(
        orientation=texts(ds, "ImageOrientationPatient"),
        position=texts(ds, "ImagePositionPatient"),
        spacing=texts(ds, "PixelSpacing"),
        shape=shape,
    )


def turn_single_frame(ds: Dataset, operation: Orientation, shape: tuple[int, int]) -> None:
    """Turn the plane of an MR image in place; ``shape`` is that before the operation."""
    turned = plane_text(ds, shape).turned(operation)
    put_texts(ds, "ImageOrientationPatient", *turned.orientation)
    put_texts(ds, "ImagePositionPatient", *turned.position)
    put_texts(ds, "PixelSpacing", *turned.spacing)
    if texts(ds, "PatientOrientation"):
        put_texts(ds, "PatientOrientation", *patient_orientation(turned.plane))


def turn_roles(ds: Dataset, operation: Orientation, *, enhanced: bool = False) -> None:
    """Turn in place what one level of a data set says about rows and columns, the plane apart."""
    for keyword in _TAG_ANGLES:
        if ds.get(keyword) is not None:
            element = ds[keyword]
            angle = _turned_angle(float(element.value), operation)
            # (0018,9219) is SS, its sister FD: PS3.6 has them so.
            element.value = round(angle) % 180 if element.VR == "SS" else angle
    if not operation.transposes:
        return
    for keyword in PAIRS:
        pair = texts(ds, keyword)
        if len(pair) == 2:
            put_texts(ds, keyword, pair[1], pair[0])
    directions = _PHASE_ENCODING_ENHANCED if enhanced else _PHASE_ENCODING
    for direction in texts(ds, "InPlanePhaseEncodingDirection"):
        if direction in directions:
            put_texts(ds, "InPlanePhaseEncodingDirection", directions[direction])
    if "AcquisitionMatrix" in ds:
        matrix = ds["AcquisitionMatrix"].value
        if isinstance(matrix, int | str) or matrix is None or len(matrix) != 4:
            del ds["AcquisitionMatrix"]  # which of its numbers is rows cannot be told
        else:
            # frequency rows, frequency columns, phase rows, phase columns (PS3.3 C.8.3.1)
            ds["AcquisitionMatrix"].value = [matrix[1], matrix[0], matrix[3], matrix[2]]


def _turned_angle(angle_deg: float, operation: Orientation) -> float:
    """A line's angle, clockwise from the row direction, 0 <= angle < 180 (PS3.3 C.8.13.5.9)."""
    if operation.transposes:
        angle_deg = 90 - angle_deg
    if operation.reverses_rows:
        angle_deg = -angle_deg
    if operation.reverses_columns:
        angle_deg = 180 - angle_deg
    return angle_deg % 180
