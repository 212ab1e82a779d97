"""A simulated series as one Enhanced MR instance, the way some scanners send a whole stack.

Enhanced MR Image Storage (PS3.3 A.36): what all frames share is said once, position and phase of
each frame in its own functional groups.  Made from the single-frame images of the series, so the
two forms hold the same pixels at the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage

from cmr_node.phantom.headers import derived_uid

FLAVOUR = ["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"]
"""Image Type of a cine: original, and magnitude says the frame type (PS3.3 C.8.16.1)."""

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


def multi_frame(images: Sequence[FileDataset]) -> FileDataset:
    """One instance of all ``images`` of a series, frame by frame in the order given.

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
    ds.NumberOfFrames = len(images)
    ds.SharedFunctionalGroupsSequence = [_shared(first)]
    positions = list(dict.fromkeys(tuple(image.ImagePositionPatient) for image in images))
    times = list(dict.fromkeys(image.TriggerTime for image in images))
    ds.DimensionOrganizationSequence, ds.DimensionIndexSequence = _dimensions(first)
    ds.PerFrameFunctionalGroupsSequence = [
        _frame(
            image,
            positions.index(tuple(image.ImagePositionPatient)) + 1,
            times.index(image.TriggerTime) + 1,
        )
        for image in images
    ]
    ds.PixelData = b"".join(image.PixelData for image in images)
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = first.file_meta.TransferSyntaxUID
    ds.file_meta.ImplementationClassUID = first.file_meta.ImplementationClassUID
    return ds


def _item(**attributes: object) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def _whole(ds: FileDataset, first: Dataset) -> None:
    """What holds of the instance: Enhanced MR Image and MR Pulse Sequence modules."""
    ds.ImageType = FLAVOUR
    ds.AcquisitionDateTime = first.AcquisitionDate + first.AcquisitionTime
    ds.AcquisitionDuration = 8000.0
    ds.ContentQualification = "RESEARCH"
    ds.ResonantNucleus = "1H"
    ds.MagneticFieldStrength = float(first.MagneticFieldStrength)
    ds.KSpaceFiltering = "NONE"
    ds.ApplicableSafetyStandardAgency = "IEC"
    ds.PixelPresentation = "MONOCHROME"
    ds.VolumetricProperties = "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.ComplexImageComponent = "MAGNITUDE"
    ds.AcquisitionContrast = "UNKNOWN"
    ds.PulseSequenceName = first.SequenceName
    ds.MRAcquisitionType = "2D"
    ds.EchoPulseSequence = "GRADIENT"
    ds.MultiPlanarExcitation = "NO"
    ds.PhaseContrast = "NO"
    ds.TimeOfFlightContrast = "NO"
    ds.SteadyStatePulseSequence = "FREE_PRECESSION"
    ds.EchoPlanarPulseSequence = "NO"
    ds.SaturationRecovery = "NO"
    ds.SpectrallySelectedSuppression = "NONE"
    ds.OversamplingPhase = "NONE"
    ds.GeometryOfKSpaceTraversal = "RECTILINEAR"
    ds.RectilinearPhaseEncodeReordering = "LINEAR"
    ds.SegmentedKSpaceTraversal = "PARTIAL"
    ds.NumberOfKSpaceTrajectories = 1
    ds.CardiacSynchronizationTechnique = "RETROSPECTIVE"
    ds.CardiacSignalSource = "ECG"
    ds.CardiacRRIntervalSpecified = float(first.NominalInterval)
    ds.CardiacBeatRejectionTechnique = "NONE"
    ds.LowRRValue = ds.HighRRValue = first.NominalInterval
    ds.IntervalsAcquired = first.CardiacNumberOfImages
    ds.IntervalsRejected = 0
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.PresentationLUTShape = "IDENTITY"
    ds.AcquisitionContextSequence = []


