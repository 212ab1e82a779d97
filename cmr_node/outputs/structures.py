"""The structures of the heart in the words of DICOM: labels, codes, colours, what tracks them.

The promise kept here: a segmentation and a report name a structure alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cmr_node.measures.masks import Structure
from cmr_node.outputs.uids import derive_uid


@dataclass(frozen=True, slots=True)
class Segment:
    """How a structure is named and shown.

    code
        Segmented Property Type: SNOMED CT, value and meaning.
    rgb
        Recommended colour.
    """

    label: str
    code: tuple[str, str]
    rgb: tuple[int, int, int]


SEGMENTS: Mapping[Structure, Segment] = {
    Structure.LV_BLOOD: Segment("LV blood pool", ("87878005", "Left ventricle"), (220, 60, 60)),
    Structure.LV_MYOCARDIUM: Segment(
        "LV myocardium", ("49848007", "Left Ventricle Myocardium"), (70, 170, 90)
    ),
    Structure.RV_BLOOD: Segment("RV blood pool", ("53085002", "Right ventricle"), (60, 110, 220)),
}


def tracking_uid(study_instance_uid: str, stack: str, structure: Structure) -> str:
    """The same for one structure of one stack, whatever phase, network or version of the node."""
    return derive_uid("tracking", study_instance_uid, stack, structure.name)
