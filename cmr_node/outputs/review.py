"""What the node asks a person about, as a Key Object Selection (PS3.3 A.35.4, PS3.16 TID 2010).

The promise kept here: the document points at the images in question and says why, in words; it
changes nothing and hides nothing.  Its title is "Quality Issue"; the titles that mean rejection
(113001, 113037 to 113039) make a PACS hide what they point at, and are never written.
"""

from __future__ import annotations

from collections.abc import Sequence

import highdicom as hd
from pydicom.dataset import Dataset, FileDataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from cmr_node.dicom.raw import texts
from cmr_node.outputs.readable_header import finished, readable_header, syntax_of
from cmr_node.outputs.uids import Producer, derive_uid, result_uid

QUALITY_ISSUE = Code("113010", "DCM", "Quality Issue")
_STEP = "review"


def quality_issue(
    instances: Sequence[Dataset], reason: str, *, series_number: int, producer: Producer
) -> FileDataset:
    """The document that asks a person to look at ``instances``.

    Parameters
    ----------
    instances
        The images in question, as they were received; of one study, not changed.
    reason
        Why, for people; ASCII, other characters become "?".
    series_number
        As ``derivation.series_number`` gives it, kind 8.

    Raises
    ------
    ValueError
        There is no instance, no reason, or the instances are of several studies.
    """
    words = " ".join(reason.encode("ascii", "replace").decode().split())
    studies = {texts(ds, "StudyInstanceUID") for ds in instances}
    if len(studies) != 1 or not words:
        raise ValueError(
            f"{len(instances)} instances of {len(studies)} studies, {len(words)} characters of "
            "reason; allowed: instances of one study, and a reason"
        )
    first = instances[0]
    headers = [readable_header(ds) for ds in instances]
    uids = [str(header.SOPInstanceUID) for header in headers]
    series = "".join(texts(first, "SeriesInstanceUID"))
    content = hd.ko.KeyObjectSelection(
        document_title=QUALITY_ISSUE,
        referenced_objects=headers,
        observer_device_context=observer(producer),
        description=words,
    )
    made = hd.ko.KeyObjectSelectionDocument(
        evidence=headers,
        content=content,
        series_instance_uid=result_uid("SeriesInstanceUID", [series], _STEP, producer),
        series_number=series_number,
        sop_instance_uid=result_uid(
            "SOPInstanceUID", uids, f"{_STEP} {series_number} {words}", producer
        ),
        instance_number=1,
        manufacturer=producer.manufacturer,
        transfer_syntax_uid=syntax_of(first),
    )
    for row in made.ContentSequence:
        # TID 2010 gives the rows of objects no name; highdicom does.
        if row.ValueType in ("IMAGE", "COMPOSITE"):
            del row.ConceptNameCodeSequence
    return finished(
        made, first, producer, description="REVIEW", contribution="Asked a person to look"
    )


def observer(producer: Producer) -> hd.sr.ObserverContext:
    """This node as the device that observed (PS3.16 TID 1004)."""
    return hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=derive_uid("device", producer.model, producer.device_serial),
            name=producer.station_name,
            manufacturer_name=producer.manufacturer,
            model_name=producer.model,
            serial_number=producer.device_serial,
        ),
    )
