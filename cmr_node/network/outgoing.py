"""What goes out: a stored file as a data set in a transfer syntax the peer takes.

The promise kept here: the file is never touched, and where the peer takes its transfer syntax
its data set goes out byte for byte, piece by piece.  Where the peer does not, the same values go
out in another encoding: decompressed, or explicit VR as implicit VR and back.  What cannot be
carried over without loss (colour that is compressed, big endian) is refused with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmwrite
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cmr_node.dicom.header import is_uid
from cmr_node.dicom.part10 import MAX_META_BYTES, read_meta
from cmr_node.dicom.reading import read
from cmr_node.dicom.sop_classes import class_name
from cmr_node.dicom.words import layout, pixel_data, stored_words
from cmr_node.errors import BadInstance, PeerRefused, UndecodablePixels, UnreadableHeader
from cmr_node.network.requestor import PIECE_BYTES, Proposed

CONTEXTS_AT_MOST = 128  # PS3.8 9.3.2.2: odd ids from 1 to 255
META_BYTES = 4 << 10  # where nearly every file meta information ends
ENCODINGS = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One file to be sent; its data set begins at byte ``offset``."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    offset: int


def look_at(path: Path) -> Outgoing:
    """What the file says it is.

    Raises
    ------
    UnreadableHeader
        No DICOM Part 10 file.
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(META_BYTES)
        try:
            meta = read_meta(start)
        except BadInstance:
            meta = read_meta(start + file.read(MAX_META_BYTES))
    for uid in (meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid):
        if not is_uid(uid):
            raise UnreadableHeader("a UID of the file meta information is none")
    return Outgoing(
        path, meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid, meta.offset
    )


@dataclass(frozen=True, slots=True)
class Route:
    """Files that one association can take, with the contexts they need."""

    contexts: tuple[Proposed, ...]
    files: tuple[Outgoing, ...]


def routes(files: Sequence[Outgoing], at_most: int = CONTEXTS_AT_MOST) -> list[Route]:
    """Split the files so that no association needs more than ``at_most`` contexts.

    Each SOP class is proposed in every transfer syntax found among its files and in both plain
    encodings, one per context, so that the peer says of each whether it takes it.
    """
    by_class: dict[str, dict[str, list[Outgoing]]] = {}
    for file in files:
        syntaxes = by_class.setdefault(file.sop_class_uid, {})
        syntaxes.setdefault(file.transfer_syntax_uid, []).append(file)
    found: list[Route] = []
    contexts: list[Proposed] = []
    held: list[Outgoing] = []
    for sop_class_uid, syntaxes in by_class.items():
        waiting = list(syntaxes)
        while waiting:
            # A class with more syntaxes than fit is split too.
            now, waiting = waiting[: at_most - len(ENCODINGS)], waiting[at_most - len(ENCODINGS) :]
            needed = [
                Proposed(sop_class_uid, (syntax,)) for syntax in dict.fromkeys((*now, *ENCODINGS))
            ]
            if contexts and len(contexts) + len(needed) > at_most:
                found.append(Route(tuple(contexts), tuple(held)))
                contexts, held = [], []
            contexts += needed
            held += [file for syntax in now for file in syntaxes[syntax]]
    if held:
        found.append(Route(tuple(contexts), tuple(held)))
    return found


@dataclass(frozen=True, slots=True)
class Chosen:
    """The accepted context a file goes out in."""

    context_id: int
    transfer_syntax_uid: str


def choose(file: Outgoing, proposed: Sequence[Proposed], accepted: Mapping[int, str]) -> Chosen:
    """The file's own transfer syntax if the peer takes it, else a plain encoding.

    Raises
    ------
    PeerRefused
        The peer takes the SOP class in none of these.
    """
    for syntax in (file.transfer_syntax_uid, *ENCODINGS):
        for context_id, agreed in accepted.items():
            asked = proposed[context_id // 2].abstract_syntax if context_id % 2 else ""
            if agreed == syntax and asked == file.sop_class_uid:
                return Chosen(context_id, syntax)
    raise PeerRefused(
        f"the peer takes no {class_name(file.sop_class_uid)} in "
        f"{UID(file.transfer_syntax_uid).name}"
    )


def data_set(file: Outgoing, transfer_syntax_uid: str) -> tuple[int, Iterable[bytes]]:
    """Size (bytes) and pieces of the data set in ``transfer_syntax_uid``.

    Raises
    ------
    BadInstance
        It must be encoded anew, and cannot be read or decoded.
    OSError
        It cannot be read.
    """
    if transfer_syntax_uid == file.transfer_syntax_uid:
        return os.stat(file.path).st_size - file.offset, _pieces(file)
    encoded = _encoded_anew(file, transfer_syntax_uid)
    return len(encoded), (encoded,)


def _pieces(file: Outgoing) -> Iterator[bytes]:
    with file.path.open("rb", buffering=0) as stream:
        stream.seek(file.offset)
        while piece := stream.read(PIECE_BYTES):
            yield piece


def _encoded_anew(file: Outgoing, transfer_syntax_uid: str) -> bytes:
    own = UID(file.transfer_syntax_uid)
    if own == ExplicitVRBigEndian:
        # The inner order of UN and private elements cannot be known, so they would be lost.
        raise UndecodablePixels("big endian, and the peer takes little endian only")
    ds = read(file.path)
    if own.is_compressed and "PixelData" in ds:
        if layout(ds).samples != 1:
            raise UndecodablePixels(f"colour in {own.name}, which the peer does not take")
        words = stored_words(ds)
        ds.PixelData = pixel_data(words, by_plane=False)
        ds["PixelData"].VR = "OW"
        ds["PixelData"].is_undefined_length = False
        for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
            if keyword in ds:
                delattr(ds, keyword)
    ds.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    buffer = BytesIO()
    implicit = transfer_syntax_uid == ImplicitVRLittleEndian
    dcmwrite(buffer, ds, implicit_vr=implicit, little_endian=True, enforce_file_format=True)
    whole = buffer.getvalue()
    return whole[read_meta(whole).offset :]
