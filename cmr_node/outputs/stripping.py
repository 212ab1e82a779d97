"""What a re-indexed image must not inherit.

The promise kept here: nothing stays that was true of the source's picture and cannot be turned
(private elements repeat the plane in ways only their vendor knows; an icon, a curve or a shutter
shows the old view), nothing that vouches for the source's bytes (signatures), nothing that says
the scanner's step made this instance.  All other elements keep their bytes.
"""

from __future__ import annotations

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from cmr_node.dicom.raw import tag_of

_EVERYWHERE = frozenset(
    tag_of(keyword)
    for keyword in (
        "DigitalSignaturesSequence",
        "EncryptedAttributesSequence",
        "FrameDisplayShutterSequence",
        "IconImageSequence",
        "MACParametersSequence",
        "SubjectRelativePositionInImage",
    )
)
_TOP = frozenset(
    tag_of(keyword)
    for keyword in (
        # display of the source
        "CenterOfCircularShutter",
        "RadiusOfCircularShutter",
        "ReferencedPresentationStateSequence",
        "ShutterLeftVerticalEdge",
        "ShutterLowerHorizontalEdge",
        "ShutterOverlayGroup",
        "ShutterPresentationColorCIELabValue",
        "ShutterPresentationValue",
        "ShutterRightVerticalEdge",
        "ShutterShape",
        "ShutterUpperHorizontalEdge",
        "VerticesOfThePolygonalShutter",
        # making of the source
        "InstanceCreationDate",
        "InstanceCreationTime",
        "SOPAuthorizationComment",
        "SOPAuthorizationDateTime",
        "SOPInstanceStatus",
        "AuthorizationEquipmentCertificationNumber",
        "PerformedProcedureStepDescription",
        "PerformedProcedureStepEndDate",
        "PerformedProcedureStepEndTime",
        "PerformedProcedureStepID",
        "PerformedProcedureStepStartDate",
        "PerformedProcedureStepStartTime",
        "PerformedProtocolCodeSequence",
        "ReferencedPerformedProcedureStepSequence",
        # its series and its encoding
        "LargestPixelValueInSeries",
        "SmallestPixelValueInSeries",
        "DataSetTrailingPadding",
        "ExtendedOffsetTable",
        "ExtendedOffsetTableLengths",
        "LengthToEnd",
        "PixelDataProviderURL",
    )
)
_CURVES = range(0x5000, 0x5100)


def strip(ds: Dataset) -> None:
    """Remove in place, at every level, what must not be inherited."""
    for tag in list(ds.keys()):
        if tag in _TOP or tag.group in _CURVES:
            del ds[tag]
    levels = [ds]
    for level in levels:  # grows; bounded by the nesting that reading allows
        for tag in list(level.keys()):
            if tag.is_private or tag in _EVERYWHERE:
                del level[tag]
            elif _is_sequence(level, tag):
                levels.extend(level[tag].value or [])


def _is_sequence(ds: Dataset, tag: BaseTag) -> bool:
    """Whether an element holds items, found without decoding it: text must keep its bytes."""
    element = ds.get_item(tag)
    if isinstance(element, RawDataElement) and element.VR in (None, "UN"):
        try:
            return dictionary_VR(tag) == "SQ"
        except KeyError:
            return False
    return element is not None and element.VR == "SQ"
