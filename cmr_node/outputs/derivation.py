"""What an image made of another says about itself: identity, origin, equipment.

The promise kept here: the image is a new instance in a new series of the same study and patient;
it names its source, what was done to it and this node, and the scanner stays on record as
contributing equipment (PS3.3 C.7.6.1, C.7.6.16.2.6, C.7.5.1, C.12.1).

No clock is read and nothing is written that may differ between two runs: SeriesDate, SeriesTime,
ContentDate and ContentTime stay those of the source (when the data were acquired and prepared),
InstanceCreationDate and -Time and our ContributionDateTime (all type 3) are left out.  When the
node worked is in its index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom.charset import convert_encodings, decode_bytes, encode_string
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cmr_node.dicom.raw import put_raw, put_texts, raw_bytes, texts
from cmr_node.outputs.codes import code, name_scheme
from cmr_node.outputs.equipment import equip
from cmr_node.outputs.functional_groups import frame_groups, shared_group
from cmr_node.outputs.suitability import is_ours
from cmr_node.outputs.uids import Producer, derive_uid, derived_uid

SERIES_FACTOR = 1000
_LONGEST_DESCRIPTION = 64


@dataclass(frozen=True, slots=True)
class Derivation:
    """One way to make an image of another, in the words that the new image carries.

    All are ASCII: the new image keeps the character set of its source, whichever that is.
    """

    step: str  #: part of the new UIDs: another step, another instance
    code: tuple[str, str, str]  #: value, scheme and meaning; CID 7203 has no code for ours
    series_kind: int  #: SeriesNumber is SERIES_FACTOR times that of the source, and this
    series_prefix: str  #: stands before the source's SeriesDescription; at most 60 characters
    description: (
        str  #: DerivationDescription, which then names the producer; at most 800 characters
    )
    contribution: str  #: what this node did, for its item of ContributingEquipmentSequence
    locations: str  #: SpatialLocationsPreserved; empty where one word cannot say it of all frames
    letters: tuple[str, ...] = ()  #: PatientOrientation of the source, beside REORIENTED_ONLY


def stamp(
    ds: Dataset, source: Dataset, derivation: Derivation, producer: Producer, *, enhanced: bool
) -> None:
    """Write identity, derivation and equipment into ``ds``, a turned copy of ``source``."""
    _identity(ds, source, derivation, producer, enhanced=enhanced)
    reference = _reference(source, derivation)
    description = f"{derivation.description} {producer.model} {producer.software_version}"
    if enhanced:
        _derive_enhanced(ds, source, derivation, reference, description)
    else:
        ds.SourceImageSequence = Sequence([reference])
        earlier = list(ds.get("DerivationCodeSequence") or [])
        ds.DerivationCodeSequence = Sequence([*earlier, code(*derivation.code)])
        put_texts(ds, "DerivationDescription", description)
    name_scheme(ds)
    equip(ds, source, producer, derivation.contribution)


def _identity(
    ds: Dataset, source: Dataset, derivation: Derivation, producer: Producer, *, enhanced: bool
) -> None:
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        source_uid = "".join(texts(source, keyword))
        put_raw(ds, keyword, derived_uid(keyword, source_uid, derivation.step, producer).encode())
    creator = derive_uid("creator", producer.model)
    put_raw(ds, "InstanceCreatorUID", creator.encode())
    second = "PRIMARY" if enhanced else "SECONDARY"  # PS3.3 C.8.13.3.1.1 allows PRIMARY alone
    image_type = texts(source, "ImageType")[2:] or ("OTHER",)
    put_texts(ds, "ImageType", "DERIVED", second, *image_type)
    for group in [shared_group(ds), *frame_groups(ds)] if enhanced else []:
        for item in group.get("MRImageFrameTypeSequence") or []:
            frame_type = texts(item, "FrameType")[2:] or ("OTHER",)
            put_texts(item, "FrameType", "DERIVED", second, *frame_type)
    put_texts(ds, "SeriesNumber", str(series_number(source, derivation.series_kind)))
    describe_series(ds, source, derivation.series_prefix)


def series_number(source: Dataset, kind: int) -> int:
    """SeriesNumber of what is made of ``source``: SERIES_FACTOR times the scanner's, and ``kind``.

    Kinds: 1 image, 2 SEG, 3 SR, 6 secondary capture, 8 key objects.  Of an image this product
    derived, the scanner's number is taken out of its own.
    """
    text = "".join(texts(source, "SeriesNumber"))
    number = int(text) if re.fullmatch(r"\d{1,9}", text) else 0
    if is_ours(source):
        number //= SERIES_FACTOR
    return SERIES_FACTOR * number * (number < SERIES_FACTOR**2) + kind


def describe_series(ds: Dataset, source: Dataset, prefix: str) -> None:
    """Put ASCII before the source's SeriesDescription, whose bytes stay if they fit.

    A text too long is cut by characters, where its character set can be trusted; where not,
    the prefix stands alone.
    """
    kept = raw_bytes(source, "SeriesDescription")
    encodings = convert_encodings(list(texts(source, "SpecificCharacterSet")) or [""])
    if kept is None:
        kept = encode_string(str(source.get("SeriesDescription") or ""), encodings)
    if not kept:
        put_texts(ds, "SeriesDescription", prefix)
        return
    room = _LONGEST_DESCRIPTION - len(prefix) - len(" / ")
    if len(kept) > room:
        text = decode_bytes(kept, encodings, set())
        if encode_string(text, encodings) != kept:
            put_texts(ds, "SeriesDescription", prefix)
            return
        kept = encode_string(text[:room].rstrip(), encodings)
    put_raw(ds, "SeriesDescription", f"{prefix} / ".encode() + kept)


def _derive_enhanced(
    ds: Dataset, source: Dataset, derivation: Derivation, reference: Dataset, description: str
) -> None:
    step = Dataset()
    put_texts(step, "DerivationDescription", description)
    step.DerivationCodeSequence = Sequence([code(*derivation.code)])
    step.SourceImageSequence = Sequence([reference])
    for group in frame_groups(ds):
        if "DerivationImageSequence" in group:
            del group["DerivationImageSequence"]
    if not ds.get("SharedFunctionalGroupsSequence"):
        ds.SharedFunctionalGroupsSequence = Sequence([Dataset()])
    shared_group(ds).DerivationImageSequence = Sequence([step])
    instance, series, study = Dataset(), Dataset(), Dataset()
    _refer(instance, source)
    put_raw(series, "SeriesInstanceUID", _uid(source, "SeriesInstanceUID"))
    series.ReferencedSOPSequence = Sequence([instance])
    put_raw(study, "StudyInstanceUID", _uid(source, "StudyInstanceUID"))
    study.ReferencedSeriesSequence = Sequence([series])
    ds.SourceImageEvidenceSequence = Sequence([study])


def _reference(source: Dataset, derivation: Derivation) -> Dataset:
    item = Dataset()
    _refer(item, source)
    item.PurposeOfReferenceCodeSequence = Sequence(
        [code("121322", "DCM", "Source image for image processing operation")]
    )
    if derivation.locations:
        put_texts(item, "SpatialLocationsPreserved", derivation.locations)
    if derivation.letters:
        put_texts(item, "PatientOrientation", *derivation.letters)
    return item


def _refer(item: Dataset, source: Dataset) -> None:
    put_raw(item, "ReferencedSOPClassUID", _uid(source, "SOPClassUID"))
    put_raw(item, "ReferencedSOPInstanceUID", _uid(source, "SOPInstanceUID"))


def _uid(ds: Dataset, keyword: str) -> bytes:
    return "".join(texts(ds, keyword)).encode("ascii")
