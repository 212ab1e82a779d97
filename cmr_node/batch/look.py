"""What a file is, from its first bytes and its header: DICOM, a volume, or nothing of ours.

The promise kept here: a file that looks like an image and cannot be read as one is named with
the reason; one that does not look like one is passed over and counted.  DICOM is known by its
content, whatever the file is called; a volume by its name, and its content has to agree later.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from cmr_node.batch.plan import Context
from cmr_node.batch.walk import Entry
from cmr_node.dicom.header import Header
from cmr_node.dicom.reading import read_header
from cmr_node.errors import BadInstance
from cmr_node.volumes.files import is_split_volume, is_volume

DICOM_NAMES: Final = (".dcm", ".dicom", ".ima", ".img.dcm")
PACKING: Final = 1  # zlib's fastest: a fifth of the size already
_PREFIX: Final = slice(128, 132)  # PS3.10 7.1


class Kind(StrEnum):
    """What a file is taken for."""

    DICOM = "dicom"
    VOLUME = "volume"
    PROBLEM = "problem"  #: it should be one of the two and cannot be read
    PASSED_OVER = "passed over"  #: text, pictures, DICOMDIR: nothing of ours


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was looked at.

    unit
        Of what it is a part: a study, or itself; b"" where it is nothing of ours.
    header
        That of a DICOM file, packed, else b"".
    """

    entry: Entry
    kind: Kind
    unit: bytes = b""
    uid: str = ""
    header: bytes = b""
    problem: str = ""


def look_at(context: Context, entries: Sequence[Entry]) -> list[Found]:
    """Look at some files, each on its own."""
    return [_look(context.path_of(entry.path), entry) for entry in entries]


def header_of(packed: bytes) -> Header:
    """The header that ``Found.header`` holds."""
    return Header(**json.loads(zlib.decompress(packed)))


def _look(place: Path, entry: Entry) -> Found:
    try:
        return _sniff(place, entry)
    except OSError as error:
        return _problem(entry, f"it cannot be read: {error.strerror}")
    except BadInstance as error:
        return _problem(entry, str(error))


def _sniff(place: Path, entry: Entry) -> Found:
    name = place.name.lower()
    if is_volume(place):
        if entry.size == 0:
            return _problem(entry, "an empty file; allowed: a NIfTI or MetaImage volume")
        return Found(entry, Kind.VOLUME, unit=b"volume\0" + entry.path)
    if name == "dicomdir":
        return Found(entry, Kind.PASSED_OVER)
    with place.open("rb") as file:
        beginning = file.read(_PREFIX.stop)
    if beginning[_PREFIX] == b"DICM":
        header = read_header(place)
        unit = b"study\0" + header.study_instance_uid.encode()
        packed = zlib.compress(json.dumps(asdict(header)).encode(), PACKING)
        return Found(entry, Kind.DICOM, unit, header.sop_instance_uid, packed)
    if is_split_volume(place):
        return _problem(
            entry, "a volume whose voxels lie in a second file; allowed: .nii, .nii.gz, .mha"
        )
    if name.endswith(DICOM_NAMES) or (entry.size == 0 and not os.path.splitext(name)[1]):
        return _problem(
            entry, f"no DICM at byte 128 of {entry.size}; allowed: a DICOM Part 10 file"
        )
    return Found(entry, Kind.PASSED_OVER)


def _problem(entry: Entry, text: str) -> Found:
    return Found(entry, Kind.PROBLEM, unit=b"problem\0" + entry.path, problem=text)
