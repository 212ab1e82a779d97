"""Small MR instances made in memory: not square, unequal spacing, double oblique, asymmetric."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

SAX_IOP = [0.6428, 0.6634, -0.3830, 0.1710, 0.3630, 0.9160]
ROOT = "1.2.826.0.1.3680043.10.1338"


def uid(*parts: object) -> str:
    """A valid UID that depends on ``parts`` alone."""
    return generate_uid(prefix=f"{ROOT}.", entropy_srcs=[repr(part) for part in parts])


def orthonormal(iop: list[float]) -> list[float]:
    """``iop`` made unit and orthogonal to full precision."""
    row = np.array(iop[:3]) / np.linalg.norm(iop[:3])
    column = np.array(iop[3:]) - row * (row @ np.array(iop[3:]))
    column /= np.linalg.norm(column)
    return [round(float(v), 12) for v in (*row, *column)]


def mr(
    *,
    rows: int = 24,
    columns: int = 32,
    slice_number: int = 0,
    phase: int = 0,
    study: str = "study",
    series: str = "series",
    iop: list[float] | None = None,
    transfer_syntax: str = ExplicitVRLittleEndian,
    **attributes: Any,
) -> FileDataset:
    """One single-frame MR image; further DICOM keywords are set as given, None deletes."""
    iop = orthonormal(iop or SAX_IOP)
    normal = np.cross(iop[:3], iop[3:])
    ds = FileDataset("sample", {}, preamble=b"\0" * 128)
    ds.SOPClassUID = MRImageStorage
    ds.SOPInstanceUID = uid(study, series, slice_number, phase)
    ds.StudyInstanceUID = uid(study)
    ds.SeriesInstanceUID = uid(study, series)
    ds.FrameOfReferenceUID = uid(study, "frame of reference")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.StudyDate, ds.StudyTime = "20200102", "030405"
    ds.ContentDate, ds.ContentTime = "20200102", "030410"
    ds.AcquisitionDate, ds.AcquisitionTime = "20200102", "030406"
    ds.AccessionNumber = "A1"
    ds.Modality, ds.BodyPartExamined = "MR", "HEART"
    ds.Manufacturer = "SCANNER WORKS"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "CMR"
    ds.SeriesDescription = "cine sax"
    ds.PatientName, ds.PatientID = "CANARY^PATIENT", "CANARY-ID"
    ds.PatientBirthDate, ds.PatientSex = "19500101", "O"
    ds.ScanningSequence, ds.SequenceVariant = "GR", "SS"
    ds.ScanOptions, ds.MRAcquisitionType = "CG", "2D"
    ds.SliceThickness, ds.SpacingBetweenSlices = "8", "10"
    ds.RepetitionTime, ds.EchoTime = "3.2", "1.4"
    ds.EchoTrainLength = None
    ds.TriggerTime = str(30 * phase)
    ds.CardiacNumberOfImages = 2
    ds.AcquisitionMatrix = [0, columns, rows, 0]
    ds.InPlanePhaseEncodingDirection = "COL"
    ds.FlipAngle = "60"
    ds.PatientPosition = "HFS"
    ds.StudyID, ds.SeriesNumber = "1", 3
    ds.AcquisitionNumber = 1
    ds.InstanceNumber = slice_number * 2 + phase + 1
    ds.ImagePositionPatient = [
        str(round(float(v), 9))
        for v in np.array([-80.25, -120.5, 60.125]) + 10 * slice_number * normal
    ]
    ds.ImageOrientationPatient = [str(v) for v in iop]
    ds.PositionReferenceIndicator = ""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = rows, columns
    ds.PixelSpacing = ["1.25", "1.5"]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    values = np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns) % 4096
    ds.PixelData = values.tobytes()
    ds["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = transfer_syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def data_set_bytes(ds: Dataset) -> bytes:
    """The data set as a C-STORE-RQ carries it: no preamble, no file meta information."""
    syntax = ds.file_meta.TransferSyntaxUID
    buffer = DicomBytesIO()
    buffer.is_little_endian = syntax.is_little_endian
    buffer.is_implicit_VR = syntax.is_implicit_VR
    write_dataset(buffer, ds)
    return bytes(buffer.getvalue())


def part10_bytes(ds: Dataset) -> bytes:
    """The instance as a DICOM file."""
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
