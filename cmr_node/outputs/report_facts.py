"""What a measurement report says beside the numbers: who drew, what was drawn, which way up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cmr_node.measures.masks import Structure


class Moment(StrEnum):
    """The phases of the cardiac cycle that are reported."""

    END_DIASTOLE = "end-diastole"
    END_SYSTOLE = "end-systole"


@dataclass(frozen=True, slots=True)
class OrientationResult:
    """What is known of the stack's in-plane orientation.

    network, header
        One of the eight by name: what the pixels show, what the header implies; "" if not known.
    margin_deg
        How far the header is from the next orientation; None if not known.
    decision, reason
        What was done about it, and why: ASCII.
    """

    network: str
    header: str
    margin_deg: float | None
    decision: str
    reason: str


@dataclass(frozen=True, slots=True)
class SegmentReference:
    """One segment of a Segmentation made of the same stack."""

    series_uid: str
    instance_uid: str
    moment: Moment  #: which the instance shows
    structure: Structure
    number: int  #: SegmentNumber
    tracking_uid: str
    tracking_id: str
    sop_class_uid: str = "1.2.840.10008.5.1.4.1.1.66.4"  #: Segmentation Storage
