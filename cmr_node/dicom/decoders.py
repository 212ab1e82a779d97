"""Compressed frames decoded by libraries whose licence lets a hospital use them freely.

The promise kept here: a frame becomes exactly the words that were compressed, or
``UndecodablePixels`` says why not.  GPL plug-ins that happen to be installed are not used:
the libraries are called by name, not through a plug-in search.

    RLE (PS3.5 annex G)              pylibjpeg-rle          MIT
    JPEG-LS                          pyjpegls (CharLS)      MIT, BSD
    JPEG 2000, HTJ2K                 pylibjpeg-openjpeg     MIT, BSD
    JPEG, baseline to lossless       GDCM within SimpleITK  Apache-2.0, BSD
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import jpeg_ls  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import SimpleITK
from openjpeg.utils import decode_pixel_data as decode_jpeg_2000
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from rle.utils import decode_pixel_data as decode_rle

from cmr_node.dicom import codestream
from cmr_node.errors import UndecodablePixels

Words = npt.NDArray[np.unsignedinteger]

RLE_WALK_BYTES = 4 << 20
"""A shorter RLE frame cannot grow past 256 MiB (128 bytes out of 2), so it is not walked."""

_DECODE_ERRORS = (RuntimeError, ValueError, TypeError, MemoryError, OSError)
_LOSSY = frozenset((JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K))


def is_lossy(syntax: UID) -> bool:
    """Whether pixels in this transfer syntax may have lost something (PS3.5 A.4)."""
    return syntax in _LOSSY


def decode(stream: bytes, syntax: UID, module: Dataset) -> Words:
    """One monochrome frame.

    Parameters
    ----------
    stream
        The fragments of the frame, joined.
    syntax
        A compressed transfer syntax.
    module
        Rows, Columns, BitsAllocated, BitsStored and PixelRepresentation of the image.

    Returns
    -------
    (rows, columns), unsigned, of BitsAllocated: the stored words.  A signed value fills the
    whole word (but for RLE, which keeps every bit as it was).

    Raises
    ------
    UndecodablePixels
        No permitted decoder, a damaged frame, or one that announces another size.
    """
    decoder = _DECODERS.get(syntax)
    if decoder is None:
        allowed = ", ".join(sorted(known.name for known in _DECODERS))
        raise UndecodablePixels(f"transfer syntax {syntax.name} ({syntax}); allowed: {allowed}")
    try:
        words = decoder(stream, syntax, module)
    except _DECODE_ERRORS as error:
        raise UndecodablePixels(f"a frame in {syntax.name} does not decode: {error}") from error
    shape = (int(module.Rows), int(module.Columns))
    if words.size != shape[0] * shape[1]:
        raise UndecodablePixels(f"a frame decodes to {words.size} words; {shape} was announced")
    return words.reshape(shape)


def _word(module: Dataset) -> np.dtype[np.unsignedinteger]:
    return np.dtype(f"<u{int(module.BitsAllocated) // 8}")


def _agree(frame: codestream.Frame, module: Dataset) -> None:
    announced = (int(module.Rows), int(module.Columns), 1)
    found = (frame.rows, frame.columns, frame.samples)
    if found != announced:
        raise UndecodablePixels(
            f"a frame of (rows, columns, samples) {found}; the data set announces {announced}"
        )
    if not 1 <= frame.precision <= int(module.BitsAllocated):
        raise UndecodablePixels(
            f"a frame of {frame.precision} bits; allowed: 1 to BitsAllocated {module.BitsAllocated}"
        )


def _widened(decoded: npt.NDArray[np.integer], frame: codestream.Frame, module: Dataset) -> Words:
    """Values of ``precision`` bits as words; a negative one is negative in the whole word."""
    values = decoded.astype(np.int64)
    if int(module.PixelRepresentation) == 1 and not frame.signed:
        sign = 1 << (frame.precision - 1)
        values = (values & (2 * sign - 1) ^ sign) - sign
    return values.astype(_word(module))


def _container(precision: int, signed: bool = False) -> np.dtype[np.integer]:
    width = 1 if precision <= 8 else 2 if precision <= 16 else 4
    return np.dtype(f"<{'i' if signed else 'u'}{width}")


def _jpeg_ls(stream: bytes, syntax: UID, module: Dataset) -> Words:
    frame = codestream.jpeg(stream)
    _agree(frame, module)
    decoded, _ = jpeg_ls.decode_buffer(stream)
    return _widened(np.frombuffer(decoded, _container(frame.precision)), frame, module)


def _jpeg_2000(stream: bytes, syntax: UID, module: Dataset) -> Words:
    frame = codestream.jpeg_2000(stream)
    _agree(frame, module)
    decoded = decode_jpeg_2000(stream, version=2)
    values = np.frombuffer(decoded, _container(frame.precision, frame.signed))
    return _widened(values, frame, module)


def _rle(stream: bytes, syntax: UID, module: Dataset) -> Words:
    bits = int(module.BitsAllocated)
    rows, columns = int(module.Rows), int(module.Columns)
    announced = rows * columns * bits // 8
    limit = announced + 256 * bits  # a segment may be padded by a byte and, in the wild, by a run
    if len(stream) > RLE_WALK_BYTES and codestream.rle_length(stream, limit) > limit:
        raise UndecodablePixels(f"an RLE frame that grows past the {announced} bytes announced")
    decoded = decode_rle(stream, version=2, rows=rows, columns=columns, bits_allocated=bits)
    return np.frombuffer(decoded, _word(module))


def _jpeg(stream: bytes, syntax: UID, module: Dataset) -> Words:
    """Through a file of its own: GDCM reads files, and must see no rescale to apply."""
    frame = codestream.jpeg(stream)
    _agree(frame, module)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    bare = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    bare.SOPClassUID = SecondaryCaptureImageStorage
    bare.SOPInstanceUID = "2.25.1"
    bare.Rows, bare.Columns, bare.SamplesPerPixel = frame.rows, frame.columns, 1
    bare.PhotometricInterpretation = "MONOCHROME2"
    bare.BitsAllocated = 8 if frame.precision <= 8 else 16
    bare.BitsStored, bare.HighBit = frame.precision, frame.precision - 1
    bare.PixelRepresentation = 0
    bare.PixelData = encapsulate([stream])
    with TemporaryDirectory(prefix="cmr-node-jpeg-") as folder:
        path = Path(folder) / "frame.dcm"
        bare.save_as(path, enforce_file_format=True)
        image = SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO")
    values = SimpleITK.GetArrayFromImage(image)
    return _widened(values.ravel(), frame, module)


_DECODERS: dict[UID, Callable[[bytes, UID, Dataset], Words]] = {
    RLELossless: _rle,
    JPEGLSLossless: _jpeg_ls,
    JPEGLSNearLossless: _jpeg_ls,
    JPEG2000Lossless: _jpeg_2000,
    JPEG2000: _jpeg_2000,
    HTJ2KLossless: _jpeg_2000,
    HTJ2KLosslessRPCL: _jpeg_2000,
    HTJ2K: _jpeg_2000,
    JPEGBaseline8Bit: _jpeg,
    JPEGExtended12Bit: _jpeg,
    JPEGLossless: _jpeg,
    JPEGLosslessSV1: _jpeg,
}
