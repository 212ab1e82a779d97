"""A page of pictures as a Secondary Capture image, which every viewer shows (PS3.3 A.8).

The promise kept here: the page is a result of the images it names, in their study, and is not
taken for one of them: it has no place in the patient, and its series says what it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.sequence import Sequence as Items

from cmr_node.dicom.raw import put_raw, put_texts, texts
from cmr_node.outputs.codes import code
from cmr_node.outputs.readable_header import finished, readable_header, syntax_of
from cmr_node.outputs.sources import SourceFrame, references
from cmr_node.outputs.uids import Producer, result_uid


def capture(
    page: NDArray[np.uint8],
    sources: Sequence[SourceFrame],
    *,
    stack: str,
    step: str,
    series_number: int,
    producer: Producer,
) -> FileDataset:
    """The page as an instance.

    Parameters
    ----------
    page
        (rows, columns, 3), RGB.  It must not show who the patient is.
    sources
        The images it was made of, of one study; not changed.
    stack
        Names the stack, as in ``segmentation``.
    step
        What else the page depends on, as ``Algorithm.step``.
    series_number
        As ``derivation.series_number`` gives it, kind 6.

    Raises
    ------
    ValueError
        The page is not of such a shape or type, or there is no source.
    """
    if page.ndim != 3 or page.shape[2] != 3 or page.dtype != np.uint8 or not page.size:
        raise ValueError(
            f"a page {page.dtype} of shape {page.shape}; allowed: uint8 (rows, columns, 3)"
        )
    if not sources:
        raise ValueError("a page without a source; allowed: at least one")
    first = sources[0].ds
    content = hashlib.sha256(np.ascontiguousarray(page).tobytes()).hexdigest()
    whole = f"page {step} {series_number} {stack} {page.shape} {content}"
    made = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=readable_header(first),
        pixel_array=page,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=result_uid("SeriesInstanceUID", [stack], f"page {step}", producer),
        series_number=series_number,
        sop_instance_uid=result_uid(
            "SOPInstanceUID", [source.key for source in sources], whole, producer
        ),
        instance_number=1,
        manufacturer=producer.manufacturer,
        patient_orientation=("L", "P"),  # wanted here; a page has none, see below
        transfer_syntax_uid=syntax_of(first),
    )
    put_raw(made, "PatientOrientation", b"")
    put_texts(made, "ConversionType", "WSD")
    put_texts(made, "BurnedInAnnotation", "NO")  # of who the patient is
    put_texts(
        made, "DerivationDescription", "Contours and numbers drawn beside images, for display only"
    )
    made.SourceImageSequence = Items(references(sources))
    for item in made.SourceImageSequence:
        item.PurposeOfReferenceCodeSequence = Items(
            [code("121322", "DCM", "Source image for image processing operation")]
        )
    if texts(first, "LossyImageCompression") == ("01",):
        put_texts(made, "LossyImageCompression", "01")
    return finished(
        made, first, producer, description="RESULT PAGE", contribution="Page of results"
    )
