"""The functional groups that the frames of a simulated Enhanced MR instance share.

The promise kept here: what a single-frame header says of its sequence is said again in the words
of PS3.3 C.8.13, and nothing that it does not say but what the standard demands.
"""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from cmr_node.phantom.scanner.render import PSIR_ZERO


def item(**attributes: Any) -> Dataset:
    """A sequence item of these keywords."""
    found = Dataset()
    for keyword, value in attributes.items():
        setattr(found, keyword, value)
    return found


def frame_type(first: Dataset) -> Dataset:
    """The MR Image Frame Type group: what the frames are (PS3.3 C.8.13.3.1.1)."""
    kinds = list(first.ImageType)
    derived, phase_sensitive = "T1 MAP" in kinds, "PSIR" in kinds
    flavour = "CARDIAC"
    if "IR" in first.ScanningSequence and not phase_sensitive:
        flavour = "POST_CONTRAST"
    return item(
        FrameType=[
            "DERIVED" if derived else "ORIGINAL",
            "PRIMARY",
            flavour,
            "T1 MAP" if derived else "NONE",
        ],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
        ComplexImageComponent="REAL" if phase_sensitive else "MAGNITUDE",
        AcquisitionContrast=_contrast(first),
    )


def _contrast(first: Dataset) -> str:
    if "SE" in first.ScanningSequence:
        return "T2"
    return "T1" if "IR" in first.ScanningSequence or "T1 MAP" in first.ImageType else "UNKNOWN"


def shared_groups(first: Dataset, slope: str, intercept: str, oriented: bool) -> Dataset:
    """The groups that all frames share; ``oriented`` says whether orientation is one of them."""
    inverted = "InversionTime" in first
    group = Dataset()
    group.PixelMeasuresSequence = [
        item(PixelSpacing=list(first.PixelSpacing), SliceThickness=first.SliceThickness)
    ]
    if "SpacingBetweenSlices" in first:
        group.PixelMeasuresSequence[0].SpacingBetweenSlices = first.SpacingBetweenSlices
    if oriented and "ImageOrientationPatient" in first:
        group.PlaneOrientationSequence = [
            item(ImageOrientationPatient=list(first.ImageOrientationPatient))
        ]
    group.FrameAnatomySequence = [
        item(
            FrameLaterality="U",
            AnatomicRegionSequence=[
                item(CodeValue="80891009", CodingSchemeDesignator="SCT", CodeMeaning="Heart")
            ],
        )
    ]
    group.PixelValueTransformationSequence = [
        item(RescaleIntercept=intercept, RescaleSlope=slope, RescaleType="US")
    ]
    # The window is one of values, and rescaled phase-sensitive ones are counted from no signal.
    centre = float(first.WindowCenter) - (PSIR_ZERO if intercept != "0" else 0)
    group.FrameVOILUTSequence = [item(WindowCenter=f"{centre:.1f}", WindowWidth=first.WindowWidth)]
    group.MRImageFrameTypeSequence = [frame_type(first)]
    group.MRTimingAndRelatedParametersSequence = [
        item(
            RepetitionTime=first.RepetitionTime,
            FlipAngle=first.FlipAngle,
            EchoTrainLength=first.EchoTrainLength,
            RFEchoTrainLength=first.EchoTrainLength if "SE" in first.ScanningSequence else 0,
            GradientEchoTrainLength=0 if "SE" in first.ScanningSequence else 1,
            SpecificAbsorptionRateSequence=[
                item(
                    SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY",
                    SpecificAbsorptionRateValue=1.0,
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
    in_plane = {"ROW": "ROW", "COL": "COLUMN"}[first.InPlanePhaseEncodingDirection]
    matrix = [int(value) for value in first.AcquisitionMatrix]
    group.MRFOVGeometrySequence = [
        item(
            InPlanePhaseEncodingDirection=in_plane,
            MRAcquisitionFrequencyEncodingSteps=max(matrix[:2]),
            MRAcquisitionPhaseEncodingStepsInPlane=max(matrix[2:]),
            MRAcquisitionPhaseEncodingStepsOutOfPlane=1,
            PercentSampling="100",
            PercentPhaseFieldOfView="100",
        )
    ]
    group.MREchoSequence = [item(EffectiveEchoTime=float(first.EchoTime))]
    group.MRModifierSequence = [
        item(
            InversionRecovery="YES" if inverted else "NO",
            FlowCompensation="NONE",
            Spoiling="NONE" if "SS" in first.SequenceVariant else "RF",
            T2Preparation="NO",
            SpectrallySelectedExcitation="NONE",
            SpatialPresaturation="NONE",
            PartialFourier="NO",
            ParallelAcquisition="NO",
        )
    ]
    if inverted:
        group.MRModifierSequence[0].InversionTimes = [float(first.InversionTime)]
    group.MRImagingModifierSequence = [
        item(
            MagnetizationTransfer="NONE",
            BloodSignalNulling="YES" if "SE" in first.ScanningSequence else "NO",
            Tagging="NONE",
            TransmitterFrequency=42.577 * float(first.MagneticFieldStrength),
            PixelBandwidth="930",
        )
    ]
    group.MRReceiveCoilSequence = [
        item(
            ReceiveCoilName="ARRAY",
            ReceiveCoilManufacturerName="",
            ReceiveCoilType="MULTICOIL",
            QuadratureReceiveCoil="NO",
            MultiCoilDefinitionSequence=[
                item(MultiCoilElementName="1", MultiCoilElementUsed="YES")
            ],
        )
    ]
    group.MRTransmitCoilSequence = [
        item(TransmitCoilName="BODY", TransmitCoilManufacturerName="", TransmitCoilType="BODY")
    ]
    group.MRAveragesSequence = [item(NumberOfAverages="1")]
    return group