def _shared(first: Dataset) -> Dataset:
    """The functional groups that all frames share."""
    group = Dataset()
    group.PixelMeasuresSequence = [
        _item(PixelSpacing=list(first.PixelSpacing), SliceThickness=first.SliceThickness)
    ]
    if "SpacingBetweenSlices" in first:
        group.PixelMeasuresSequence[0].SpacingBetweenSlices = first.SpacingBetweenSlices
    group.PlaneOrientationSequence = [
        _item(ImageOrientationPatient=list(first.ImageOrientationPatient))
    ]
    group.FrameAnatomySequence = [
        _item(
            FrameLaterality="U",
            AnatomicRegionSequence=[
                _item(CodeValue="80891009", CodingSchemeDesignator="SCT", CodeMeaning="Heart")
            ],
        )
    ]
    group.PixelValueTransformationSequence = [
        _item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")
    ]
    group.FrameVOILUTSequence = [
        _item(WindowCenter=first.WindowCenter, WindowWidth=first.WindowWidth)
    ]
    group.MRImageFrameTypeSequence = [
        _item(
            FrameType=FLAVOUR,
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
            ComplexImageComponent="MAGNITUDE",
            AcquisitionContrast="UNKNOWN",
        )
    ]
    group.MRTimingAndRelatedParametersSequence = [
        _item(
            RepetitionTime=first.RepetitionTime,
            FlipAngle=first.FlipAngle,
            EchoTrainLength=1,
            RFEchoTrainLength=0,
            GradientEchoTrainLength=1,
            SpecificAbsorptionRateSequence=[
                _item(
                    SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY",
                    SpecificAbsorptionRateValue=1.0,
                )
            ],
            GradientOutputType="DB_DT",
            GradientOutput=0.0,
            OperatingModeSequence=[
                _item(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL"),
                _item(OperatingModeType="RF", OperatingMode="IEC_NORMAL"),
                _item(OperatingModeType="GRADIENT", OperatingMode="IEC_NORMAL"),
            ],
        )
    ]
    in_plane = {"ROW": "ROW", "COL": "COLUMN"}[first.InPlanePhaseEncodingDirection]
    matrix = [int(value) for value in first.AcquisitionMatrix]
    group.MRFOVGeometrySequence = [
        _item(
            InPlanePhaseEncodingDirection=in_plane,
            MRAcquisitionFrequencyEncodingSteps=max(matrix[:2]),
            MRAcquisitionPhaseEncodingStepsInPlane=max(matrix[2:]),
            MRAcquisitionPhaseEncodingStepsOutOfPlane=1,
            PercentSampling="100",
            PercentPhaseFieldOfView="100",
        )
    ]
    group.MREchoSequence = [_item(EffectiveEchoTime=float(first.EchoTime))]
    group.MRModifierSequence = [
        _item(
            InversionRecovery="NO",
            FlowCompensation="NONE",
            Spoiling="NONE",
            T2Preparation="NO",
            SpectrallySelectedExcitation="NONE",
            SpatialPresaturation="NONE",
            PartialFourier="NO",
            ParallelAcquisition="NO",
        )
    ]
    group.MRImagingModifierSequence = [
        _item(
            MagnetizationTransfer="NONE",
            BloodSignalNulling="NO",
            Tagging="NONE",
            TransmitterFrequency=63.87,
            PixelBandwidth="930",
        )
    ]
    group.MRReceiveCoilSequence = [
        _item(
            ReceiveCoilName="ARRAY",
            ReceiveCoilManufacturerName="",
            ReceiveCoilType="MULTICOIL",
            QuadratureReceiveCoil="NO",
            MultiCoilDefinitionSequence=[
                _item(MultiCoilElementName="1", MultiCoilElementUsed="YES")
            ],
        )
    ]
    group.MRTransmitCoilSequence = [
        _item(TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY")
    ]
    group.MRAveragesSequence = [_item(NumberOfAverages="1")]
    return group


def _frame(image: Dataset, position: int, phase: int) -> Dataset:
    """What is a frame's own."""
    begun = image.AcquisitionDate + image.AcquisitionTime
    return _item(
        FrameContentSequence=[
            _item(
                FrameAcquisitionNumber=image.AcquisitionNumber,
                FrameReferenceDateTime=begun,
                FrameAcquisitionDateTime=begun,
                FrameAcquisitionDuration=8000.0,
                StackID="1",
                InStackPositionNumber=position,
                TemporalPositionIndex=phase,
                DimensionIndexValues=[position, phase],
            )
        ],
        PlanePositionSequence=[_item(ImagePositionPatient=list(image.ImagePositionPatient))],
        CardiacSynchronizationSequence=[
            _item(
                NominalCardiacTriggerDelayTime=float(image.TriggerTime),
                ActualCardiacTriggerDelayTime=float(image.TriggerTime),
                RRIntervalTimeNominal=float(image.NominalInterval),
            )
        ],
    )


def _dimensions(first: Dataset) -> tuple[list[Dataset], list[Dataset]]:
    """Frames run over the slices of the stack, and over the phases of each."""
    organisation = derived_uid(first.SeriesInstanceUID, "dimensions")
    frame_content = 0x00209111
    indices = [
        _item(
            DimensionOrganizationUID=organisation,
            DimensionIndexPointer=pointer,
            FunctionalGroupPointer=frame_content,
        )
        for pointer in (0x00209057, 0x00209128)  # InStackPositionNumber, TemporalPositionIndex
    ]
    return [_item(DimensionOrganizationUID=organisation)], indices
