"""A small Enhanced MR cine made in memory: slices x phases, per-frame positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian

from tests.samples import SAX_IOP, orthonormal, uid


def item(**attributes: Any) -> Dataset:
    """A sequence item of these keywords."""
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """A coded concept."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def enhanced_mr(
    *,
    rows: int = 20,
    columns: int = 28,
    slices: int = 2,
    phases: int = 3,
    study: str = "study",
    series: str = "enhanced",
    iop: list[float] | None = None,
    pixel_measures_per_frame: bool = False,
    transfer_syntax: str = ExplicitVRLittleEndian,
    **attributes: Any,
) -> FileDataset:
    """An original Enhanced MR cine; further DICOM keywords are set as given, None deletes."""
    iop = orthonormal(iop or SAX_IOP)
    normal = np.cross(iop[:3], iop[3:])
    frames = slices * phases
    ds = FileDataset("sample", {}, preamble=b"\0" * 128)
    ds.SOPClassUID = EnhancedMRImageStorage
    ds.SOPInstanceUID = uid(study, series, "instance")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid(study), uid(study, series)
    ds.FrameOfReferenceUID = uid(study, "frame of reference")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "CINE", "NONE"]
    ds.StudyDate, ds.StudyTime = "20200102", "030405"
    ds.SeriesDate, ds.SeriesTime = "20200102", "030405"
    ds.ContentDate, ds.ContentTime = "20200102", "030410"
    ds.AcquisitionDateTime, ds.AcquisitionNumber = "20200102030406", 1
    ds.AccessionNumber, ds.ReferringPhysicianName = "A1", ""
    ds.Modality, ds.StudyID, ds.SeriesNumber = "MR", "1", 4
    ds.InstanceNumber = 1
    ds.Manufacturer, ds.ManufacturerModelName = "SCANNER WORKS", "S1"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "123", "1.0"
    ds.SeriesDescription = "cine sax enhanced"
    ds.PatientName, ds.PatientID = "CANARY^PATIENT", "CANARY-ID"
    ds.PatientBirthDate, ds.PatientSex = "19500101", "O"
    ds.PatientPosition, ds.BodyPartExamined = "HFS", "HEART"
    ds.PositionReferenceIndicator = ""
    ds.ReferencedPerformedProcedureStepSequence = [
        item(
            ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.3",
            ReferencedSOPInstanceUID=uid(study, "step"),
        )
    ]
    ds.AcquisitionDuration = 10.0
    ds.ContentQualification = "RESEARCH"
    ds.PixelPresentation, ds.VolumetricProperties = "MONOCHROME", "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.ComplexImageComponent, ds.AcquisitionContrast = "MAGNITUDE", "T1"
    ds.BurnedInAnnotation, ds.LossyImageCompression = "NO", "00"
    ds.PresentationLUTShape, ds.ResonantNucleus = "IDENTITY", "1H"
    ds.KSpaceFiltering, ds.MagneticFieldStrength = "NONE", 1.5
    ds.ApplicableSafetyStandardAgency = "IEC"
    ds.AcquisitionContextSequence = []
    ds.SynchronizationFrameOfReferenceUID = "1.2.840.10008.15.1.1"
    ds.SynchronizationTrigger = "NO TRIGGER"
    ds.AcquisitionTimeSynchronized = "N"
    ds.CardiacSynchronizationTechnique = "RETROSPECTIVE"
    ds.CardiacSignalSource = "ECG"
    ds.CardiacRRIntervalSpecified = 900.0
    ds.CardiacBeatRejectionTechnique = "NONE"
    ds.LowRRValue, ds.HighRRValue = 800, 1000
    ds.IntervalsAcquired, ds.IntervalsRejected = 10, 0
    ds.PulseSequenceName = "ssfp"
    ds.MRAcquisitionType, ds.EchoPulseSequence = "2D", "GRADIENT"
    ds.MultiPlanarExcitation, ds.PhaseContrast = "NO", "NO"
    ds.TimeOfFlightContrast, ds.SteadyStatePulseSequence = "NO", "FREE_PRECESSION"
    ds.EchoPlanarPulseSequence, ds.SaturationRecovery = "NO", "NO"
    ds.SpectrallySelectedSuppression = "NONE"
    ds.OversamplingPhase, ds.GeometryOfKSpaceTraversal = "NONE", "RECTILINEAR"
    ds.RectilinearPhaseEncodeReordering = "LINEAR"
    ds.SegmentedKSpaceTraversal = "SINGLE"
    ds.NumberOfKSpaceTrajectories = 1
    organisation = uid(study, "dimensions")
    ds.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organisation)]
    ds.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=organisation,
            DimensionIndexPointer=pointer,
            FunctionalGroupPointer=group,
        )
        for pointer, group in ((0x00209057, 0x00209111), (0x00209153, 0x00189118))
    ]
    ds.NumberOfFrames = frames
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    values = np.arange(frames * rows * columns, dtype=np.uint16) * 7 % 4096
    ds.PixelData = values.tobytes()
    ds["PixelData"].VR = "OW"
    measures = item(PixelSpacing=["1.25", "1.5"], SliceThickness="8")
    shared = _shared_group(iop, columns, rows)
    if not pixel_measures_per_frame:
        shared.PixelMeasuresSequence = [measures]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [
        _frame_group(
            k // phases, k % phases, normal, measures if pixel_measures_per_frame else None
        )
        for k in range(frames)
    ]
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


