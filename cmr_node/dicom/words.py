"""Pixel data as the words that are stored.

The promise kept here: of an uncompressed image every bit comes out, those above BitsStored too
(a retired overlay may live there, PS3.5 8.1.2), so moving words moves all of the image.  The
bytes must be exactly as many as the header announces; more or less is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import generate_frames

from cmr_node.dicom.decoders import decode
from cmr_node.dicom.reading import READ_ERRORS
from cmr_node.errors import UndecodablePixels

Words = npt.NDArray[np.unsignedinteger]

ALLOCATED = (8, 16, 32)
MAX_DECODED_BYTES = 2 << 30
"""What compressed pixel data may grow to: ten times the largest cine met."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the pixels of an image lie in its Pixel Data (PS3.3 C.7.6.3)."""

    frames: int
    samples: int
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    by_plane: bool

    @property
    def size_bytes(self) -> int:
        """Bytes of the uncompressed Pixel Data, without padding."""
        words = self.frames * self.samples * self.rows * self.columns
        return words * self.bits_allocated // 8

    @property
    def word(self) -> np.dtype[np.unsignedinteger]:
        """The type of one stored word, little endian."""
        return np.dtype(f"<u{self.bits_allocated // 8}")


def layout(ds: Dataset) -> Layout:
    """Read the Image Pixel module.

    Raises
    ------
    UndecodablePixels
        An attribute is missing or its value impossible.
    """
    bits = _number(ds, "BitsAllocated")
    if bits not in ALLOCATED:
        raise UndecodablePixels(f"BitsAllocated {bits}; allowed: {', '.join(map(str, ALLOCATED))}")
    stored = _number(ds, "BitsStored", bits)
    high = _number(ds, "HighBit", stored - 1)
    if not 1 <= stored <= bits or not stored - 1 <= high < bits:
        raise UndecodablePixels(f"BitsStored {stored}, HighBit {high} in {bits} bits allocated")
    samples = _number(ds, "SamplesPerPixel", 1)
    found = Layout(
        frames=_number(ds, "NumberOfFrames", 1),
        samples=samples,
        rows=_number(ds, "Rows"),
        columns=_number(ds, "Columns"),
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=high,
        signed=_number(ds, "PixelRepresentation", 0) == 1,
        by_plane=samples > 1 and _number(ds, "PlanarConfiguration", 0) == 1,
    )
    for name in ("frames", "samples", "rows", "columns"):
        if getattr(found, name) < 1:
            raise UndecodablePixels(f"{getattr(found, name)} {name}; allowed: 1 or more")
    return found


def stored_words(ds: FileDataset) -> Words:
    """All pixels of an image as stored words, decompressed if need be.

    Returns
    -------
    (frames, rows, columns), or (frames, samples, rows, columns) of a colour image; unsigned, of
    BitsAllocated, little endian.  It may be a read-only view of the data set's bytes.

    Raises
    ------
    UndecodablePixels
        No pixel data, too little or too much of it, or no permitted decoder.
    """
    found = layout(ds)
    for keyword in ("FloatPixelData", "DoubleFloatPixelData"):
        if keyword in ds:
            raise UndecodablePixels(f"{keyword}; allowed: PixelData, integers")
    if "PixelData" not in ds or not ds["PixelData"].value:
        raise UndecodablePixels("no PixelData")
    data: bytes = ds["PixelData"].value
    syntax = ds.file_meta.TransferSyntaxUID
    if syntax.is_compressed:
        return _decompressed(ds, data, found)
    if not syntax.is_little_endian:
        raise UndecodablePixels(f"{syntax.name}; allowed: little endian, as ``reading`` gives it")
    if not found.size_bytes <= len(data) <= found.size_bytes + found.size_bytes % 2:
        raise UndecodablePixels(
            f"{len(data)} bytes of PixelData; {found.frames} frames of {found.rows} x "
            f"{found.columns} x {found.samples} at {found.bits_allocated} bits need "
            f"{found.size_bytes}"
        )
    words = np.frombuffer(data, found.word, count=found.size_bytes // found.word.itemsize)
    if found.samples == 1:
        return words.reshape(found.frames, found.rows, found.columns)
    if found.by_plane:
        return words.reshape(found.frames, found.samples, found.rows, found.columns)
    by_pixel = words.reshape(found.frames, found.rows, found.columns, found.samples)
    return np.moveaxis(by_pixel, -1, 1)


def pixel_data(words: Words, *, by_plane: bool) -> bytes:
    """The bytes of PixelData for words shaped as ``stored_words`` gives them, padded to even."""
    if words.ndim == 4 and not by_plane:
        words = np.moveaxis(words, 1, -1)
    data = np.ascontiguousarray(words, words.dtype.newbyteorder("<")).tobytes()
    return data + b"\0" * (len(data) % 2)


def display_values(ds: FileDataset, frame: int = 0) -> npt.NDArray[np.float32]:
    """One frame for pictures and correlation: a larger value is a brighter pixel.

    Parameters
    ----------
    ds
        A monochrome image.
    frame
        Zero-based.

    Returns
    -------
    (rows, columns), in stored units: bits above HighBit masked, sign applied, MONOCHROME1
    negated.  Rescale and windows are left to the caller; both keep the order of the values.

    Raises
    ------
    UndecodablePixels
        As ``stored_words``, or a colour image.
    """
    found = layout(ds)
    if found.samples != 1:
        raise UndecodablePixels(f"{found.samples} samples per pixel; allowed: 1")
    words: npt.NDArray[np.int64] = stored_words(ds)[frame].astype(np.int64)
    lowest_bit = found.high_bit + 1 - found.bits_stored
    values = words >> lowest_bit & (1 << found.bits_stored) - 1
    if found.signed:
        sign = 1 << (found.bits_stored - 1)
        values = (values ^ sign) - sign
    if ds.get("PhotometricInterpretation") == "MONOCHROME1":
        values = -values
    return values.astype(np.float32)


def _decompressed(ds: FileDataset, data: bytes, found: Layout) -> Words:
    if found.samples != 1:
        raise UndecodablePixels(f"{found.samples} samples per pixel, compressed; allowed: 1")
    if found.size_bytes > MAX_DECODED_BYTES:
        raise UndecodablePixels(
            f"compressed pixels of {found.size_bytes} bytes (limit {MAX_DECODED_BYTES})"
        )
    syntax = ds.file_meta.TransferSyntaxUID
    frames: list[Words] = []
    try:
        for stream in generate_frames(data, number_of_frames=found.frames):
            if len(frames) == found.frames:
                raise UndecodablePixels(f"more than the {found.frames} frames announced")
            frames.append(decode(stream, syntax, ds))
    except (ValueError, LookupError, EOFError) as error:
        raise UndecodablePixels(f"the fragments make no frames: {error}") from error
    if len(frames) != found.frames:
        raise UndecodablePixels(f"{len(frames)} frames; {found.frames} are announced")
    return np.stack(frames)


def _number(ds: Dataset, keyword: str, default: int | None = None) -> int:
    try:
        value = ds.get(keyword)
        if value in (None, "") and default is not None:
            return default
        return int(value)
    except READ_ERRORS as error:
        raise UndecodablePixels(f"{keyword} is missing or no number") from error
