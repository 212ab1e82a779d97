"""Which attributes of a header are kept, and how their bytes become JSON values.

The promise kept here: any bytes become a value that JSON and every database can hold, or no
value; none raises.  Text loses its padding, control characters become U+FFFD, a number that is
none or not finite stays text.  No attribute that names or describes the patient is in the table.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Final

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword

Value = str | int | float

#: Identity of the instance (PS3.3 C.7.1-C.12.1); each must be there.
IDENTITY: Final = ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")

KEPT: Final = (
    "AcquisitionDate",
    "AcquisitionNumber",
    "AcquisitionTime",
    "BitsAllocated",
    "BodyPartExamined",
    "BurnedInAnnotation",
    "CardiacNumberOfImages",
    "Columns",
    "ConcatenationUID",
    "ContentTime",
    "ContrastBolusAgent",
    "EchoTime",
    "EchoTrainLength",
    "FlipAngle",
    "FrameOfReferenceUID",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "ImagesInAcquisition",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
    "InstanceNumber",
    "InversionTime",
    "MRAcquisitionType",
    "MagneticFieldStrength",
    "Manufacturer",
    "ManufacturerModelName",
    "Modality",
    "NominalInterval",
    "NumberOfFrames",
    "NumberOfTemporalPositions",
    "PatientPosition",
    "PhotometricInterpretation",
    "PixelSpacing",
    "ProtocolName",
    "PulseSequenceName",
    "RepetitionTime",
    "Rows",
    "SamplesPerPixel",
    "ScanOptions",
    "ScanningSequence",
    "SequenceName",
    "SequenceVariant",
    "SeriesDate",
    "SeriesDescription",
    "SeriesNumber",
    "SeriesTime",
    "SliceLocation",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SpecificCharacterSet",
    "StudyDate",
    "StudyTime",
    "TemporalPositionIdentifier",
    "TriggerTime",
)

LONGEST_VALUE: Final = 4096
"""A kept value with more bytes than this is left out: none of KEPT is that long in earnest."""

_IS_RANGE: Final = range(-(2**31), 2**31)  # PS3.5 table 6.2-1
_BINARY: Final = {
    "US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d",
}  # fmt: skip
_PLAIN_TEXT: Final = frozenset({"CS", "UI", "DA", "TM", "DT", "AE", "AS"})
_LOCAL_TEXT: Final = frozenset({"SH", "LO", "UC"})  # in the SpecificCharacterSet
_ESCAPE: Final = b"\x1b"


def _table() -> dict[int, tuple[str, str]]:
    """Tag -> (keyword, VR) of everything that is read."""
    found = {}
    for keyword in (*IDENTITY, *KEPT):
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise LookupError(f"{keyword} is no DICOM keyword")
        found[tag] = (keyword, dictionary_VR(tag))
    return found


BY_TAG: Final = _table()


def json_value(
    raw: bytes, vr: str, big_endian: bool = False, character_sets: Sequence[str] = ()
) -> Value | list[Value] | None:
    """The value of one element; a list above multiplicity one; None if empty or no such value.

    ``character_sets`` are the values of SpecificCharacterSet, for SH, LO and UC.
    """
    if len(raw) > LONGEST_VALUE:
        return None
    values: list[Value]
    if vr in _BINARY:
        values = _binary(raw, _BINARY[vr], big_endian)
    elif vr == "DS":
        values = [_decimal(part) for part in _split(raw.decode("ascii", "replace"))]
    elif vr == "IS":
        values = [_integer(part) for part in _split(raw.decode("ascii", "replace"))]
    elif vr in _PLAIN_TEXT:
        values = list(_split(raw.decode("ascii", "replace")))
    elif vr in _LOCAL_TEXT:
        values = list(_split(decode_text(raw, character_sets)))
    else:
        return None
    if not values or values == [""]:
        return None
    return values[0] if len(values) == 1 else values


def decode_text(raw: bytes, character_sets: Sequence[str] = ()) -> str:
    """Text in the given Specific Character Sets (PS3.3 C.12.1.1.2), U+FFFD for what is none."""
    if _ESCAPE in raw:  # code extensions, ISO 2022 (PS3.5 6.1.2.5)
        if b"\x1b$)C" in raw:
            return raw.replace(b"\x1b$)C", b"").decode("euc_kr", "replace")
        if b"\x1b$)A" in raw:
            return raw.replace(b"\x1b$)A", b"").decode("gb2312", "replace")
        return raw.decode("iso2022_jp_2", "replace")
    first = character_sets[0] if character_sets else ""
    return raw.decode(python_encoding.get(first, "iso8859"), "replace")


def _split(text: str) -> list[str]:
    """The values of a text element without padding; control characters replaced."""
    text = text.strip("\0 ")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "\ufffd" for c in text)
    if "\\" not in text:
        return [text]
    return [part.strip() for part in text.split("\\")]


def _decimal(text: str) -> Value:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and "_" not in text else text


def _integer(text: str) -> Value:
    number = _decimal(text)  # "12.0" is found in the wild
    if isinstance(number, float) and number.is_integer() and int(number) in _IS_RANGE:
        return int(number)
    return text


def _binary(raw: bytes, code: str, big_endian: bool) -> list[Value]:
    size = struct.calcsize(f"={code}")
    if len(raw) % size:
        return []
    order = ">" if big_endian else "<"
    numbers = struct.unpack(f"{order}{len(raw) // size}{code}", raw)
    return [n if math.isfinite(n) else str(n) for n in numbers]