def _shared_group(iop: list[float], columns: int, rows: int) -> Dataset:
    shared = Dataset()
    shared.PlaneOrientationSequence = [item(ImageOrientationPatient=[str(v) for v in iop])]
    shared.MRImageFrameTypeSequence = [
        item(
            FrameType=["ORIGINAL", "PRIMARY", "CINE", "NONE"],
            PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME",
            VolumeBasedCalculationTechnique="NONE",
            ComplexImageComponent="MAGNITUDE",
            AcquisitionContrast="T1",
        )
    ]
    shared.MRTimingAndRelatedParametersSequence = [
        item(
            RepetitionTime="3.2",
            FlipAngle="60",
            EchoTrainLength=1,
            RFEchoTrainLength=0,
            GradientEchoTrainLength=1,
            SpecificAbsorptionRateSequence=[
                item(
                    SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY",
                    SpecificAbsorptionRateValue=0.5,
                )
            ],
            GradientOutputType="DB_DT",
            GradientOutput=0.0,
            OperatingModeSequence=[
                item(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL"),
                item(OperatingModeType="RF", OperatingMode="IEC_NORMAL"),
                item(OperatingModeType="GRADIENT", OperatingMode="IEC_NORMAL"),
            ],
        )
    ]
    shared.MRFOVGeometrySequence = [
        item(
            InPlanePhaseEncodingDirection="COLUMN",
            MRAcquisitionFrequencyEncodingSteps=columns,
            MRAcquisitionPhaseEncodingStepsInPlane=rows,
            MRAcquisitionPhaseEncodingStepsOutOfPlane=1,
            PercentSampling="100",
            PercentPhaseFieldOfView="100",
        )
    ]
    shared.MREchoSequence = [item(EffectiveEchoTime=1.4)]
    shared.MRModifierSequence = [
        item(
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
    shared.MRImagingModifierSequence = [
        item(
            MagnetizationTransfer="NONE",
            BloodSignalNulling="NO",
            Tagging="GRID",
            TagSpacingFirstDimension=7.0,
            TagAngleFirstAxis=30.0,
            TagSpacingSecondDimension=7.0,
            TagAngleSecondAxis=120,
            TagThickness=2.0,
            TransmitterFrequency=63.8,
            PixelBandwidth="900",
        )
    ]
    shared.MRReceiveCoilSequence = [
        item(
            ReceiveCoilName="body",
            ReceiveCoilManufacturerName="",
            ReceiveCoilType="BODY",
            QuadratureReceiveCoil="YES",
        )
    ]
    shared.MRTransmitCoilSequence = [
        item(TransmitCoilName="body", TransmitCoilManufacturerName="", TransmitCoilType="BODY")
    ]
    shared.MRAveragesSequence = [item(NumberOfAverages="1")]
    shared.FrameAnatomySequence = [
        item(
            FrameLaterality="U",
            AnatomicRegionSequence=[code("80891009", "SCT", "Heart")],
        )
    ]
    shared.PixelValueTransformationSequence = [
        item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")
    ]
    shared.FrameVOILUTSequence = [item(WindowCenter="2048", WindowWidth="4096")]
    return shared


def _frame_group(slice_number: int, phase: int, normal: Any, measures: Dataset | None) -> Dataset:
    group = Dataset()
    group.FrameContentSequence = [
        item(
            FrameAcquisitionNumber=1,
            FrameReferenceDateTime="20200102030406",
            FrameAcquisitionDateTime="20200102030406",
            FrameAcquisitionDuration=10.0,
            StackID="1",
            InStackPositionNumber=slice_number + 1,
            DimensionIndexValues=[slice_number + 1, phase + 1],
        )
    ]
    position = np.array([-80.25, -120.5, 60.125]) + 10 * slice_number * normal
    group.PlanePositionSequence = [
        item(ImagePositionPatient=[str(round(float(v), 9)) for v in position])
    ]
    group.CardiacSynchronizationSequence = [
        item(
            NominalCardiacTriggerDelayTime=30.0 * phase,
            ActualCardiacTriggerDelayTime=30.0 * phase,
            RRIntervalTimeNominal=900.0,
        )
    ]
    if measures is not None:
        group.PixelMeasuresSequence = [measures]
    return group
