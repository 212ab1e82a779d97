"""Whether an image corrected in its pixels alone, read back from its bytes, is that and no more.

The promise kept here: nothing is handed on unless its own bytes prove it right.  Every stored
word lies where the operation puts it, every plane attribute of every frame has the bytes of the
source, and the image says in words and codes that patient geometry is not vouched for.  The proof
takes nothing from the code that made the object: what an operation does to a picture is written
here anew, after Zhang & Zhuang 2020, Table 1, *Image* column.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset

from cmr_node.dicom.raw import tag_of, texts
from cmr_node.dicom.reading import parse
from cmr_node.dicom.words import Words, stored_words
from cmr_node.errors import GeometryNotKept
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.identity_proof import prove_identity, reading_back, stated

NOT_VOUCHED = (
    "PATIENT GEOMETRY IS NOT VOUCHED FOR: do not take position, direction or side in the patient "
    "from this image."
)
"""What DerivationDescription must hold."""

_TURNED: dict[Orientation, Callable[[Words], Words]] = {
    Orientation.IDENTITY: lambda words: words,
    Orientation.FLIP_LR: lambda words: np.flip(words, -1),
    Orientation.FLIP_UD: lambda words: np.flip(words, -2),
    Orientation.ROT180: lambda words: np.flip(words, (-2, -1)),
    Orientation.TRANSPOSE: lambda words: np.swapaxes(words, -2, -1),
    Orientation.ROT90CW: lambda words: np.rot90(words, -1, (-2, -1)),
    Orientation.ROT90CCW: lambda words: np.rot90(words, 1, (-2, -1)),
    Orientation.ANTITRANSPOSE: lambda words: np.swapaxes(np.flip(words, (-2, -1)), -2, -1),
}
_PLANE = (
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "PatientOrientation",
    "AcquisitionMatrix",
    "InPlanePhaseEncodingDirection",
    "TagAngleFirstAxis",
    "TagAngleSecondAxis",
    "PixelAspectRatio",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PresentationPixelSpacing",
)
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_MACROS = (
    "PlaneOrientationSequence",
    "PlanePositionSequence",
    "PixelMeasuresSequence",
    "MRFOVGeometrySequence",
    "MRImagingModifierSequence",
)
_ASCII = frozenset(("CS", "DS"))


def prove_correction(part10: bytes, source: FileDataset, operation: Orientation) -> None:
    """Prove a corrected image against its source.

    Parameters
    ----------
    part10
        The corrected image as the file that will be handed on.
    source
        The MR or Enhanced MR image it was made of.
    operation
        What was to be done to the pixels.

    Raises
    ------
    GeometryNotKept
        The bytes cannot be read, a word is not where it should be, a plane attribute is not the
        source's, the image claims an identity that it must not have or a geometry that nobody
        vouches for, or does not say that nobody does.
    """
    with reading_back():
        ds = parse(part10)
        _prove_words(stored_words(ds), _TURNED[operation](stored_words(source)))
        prove_identity(ds, source)
        _prove_plane(ds, source)
        _prove_parted(ds, source)


def _prove_words(words: Words, wanted: Words) -> None:
    if words.shape != wanted.shape:
        raise GeometryNotKept(f"{words.shape} words; the source makes {wanted.shape}")
    for number, (found, right) in enumerate(zip(words, wanted, strict=True), start=1):
        wrong = int(np.count_nonzero(found != right))
        if wrong:
            raise GeometryNotKept(
                f"frame {number}: {wrong} of {right.size} values are not where they should be"
            )


def _prove_plane(ds: Dataset, source: Dataset) -> None:
    ours, theirs = _places(ds), _places(source)
    for where in {**theirs, **ours}:
        mine, its = ours.get(where, Dataset()), theirs.get(where, Dataset())
        for keyword in _PLANE:
            if not _same(mine, its, keyword):
                raise GeometryNotKept(f"{where}{keyword} is not that of the source")


def _places(ds: Dataset) -> dict[str, Dataset]:
    """Where something may be said of a plane: the top level and the frames' functional groups."""
    places = {"": ds}
    for groups in _GROUPS:
        for frame, group in enumerate(ds.get(groups) or [], start=1):
            for macro in _MACROS:
                for number, item in enumerate(group.get(macro) or [], start=1):
                    places[f"{groups}[{frame}].{macro}[{number}]."] = item
    return places


def _same(ds: Dataset, source: Dataset, keyword: str) -> bool:
    tag = tag_of(keyword)
    if tag not in ds or tag not in source:
        return tag not in ds and tag not in source
    mine, its = ds.get_item(tag), source.get_item(tag)
    if isinstance(mine, RawDataElement) and isinstance(its, RawDataElement):
        return mine.value == its.value
    # Somebody has looked at the source: its bytes are gone, but not its characters or numbers.
    if dictionary_VR(tag) in _ASCII:
        return texts(ds, keyword) == texts(source, keyword)
    return bool(ds[tag].value == source[tag].value)


def _prove_parted(ds: Dataset, source: Dataset) -> None:
    """That nothing ties the image to the source's space, and that it says so."""
    old, new = (stated(one, "FrameOfReferenceUID") for one in (source, ds))
    if bool(new) != bool(old) or (old and new == old):
        raise GeometryNotKept(
            "FrameOfReferenceUID is that of the source, lost or invented; allowed: a new one for "
            "one of the source's, none for none"
        )
    steps = [
        step
        for groups in _GROUPS
        for group in ds.get(groups) or []
        for step in group.get("DerivationImageSequence") or []
    ] or [ds]
    if not all(NOT_VOUCHED.encode() in stated(step, "DerivationDescription") for step in steps):
        raise GeometryNotKept("DerivationDescription does not say that geometry is not vouched for")
    references = [item for step in steps for item in step.get("SourceImageSequence") or []]
    claims = {texts(item, "SpatialLocationsPreserved") for item in references}
    if claims != {("NO",)}:
        raise GeometryNotKept(
            f"SpatialLocationsPreserved {sorted(claims)} of the source images; allowed: NO"
        )
