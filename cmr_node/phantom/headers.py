"""The data set of one simulated image, as a scanner would write it.

MR Image Storage (PS3.3 A.4), one frame each, explicit little endian.  The patient is made up
and says so; every UID is derived from the plan and every time from the place in the protocol, so
that the same plan gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from cmr_node import __version__
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane
from cmr_node.phantom.render import LARGEST, Cine

NAMESPACE = UUID("6a0c2a5e-4d0b-5d0e-9a58-0f7f5b1d9c11")
IMPLEMENTATION_CLASS_UID = UID(f"2.25.{uuid5(NAMESPACE, 'implementation').int}")
SCANNED_AT = datetime(2024, 3, 5, 9, 30, tzinfo=UTC)  #: any time; when every study begins
BREATH_HOLD = timedelta(seconds=15)  #: from one slice to the next


def derived_uid(*parts: object) -> UID:
    """A UID under 2.25 (PS3.5 B.2) that depends on ``parts`` alone."""
    return UID(f"2.25.{uuid5(NAMESPACE, '/'.join(map(str, parts))).int}")


@dataclass(frozen=True, slots=True)
class Study:
    """What all images of a study share."""

    key: str  #: what every UID depends on
    patient: str  #: PatientID; the name is made from it
    heart_rate_bpm: float
    protocol: Cine
    phases: int

    @property
    def interval_ms(self) -> float:
        """The R-R interval."""
        return 60_000 / self.heart_rate_bpm


@dataclass(frozen=True, slots=True)
class Place:
    """Where one slice stands in the study."""

    series_uid: UID
    series_number: int
    description: str  #: SeriesDescription; empty means none is written
    slice_index: int  #: within the series
    slices: int  #: of the series
    acquisition: int  #: breath holds before this one
    gap: float | None  #: SpacingBetweenSlices, mm
    stored_as: Orientation


def image(
    study: Study, place: Place, plane: Plane, phase: int, pixels: npt.NDArray[np.uint16]
) -> FileDataset:
    """One phase of one slice.

    Parameters
    ----------
    plane
        Of ``pixels`` as given, that is, already turned as they are stored.
    phase
        Zero-based, of ``study.phases``.
    pixels
        (rows, columns) of ``plane``, at most ``LARGEST``.
    """
    number = place.slice_index * study.phases + phase + 1
    ds = FileDataset("phantom", {}, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.SOPClassUID = MRImageStorage
    ds.SOPInstanceUID = derived_uid(study.key, place.series_uid, number)
    _patient_and_study(ds, study)
    _series(ds, study, place)
    _timing(ds, study, place, phase)
    _acquisition(ds, study.protocol, place, plane)
    ds.InstanceNumber = number
    ds.ImagesInAcquisition = place.slices * study.phases
    _geometry(ds, plane)
    _pixels(ds, pixels)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    return ds


def _patient_and_study(ds: FileDataset, study: Study) -> None:
    ds.PatientName = study.patient.replace("-", "^")
    ds.PatientID = study.patient
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "O"
    ds.PatientComments = "Simulated: no such person"
    ds.StudyInstanceUID = derived_uid(study.key, "study")
    ds.StudyDate, ds.StudyTime = _date(SCANNED_AT), _time(SCANNED_AT)
    ds.StudyID = "1"
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "Cardiac MR, simulated"
    ds.FrameOfReferenceUID = derived_uid(study.key, "frame of reference")
    ds.PositionReferenceIndicator = ""


def _series(ds: FileDataset, study: Study, place: Place) -> None:
    ds.Modality = "MR"
    ds.BodyPartExamined = "HEART"
    ds.PatientPosition = "HFS"
    ds.Manufacturer = "CMR Node"
    ds.ManufacturerModelName = "Phantom"
    ds.SoftwareVersions = __version__
    ds.SeriesInstanceUID = place.series_uid
    ds.SeriesNumber = place.series_number
    if place.description:
        ds.SeriesDescription = place.description
        ds.ProtocolName = place.description


def _timing(ds: FileDataset, study: Study, place: Place, phase: int) -> None:
    begun = SCANNED_AT + (place.acquisition + 1) * BREATH_HOLD
    ds.AcquisitionNumber = 1  # as GE numbers a stack: ImagesInAcquisition counts all of it
    ds.AcquisitionDate, ds.AcquisitionTime = _date(begun), _time(begun)
    ds.ContentDate, ds.ContentTime = _date(begun), _time(begun + timedelta(seconds=8))
    ds.TriggerTime = _decimal(study.interval_ms * phase / study.phases, 3)
    ds.NominalInterval = round(study.interval_ms)
    ds.HeartRate = round(study.heart_rate_bpm)
    ds.CardiacNumberOfImages = study.phases


def _acquisition(ds: FileDataset, protocol: Cine, place: Place, plane: Plane) -> None:
    ds.ScanningSequence, ds.SequenceVariant = "GR", "SS"
    ds.ScanOptions, ds.MRAcquisitionType = "CG", "2D"
    ds.SequenceName = "bSSFP"
    ds.MagneticFieldStrength = "1.5"
    ds.RepetitionTime = _decimal(protocol.repetition_ms, 3)
    ds.EchoTime = _decimal(protocol.repetition_ms / 2, 3)
    ds.EchoTrainLength = 1
    ds.FlipAngle = _decimal(protocol.flip_deg, 3)
    ds.SliceThickness = _decimal(protocol.thickness, 3)
    if place.gap is not None:
        ds.SpacingBetweenSlices = _decimal(place.gap, 3)
    # Frequency runs along the rows of the standard view and phase down its columns; the
    # acquisition matrix lists frequency rows, columns, then phase rows, columns.
    rows, columns = plane.shape
    swapped = place.stored_as.transposes
    ds.AcquisitionMatrix = [rows, 0, 0, columns] if swapped else [0, columns, rows, 0]
    ds.InPlanePhaseEncodingDirection = "ROW" if swapped else "COL"


def _geometry(ds: FileDataset, plane: Plane) -> None:
    ds.ImagePositionPatient = [_decimal(value, 9) for value in plane.position]
    ds.ImageOrientationPatient = [
        _decimal(value, 10) for value in (*plane.row_direction, *plane.column_direction)
    ]
    ds.PixelSpacing = [_decimal(value, 9) for value in plane.pixel_spacing]
    ds.SliceLocation = _decimal(float(np.dot(plane.position, plane.normal)), 3)


def _pixels(ds: FileDataset, pixels: npt.NDArray[np.uint16]) -> None:
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.PixelRepresentation = 16, 0
    ds.BitsStored = LARGEST.bit_length()
    ds.HighBit = ds.BitsStored - 1
    ds.SmallestImagePixelValue, ds.LargestImagePixelValue = int(pixels.min()), int(pixels.max())
    bright = float(np.percentile(pixels, 99))
    ds.WindowCenter, ds.WindowWidth = _decimal(bright / 2, 1), _decimal(max(bright, 1), 1)
    ds.PixelData = pixels.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"


def _decimal(value: float, digits: int) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2, DS)."""
    return f"{round(value, digits) + 0.0:.{digits}f}".rstrip("0").rstrip(".")


def _date(moment: datetime) -> str:
    return f"{moment:%Y%m%d}"


def _time(moment: datetime) -> str:
    return f"{moment:%H%M%S}"
