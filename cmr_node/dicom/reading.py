"""Stored Part 10 files as data sets.

The promise kept here: a file written by anybody is read within bounds or refused with a
reason.  Its bytes are walked first (``header.scan``, ``structure``), and only then does pydicom
see them.  Odd values (a UID component with a leading zero, a date of zeros) are read as they are.

A data set that is deflated or big endian is handed out as Explicit VR Little Endian: nothing
behind this door meets another byte order.  A compressed one keeps its transfer syntax.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cmr_node.dicom import structure
from cmr_node.dicom.header import Header, scan
from cmr_node.dicom.part10 import read_meta
from cmr_node.errors import UnreadableHeader

MEBI = 1 << 20
MAX_FILE_BYTES = 2048 * MEBI
MAX_INFLATED_BYTES = 512 * MEBI

# Scanners write what they write; a warning per odd UID or date would drown the log.
config.settings.reading_validation_mode = config.IGNORE

READ_ERRORS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pydicom raises on values that are damaged, at once or when one is first looked at.

Their messages may quote a value, and so a name; only their type is passed on.
"""


def read(path: Path) -> FileDataset:
    """The whole data set of one stored file.

    Raises
    ------
    UnreadableHeader
        No Part 10 file, an unknown transfer syntax, or past the limits of the reader.
    UndecodablePixels
        Pixel Data is cut off.
    """
    size_bytes = path.stat().st_size
    if size_bytes > MAX_FILE_BYTES:
        raise UnreadableHeader(f"file of {size_bytes} bytes (limit {MAX_FILE_BYTES})")
    return parse(path.read_bytes())


def parse(data: bytes, *, max_inflated_bytes: int = MAX_INFLATED_BYTES) -> FileDataset:
    """The whole data set of a Part 10 file in memory; raises as ``read`` does."""
    syntax, offset = _split(data)
    body = data[offset:]
    if syntax == DeflatedExplicitVRLittleEndian:
        body, syntax = _inflate(body, max_inflated_bytes), ExplicitVRLittleEndian
    ds = _data_set(body, syntax)
    if syntax == ExplicitVRBigEndian:
        syntax = ExplicitVRLittleEndian
        ds = _data_set(_little_endian(ds), syntax)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if keyword in ds:
            setattr(meta, f"MediaStorage{keyword}", ds[keyword].value)
    file_ds = FileDataset(
        BytesIO(),
        ds,
        preamble=b"\0" * 128,
        file_meta=meta,
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=True,
    )
    file_ds.set_original_encoding(syntax.is_implicit_VR, True, ds.original_character_set)
    return file_ds


def read_header(path: Path) -> Header:
    """What the node keeps of a stored file's header, without reading its pixels.

    Raises
    ------
    UnreadableHeader
        No Part 10 file, or past the limits of the reader.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise UnreadableHeader("an empty file; allowed: a DICOM Part 10 file")
        # Never closed by hand: views of it may live on in a traceback; the last one closes it.
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    view = memoryview(mapped)
    syntax, offset = _split(view)
    return scan(view[offset:], str(syntax))


def _split(data: bytes | memoryview) -> tuple[UID, int]:
    """Transfer syntax and start of the data set of a Part 10 file."""
    meta = read_meta(data)
    syntax = UID(meta.transfer_syntax_uid, validation_mode=config.IGNORE)
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise UnreadableHeader(f"transfer syntax {str(syntax)!r}; allowed: one of PS3.6 table A-1")
    return syntax, meta.offset


def _inflate(deflated: bytes, limit: int) -> bytes:
    """Undo PS3.5 A.5, within bounds."""
    machine = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        inflated = machine.decompress(deflated, limit + 1)
    except zlib.error as error:
        raise UnreadableHeader(f"the deflated data set does not inflate: {error}") from error
    if len(inflated) > limit:
        raise UnreadableHeader(f"a deflated data set of more than {limit} bytes (limit)")
    if not machine.eof:
        raise UnreadableHeader("the deflated data set is cut off")
    return inflated


def _data_set(body: bytes, syntax: UID) -> Dataset:
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    end = structure.check(body, implicit=implicit, little_endian=little)
    scan(body[:end] if end < len(body) else body, str(syntax))  # identity and size of the header
    try:
        return read_dataset(BytesIO(body), implicit, little, bytelength=end)
    except READ_ERRORS as error:
        raise UnreadableHeader(f"not a data set ({type(error).__name__})") from error


def _little_endian(ds: Dataset) -> bytes:
    """A big endian data set as Explicit VR Little Endian.

    Numbers and text go through their values; words (OW and longer) are swapped here, because
    pydicom passes those on as they are.  UN is dropped: its inner order cannot be known.
    """
    try:
        for level in _levels(ds):
            for tag in list(level.keys()):
                element = level[tag]
                if element.VR == "UN" or element.tag.is_private:
                    del level[tag]
                    continue
                width = {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}.get(element.VR, 0)
                if tag == structure.PIXEL_DATA and width:
                    width = max(width, int(level.get("BitsAllocated", 16)) // 8)
                if width and element.value:
                    element.value = (
                        np.frombuffer(element.value, f">u{width}").astype(f"<u{width}").tobytes()
                    )
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, ds)
    except READ_ERRORS as error:
        raise UnreadableHeader(
            f"a big endian data set that cannot be turned ({type(error).__name__})"
        ) from error
    return bytes(buffer.getvalue())


def _levels(ds: Dataset) -> list[Dataset]:
    """The data set and every item below it."""
    levels = [ds]
    for level in levels:
        for tag in list(level.keys()):
            element = level[tag]
            if element.VR == "SQ":
                levels.extend(element.value)
    return levels
