"""One image plane at a time, whether it came as an instance of its own or inside another.

The promise kept here: a frame of a multi-frame object is described in the words of the
single-frame MR Image, so that nobody after this module has to know the difference.

Enhanced MR keeps what is true of a frame in functional groups (PS3.3 C.7.6.16): an item of
PerFrameFunctionalGroupsSequence, else the one of SharedFunctionalGroupsSequence.  No keyword of
the table occurs in two groups, so the groups are read as one flat list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from cmr_node.dicom.header import Header
from cmr_node.errors import InconsistentInstance

ENHANCED_MR: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image
        "1.2.840.10008.5.1.4.1.1.4.3",  # Enhanced MR Color Image
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR Image
    }
)

#: Keyword in a functional group -> keyword of the single-frame MR Image.
WORDS: Final[Mapping[str, str]] = {
    "ImageOrientationPatient": "ImageOrientationPatient",
    "ImagePositionPatient": "ImagePositionPatient",
    "PixelSpacing": "PixelSpacing",
    "SliceThickness": "SliceThickness",
    "SpacingBetweenSlices": "SpacingBetweenSlices",
    "FrameType": "ImageType",
    "FrameAcquisitionNumber": "AcquisitionNumber",
    "TemporalPositionIndex": "TemporalPositionIdentifier",
    "NominalCardiacTriggerDelayTime": "TriggerTime",
    "TriggerTime": "TriggerTime",  # legacy converted: among the unassigned attributes
    "RRIntervalTimeNominal": "NominalInterval",
    "EffectiveEchoTime": "EchoTime",
    "InversionTimes": "InversionTime",
    "RepetitionTime": "RepetitionTime",
    "FlipAngle": "FlipAngle",
    "EchoTrainLength": "EchoTrainLength",
}

_ECHO: Final = {"GRADIENT": ["GR"], "SPIN": ["SE"], "BOTH": ["GR", "SE"]}


@dataclass(frozen=True, slots=True)
class Frame:
    """One image plane.

    instance
        The header of the instance that holds it, as received.
    index
        Zero-based number of the frame within the instance; 0 for a single-frame image.
    header
        What is true of this frame, in the words of the single-frame MR Image.
    """

    instance: Header
    index: int
    header: Header


Frames = Callable[[Header], Sequence[Frame]]
"""The door to what only the file holds: all frames of an instance, in stored order."""


def is_multi_frame(header: Header) -> bool:
    """Whether the geometry of the instance lies in functional groups, not in the header."""
    return header.sop_class_uid in ENHANCED_MR


def frames_from(read: Callable[[Header], Dataset]) -> Frames:
    """Frames of any instance; ``read`` opens the file of a multi-frame one, pixels not needed.

    The returned door raises what ``read`` raises, and ``InconsistentInstance``.
    """

    def frames(header: Header) -> Sequence[Frame]:
        if not is_multi_frame(header):
            return (Frame(header, 0, header),)
        return enhanced_frames(header, read(header))

    return frames


def enhanced_frames(header: Header, ds: Dataset) -> tuple[Frame, ...]:
    """The frames of an Enhanced MR instance.

    Raises
    ------
    InconsistentInstance
        There are no functional groups, or not one item per frame.
    """
    items = list(ds.get("PerFrameFunctionalGroupsSequence") or [])
    count = int(ds.get("NumberOfFrames") or 1)
    if len(items) != count:
        raise InconsistentInstance(
            f"instance {header.sop_instance_uid} has {count} frames and {len(items)} items in "
            f"PerFrameFunctionalGroupsSequence; allowed is one item per frame"
        )
    shared = dict(_flat(list(ds.get("SharedFunctionalGroupsSequence") or [])))
    pulse = _pulse_sequence(ds)
    found = []
    for index, item in enumerate(items):
        attributes = {**header.attributes, **pulse, **shared, **dict(_flat([item]))}
        attributes["InstanceNumber"] = index + 1
        attributes.pop("NumberOfFrames", None)
        found.append(Frame(header, index, replace(header, attributes=attributes)))
    return tuple(found)


def _flat(items: Sequence[Dataset]) -> Iterator[tuple[str, Any]]:
    """(keyword of the MR Image, JSON value) for what the groups in ``items`` hold."""
    for item in items:
        for group in item:
            if group.VR != "SQ":
                continue
            for element in (group.value or [Dataset()])[0]:
                word = WORDS.get(element.keyword)
                value = _json(element.value)
                if word is not None and value not in (None, "", []):
                    yield word, value


def _pulse_sequence(ds: Dataset) -> dict[str, Any]:
    """ScanningSequence, SequenceVariant and ScanOptions from what Enhanced MR says instead."""
    said: dict[str, Any] = {}
    scanning = list(_ECHO.get(str(ds.get("EchoPulseSequence", "")), []))
    modifiers = [
        group[0]
        for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
        for item in (ds.get(name) or [])[:1]
        if (group := item.get("MRModifierSequence"))
    ]
    if any(modifier.get("InversionRecovery") == "YES" for modifier in modifiers):
        scanning.append("IR")
    if scanning:
        said["ScanningSequence"] = scanning
    if ds.get("SteadyStatePulseSequence", "NONE") not in ("NONE", ""):
        said["SequenceVariant"] = "SS"
    if ds.get("CardiacSynchronizationTechnique", "NONE") not in ("NONE", ""):
        said["ScanOptions"] = "CG"
    return said


def _json(value: Any) -> Any:
    if isinstance(value, MultiValue):
        return [_json(one) for one in value]
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    try:
        return float(value)  # DSdecimal
    except (TypeError, ValueError):
        return None
