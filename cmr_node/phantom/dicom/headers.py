"""The data set of one simulated image, as a scanner would write it.

The promise kept here: the same plan gives the same bytes.  MR Image Storage (PS3.3 A.4), one
frame each, explicit little endian.  The patient is made up and says so; every UID is derived from
the plan and every time from the place in the examination.  No private element is written.
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
from cmr_node.geometry.plane import Plane
from cmr_node.phantom.dicom.parameters import Parameters
from cmr_node.phantom.dicom.vendors import Style
from cmr_node.phantom.scanner.render import LARGEST
from cmr_node.phantom.series import Series, Shot

NAMESPACE = UUID("6a0c2a5e-4d0b-5d0e-9a58-0f7f5b1d9c11")
IMPLEMENTATION_CLASS_UID = UID(f"2.25.{uuid5(NAMESPACE, 'implementation').int}")
SCANNED_AT = datetime(2024, 3, 5, 9, 30, tzinfo=UTC)  #: any time; when every study begins
READ_OUT = timedelta(seconds=8)  #: from the beginning of a breath-hold to its images


def derived_uid(*parts: object) -> UID:
    """A UID under 2.25 (PS3.5 B.2) that depends on ``parts`` alone."""
    return UID(f"2.25.{uuid5(NAMESPACE, '/'.join(map(str, parts))).int}")


@dataclass(frozen=True, slots=True)
class Study:
    """What all images of a study share."""

    key: str  #: what every UID depends on
    patient: str  #: PatientID; the name is made from it
    heart_rate_bpm: float
    style: Style
    described: bool = True

    @property
    def interval_ms(self) -> float:
        """The R-R interval."""
        return 60_000 / self.heart_rate_bpm

    def series_uid(self, series: Series) -> UID:
        """Its SeriesInstanceUID."""
        return derived_uid(self.key, series.name, series.part)

    def description(self, series: Series) -> str:
        """Its SeriesDescription; empty means none is written."""
        if not self.described:
            return ""
        return self.style.description(series.name, series.kind, series.view)


def image(
    study: Study,
    series: Series,
    shot: Shot,
    phase: int,
    facts: Parameters,
    pixels: npt.NDArray[np.uint16],
) -> FileDataset:
    """One phase of one slice.

    Parameters
    ----------
    shot
        Of ``series.shots``.
    phase
        Zero-based.
    pixels
        (rows, columns) as they are stored, at most ``LARGEST``.
    """
    phases = series.scan.stack.phases
    ds = FileDataset("phantom", {}, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = list(study.style.words[series.kind].image_type)
    ds.SOPClassUID = MRImageStorage
    ds.InstanceNumber = series.shots.index(shot) * phases + phase + 1
    ds.SOPInstanceUID = derived_uid(study.series_uid(series), ds.InstanceNumber)
    _patient_and_study(ds, study)
    _series(ds, study, series, facts)
    _timing(ds, study, series, shot, phase, facts)
    _acquisition(ds, study, series, facts)
    if study.style.counts_images:
        ds.ImagesInAcquisition = len(series.shots) * phases
    _geometry(ds, series.header_plane(shot.cut), series)
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


def _series(ds: FileDataset, study: Study, series: Series, facts: Parameters) -> None:
    begun = moment(series.shots[0].seconds)
    ds.Modality = "MR"
    ds.BodyPartExamined = "HEART"
    ds.PatientPosition = "HFS"
    ds.Manufacturer = study.style.manufacturer
    ds.ManufacturerModelName = study.style.models[facts.tesla]
    ds.SoftwareVersions = f"CMR Node phantom {__version__}"
    ds.SeriesInstanceUID = study.series_uid(series)
    ds.SeriesNumber = series.number
    ds.SeriesDate, ds.SeriesTime = _date(begun), _time(begun)
    if description := study.description(series):
        ds.SeriesDescription = description
    if protocol := study.style.protocol(description):
        ds.ProtocolName = protocol


def _timing(
    ds: FileDataset, study: Study, series: Series, shot: Shot, phase: int, facts: Parameters
) -> None:
    begun, phases = moment(shot.seconds), series.scan.stack.phases
    trigger = study.interval_ms * phase / phases if facts.trigger_ms is None else facts.trigger_ms
    ds.AcquisitionNumber = 1  # as GE numbers a stack: ImagesInAcquisition counts all of it
    ds.AcquisitionDate, ds.AcquisitionTime = _date(begun), _time(begun)
    ds.ContentDate, ds.ContentTime = _date(begun), _time(begun + READ_OUT)
    ds.TriggerTime = _decimal(trigger, 3)
    ds.NominalInterval = round(study.interval_ms)
    ds.HeartRate = round(study.heart_rate_bpm)
    ds.CardiacNumberOfImages = phases


def _acquisition(ds: FileDataset, study: Study, series: Series, facts: Parameters) -> None:
    ds.ScanningSequence, ds.SequenceVariant = list(facts.scanning), list(facts.variant)
    ds.ScanOptions, ds.MRAcquisitionType = list(facts.options), "2D"
    ds.SequenceName = study.style.words[series.kind].sequence_name
    ds.MagneticFieldStrength = _decimal(facts.tesla, 1)
    ds.RepetitionTime = _decimal(facts.repetition_ms, 3)
    ds.EchoTime = _decimal(facts.echo_ms, 3)
    if facts.inversion_ms is not None:
        ds.InversionTime = _decimal(facts.inversion_ms, 3)
    ds.EchoTrainLength = facts.echo_train
    ds.FlipAngle = _decimal(facts.flip_deg, 3)
    ds.SliceThickness = _decimal(facts.thickness, 3)
    if series.scan.stack.slices > 1:
        ds.SpacingBetweenSlices = _decimal(series.scan.stack.gap, 3)
    # Frequency runs along the rows as scanned and phase down the columns; the acquisition matrix
    # lists frequency rows, columns, then phase rows, columns.  The header knows logged turns only.
    rows, columns = series.scan.stack.shape
    swapped = series.logged.transposes
    ds.AcquisitionMatrix = [columns, 0, 0, rows] if swapped else [0, columns, rows, 0]
    ds.InPlanePhaseEncodingDirection = "ROW" if swapped else "COL"


def _geometry(ds: FileDataset, plane: Plane, series: Series) -> None:
    if series.placed:
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


def moment(seconds: int) -> datetime:
    """``seconds`` after the study began."""
    return SCANNED_AT + timedelta(seconds=seconds)


def _decimal(value: float, digits: int) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2, DS)."""
    return f"{round(value, digits) + 0.0:.{digits}f}".rstrip("0").rstrip(".")


def _date(moment: datetime) -> str:
    return f"{moment:%Y%m%d}"


def _time(moment: datetime) -> str:
    return f"{moment:%H%M%S}"
