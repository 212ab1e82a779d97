"""A turned image as a new instance, whatever becomes of its plane.

The promise kept here: the bytes that ``encode`` gives of it are a function of the source's bytes,
the derivation, the operation and the producer, and of nothing else: twice the same work is twice
the same instance.  What is done to an image:

    stripping    what cannot be turned is removed
    turn_header  what speaks of rows and columns is turned, or left: the caller's matter
    overlays     every overlay bit stays on its pixel
    words        the stored words are re-indexed, all bits of them
    derivation   the new instance says what it is, from what, by whom

The result is Explicit VR Little Endian where the source was compressed, else encoded as the
source was.  Of an Enhanced MR image the attributes that the Standard requires of ORIGINAL images
and allows in others (MR Pulse Sequence, cardiac timing) are kept: they still describe the
acquisition, although dciodvfy of 2022 warns about them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from io import BytesIO

import numpy as np
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
)

from cmr_node.dicom.decoders import is_lossy
from cmr_node.dicom.part10 import IMPLEMENTATION_VERSION_NAME
from cmr_node.dicom.products import IMPLEMENTATION_CLASS_UID
from cmr_node.dicom.raw import put_texts, tag_of, texts
from cmr_node.dicom.reading import READ_ERRORS
from cmr_node.dicom.words import layout, pixel_data, stored_words
from cmr_node.errors import UnreadableHeader
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.derivation import Derivation, stamp
from cmr_node.outputs.overlays import turn_overlays
from cmr_node.outputs.stripping import strip
from cmr_node.outputs.suitability import is_enhanced
from cmr_node.outputs.uids import Producer


def turned_instance(
    source: FileDataset,
    operation: Orientation,
    derivation: Derivation,
    producer: Producer,
    turn_header: Callable[[FileDataset], None],
) -> FileDataset:
    """The image of ``source`` with its pixels and overlays turned, as a new instance.

    Parameters
    ----------
    source
        An image that ``suitability`` allows; not changed.
    turn_header
        Called once with a copy of the source, still of its Rows and Columns and without pixels;
        brings what else it says of the plane to its state after the operation.

    Raises
    ------
    RefusedStack
        An overlay cannot be turned, or ``turn_header`` refuses.
    UndecodablePixels
        The pixels cannot be had.
    """
    words = stored_words(source)
    found = layout(source)
    shape = (found.rows, found.columns)
    ds = _copied(source)
    strip(ds)
    turn_header(ds)
    turn_overlays(ds, operation, shape)
    ds.Rows, ds.Columns = operation.turned_shape(shape)

    syntax = source.file_meta.TransferSyntaxUID
    if syntax.is_compressed:
        _record_loss(ds, source, syntax, found.size_bytes)
        syntax = ExplicitVRLittleEndian
    vr = "OB" if found.bits_allocated == 8 and not syntax.is_implicit_VR else "OW"
    turned = pixel_data(operation.apply(words), by_plane=found.by_plane)
    ds[tag_of("PixelData")] = DataElement(tag_of("PixelData"), vr, turned)

    stamp(ds, source, derivation, producer, enhanced=is_enhanced(source))
    ds.file_meta = file_meta(ds, syntax)
    return ds


@contextmanager
def damage_named() -> Iterator[None]:
    """Turn what pydicom raises on a damaged value into ``UnreadableHeader``, the value left out."""
    try:
        yield
    except READ_ERRORS as error:
        raise UnreadableHeader(f"an attribute cannot be read ({type(error).__name__})") from error


def encode(ds: FileDataset) -> bytes:
    """The instance as the bytes of a DICOM Part 10 file."""
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _copied(source: FileDataset) -> FileDataset:
    """A copy that shares nothing that can change, without the pixels."""
    ds = FileDataset(BytesIO(), Dataset(), preamble=b"\0" * 128)
    pixels = tag_of("PixelData")
    tags = source.keys()  # to iterate over the data set itself would decode every element
    for tag in tags:
        if tag != pixels:
            element = source.get_item(tag)
            # A raw element is a tuple of what was read: it cannot change, so it may be shared.
            ds[tag] = element if isinstance(element, RawDataElement) else deepcopy(element)
    implicit, little = source.original_encoding
    ds.set_original_encoding(implicit, little, source.original_character_set)
    return ds


def _record_loss(ds: Dataset, source: Dataset, syntax: UID, size_bytes: int) -> None:
    """Pixels that went through a lossy transfer syntax stay marked so (PS3.3 C.7.6.1.1.5)."""
    if not is_lossy(syntax) or texts(source, "LossyImageCompression") == ("01",):
        return
    ratio = np.round(size_bytes / len(source["PixelData"].value), 2)
    method = (
        "ISO_14495_1"
        if syntax in JPEGLSTransferSyntaxes
        else "ISO_15444_1"
        if syntax in JPEG2000TransferSyntaxes
        else "ISO_10918_1"
    )
    put_texts(ds, "LossyImageCompression", "01")
    put_texts(ds, "LossyImageCompressionRatio", f"{ratio:g}")
    put_texts(ds, "LossyImageCompressionMethod", method)


def file_meta(ds: Dataset, syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("".join(texts(ds, "SOPClassUID")))
    meta.MediaStorageSOPInstanceUID = UID("".join(texts(ds, "SOPInstanceUID")))
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta
