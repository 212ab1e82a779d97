"""A simulated series as one Enhanced MR instance, the way some scanners send a whole stack.

The promise kept here: the two forms hold the same pixels at the same places.  Enhanced MR Image
Storage (PS3.3 A.36) says once what all frames share, and position and phase of each frame in its
own functional groups; it is made from the single-frame images of the series.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage

from cmr_node.phantom.dicom.functional_groups import frame_type, item, shared_groups
from cmr_node.phantom.dicom.headers import derived_uid
from cmr_node.phantom.scanner.render import LARGEST, PSIR_ZERO

_CARRIED = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientComments",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "Modality",
    "BodyPartExamined",
    "PatientPosition",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "ProtocolName",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionNumber",
    "ContentDate",
    "ContentTime",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)


def multi_frame(images: Sequence[FileDataset], rescaled: bool = False) -> FileDataset:
    """One instance of all ``images`` of a series, frame by frame in the order given.

    Parameters
    ----------
    rescaled
        Stored values fill their 12 bits, and slope and intercept give the value back: that of the
        single-frame image, counted from no signal in a phase-sensitive one.

    Raises
    ------
    ValueError
        There is no image, or they are not of one series and size.
    """
    kinds = {(ds.SeriesInstanceUID, ds.Rows, ds.Columns) for ds in images}
    if len(kinds) != 1:
        raise ValueError(f"a multi-frame instance is one series of one size, found {len(kinds)}")
    first = images[0]
    ds = FileDataset("phantom", {}, preamble=b"\0" * 128)
    for keyword in _CARRIED:
        if keyword in first:
            ds[keyword] = deepcopy(first[keyword])
    ds.SOPClassUID = EnhancedMRImageStorage
    ds.SOPInstanceUID = derived_uid(first.SeriesInstanceUID, "multi-frame")
    ds.DeviceSerialNumber = "1"
    ds.InstanceNumber = 1
    _whole(ds, first)
    if ds.ImageType[0] == "ORIGINAL":
        _pulse_sequence(ds, first)
    ds.NumberOfFrames = len(images)
    slope, intercept = _scale(ds, images) if rescaled else _as_it_is(ds, images)
    orientations = _distinct(images, "ImageOrientationPatient")
    ds.SharedFunctionalGroupsSequence = [
        shared_groups(first, slope, intercept, oriented=len(orientations) == 1)
    ]
    _dimensions(ds, images, orientations)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = first.file_meta.TransferSyntaxUID
    ds.file_meta.ImplementationClassUID = first.file_meta.ImplementationClassUID
    return ds


def _as_it_is(ds: FileDataset, images: Sequence[FileDataset]) -> tuple[str, str]:
    ds.PixelData = b"".join(image.PixelData for image in images)
    ds["PixelData"].VR = "OW"
    return "1", "0"


def _scale(ds: FileDataset, images: Sequence[FileDataset]) -> tuple[str, str]:
    """Store the pixels over the whole range; (slope, intercept) that give the values back."""
    values = np.stack([image.pixel_array for image in images]).astype(np.float64)
    if "PSIR" in images[0].ImageType:
        values -= PSIR_ZERO
    low, high = min(values.min(), 0.0), values.max()
    slope = f"{max(high - low, 1) / LARGEST:.10g}"
    stored = np.rint((values - low) / float(slope)).clip(0, LARGEST)
    ds.PixelData = stored.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return slope, f"{low:g}"


def _whole(ds: FileDataset, first: Dataset) -> None:
    """What holds of any instance: Enhanced MR Image module."""
    kind = frame_type(first)
    ds.ImageType = kind.FrameType
    for keyword in (
        "PixelPresentation",
        "VolumetricProperties",
        "VolumeBasedCalculationTechnique",
        "ComplexImageComponent",
        "AcquisitionContrast",
    ):
        setattr(ds, keyword, kind[keyword].value)
    ds.AcquisitionDateTime = first.AcquisitionDate + first.AcquisitionTime
    ds.AcquisitionDuration = 8000.0
    ds.ContentQualification = "RESEARCH"
    ds.ResonantNucleus = "1H"
    ds.MagneticFieldStrength = float(first.MagneticFieldStrength)
    ds.KSpaceFiltering = "NONE"
    ds.ApplicableSafetyStandardAgency = "IEC"
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.PresentationLUTShape = "IDENTITY"
    ds.AcquisitionContextSequence = []


def _pulse_sequence(ds: FileDataset, first: Dataset) -> None:
    """What is told of original images only: MR Pulse Sequence and Cardiac Synchronization."""
    spin_echo = "SE" in first.ScanningSequence
    ds.PulseSequenceName = first.SequenceName
    ds.MRAcquisitionType = "2D"
    ds.EchoPulseSequence = "SPIN" if spin_echo else "GRADIENT"
    ds.MultiPlanarExcitation = "NO"
    ds.PhaseContrast = "NO"
    ds.TimeOfFlightContrast = "NO"
    if spin_echo:
        ds.MultipleSpinEcho = "YES"
    steady = "SS" in first.SequenceVariant
    ds.SteadyStatePulseSequence = "FREE_PRECESSION" if steady else "NONE"
    ds.EchoPlanarPulseSequence = "NO"
    ds.SaturationRecovery = "NO"
    ds.SpectrallySelectedSuppression = "FAT" if "FS" in first.ScanOptions else "NONE"
    ds.OversamplingPhase = "NONE"
    ds.GeometryOfKSpaceTraversal = "RECTILINEAR"
    ds.RectilinearPhaseEncodeReordering = "LINEAR"
    ds.SegmentedKSpaceTraversal = "PARTIAL"
    ds.NumberOfKSpaceTrajectories = 1
    film = first.CardiacNumberOfImages > 1
    ds.CardiacSynchronizationTechnique = "RETROSPECTIVE" if film else "PROSPECTIVE"
    ds.CardiacSignalSource = "ECG"
    ds.CardiacRRIntervalSpecified = float(first.NominalInterval)
    ds.CardiacBeatRejectionTechnique = "NONE"
    ds.LowRRValue = ds.HighRRValue = first.NominalInterval
    ds.IntervalsAcquired = first.CardiacNumberOfImages
    ds.IntervalsRejected = 0


def _distinct(images: Sequence[Dataset], keyword: str) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(tuple(image.get(keyword) or ()) for image in images))


def _dimensions(
    ds: FileDataset, images: Sequence[Dataset], orientations: Sequence[tuple[str, ...]]
) -> None:
    """Frames run over the stacks (if several), the slices of each, and the phases of these."""
    pointers = {"StackID": 0x00209056, "InStackPositionNumber": 0x00209057}
    pointers["TemporalPositionIndex"] = 0x00209128
    if len(orientations) == 1:
        del pointers["StackID"]
    organisation, frame_content = derived_uid(ds.SeriesInstanceUID, "dimensions"), 0x00209111
    ds.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organisation)]
    ds.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=organisation,
            DimensionIndexPointer=pointer,
            FunctionalGroupPointer=frame_content,
        )
        for pointer in pointers.values()
    ]
    times = _distinct_times(images)
    frames = []
    for image in images:
        # Not by ImagePositionPatient, which a faulty series lacks.
        stack = orientations.index(tuple(image.get("ImageOrientationPatient") or ()))
        fellows = [one for one in images if _oriented(one) == _oriented(image)]
        places = list(dict.fromkeys(one.SliceLocation for one in fellows))
        position, phase = places.index(image.SliceLocation) + 1, times.index(image.TriggerTime) + 1
        indices = [position, phase] if len(orientations) == 1 else [stack + 1, position, phase]
        frames.append(_frame(image, stack + 1, indices, own_orientation=len(orientations) > 1))
    ds.PerFrameFunctionalGroupsSequence = frames


def _distinct_times(images: Sequence[Dataset]) -> list[object]:
    return list(dict.fromkeys(image.TriggerTime for image in images))


def _oriented(image: Dataset) -> tuple[str, ...]:
    return tuple(image.get("ImageOrientationPatient") or ())


def _frame(image: Dataset, stack: int, indices: list[int], own_orientation: bool) -> Dataset:
    """What is a frame's own."""
    begun = image.AcquisitionDate + image.AcquisitionTime
    frame = item(
        FrameContentSequence=[
            item(
                FrameAcquisitionNumber=image.AcquisitionNumber,
                FrameReferenceDateTime=begun,
                FrameAcquisitionDateTime=begun,
                FrameAcquisitionDuration=8000.0,
                StackID=str(stack),
                InStackPositionNumber=indices[-2],
                TemporalPositionIndex=indices[-1],
                DimensionIndexValues=indices,
            )
        ],
        CardiacSynchronizationSequence=[
            item(
                NominalCardiacTriggerDelayTime=float(image.TriggerTime),
                ActualCardiacTriggerDelayTime=float(image.TriggerTime),
                RRIntervalTimeNominal=float(image.NominalInterval),
            )
        ],
    )
    if "ImagePositionPatient" in image:
        frame.PlanePositionSequence = [item(ImagePositionPatient=list(image.ImagePositionPatient))]
        if own_orientation:
            frame.PlaneOrientationSequence = [
                item(ImageOrientationPatient=list(image.ImageOrientationPatient))
            ]
    return frame
