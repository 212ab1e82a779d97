"""Images without a place in the patient, put together by what else is known of them.

The promise kept here: an image whose position or directions are missing, impossible or not to be
believed is still shown to a person (or a network) together with its fellows, and no geometry is
made up for it: there are no slices and no phases here, only images in order of their numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from cmr_node.assemble.records import Finding
from cmr_node.assemble.sequence import CardiacSequence, SequenceEvidence, recognise_sequence
from cmr_node.assemble.view import view_by_words
from cmr_node.dicom.header import Header
from cmr_node.geometry.standard_view import View


@dataclass(frozen=True, slots=True)
class LooseStack:
    """Images of one series, one ImageType and one size.

    pixel_spacing
        (between rows, between columns), mm, of the first image; None if it does not say.
    """

    study_instance_uid: str
    recognised: SequenceEvidence
    instances: tuple[Header, ...]
    pixel_spacing: tuple[float, float] | None
    findings: tuple[Finding, ...] = ()

    @property
    def sequence(self) -> CardiacSequence:
        """What it shows."""
        return self.recognised.sequence

    @property
    def view(self) -> View:
        """In which view; ``View.OTHER`` if not known."""
        return self.recognised.view


def loose_stacks(headers: Iterable[Header]) -> list[LooseStack]:
    """The images of one study as loose stacks, in a fixed order whatever theirs was."""
    groups: dict[tuple[str, ...], list[Header]] = defaultdict(list)
    for header in sorted(headers, key=_order):
        words = ("SeriesNumber", "ImageType", "Rows", "Columns")
        groups[(header.series_instance_uid, *map(header.text, words))].append(header)
    return [_loose(group) for _, group in sorted(groups.items())]


def _loose(headers: list[Header]) -> LooseStack:
    sequence, sequence_certain, votes = recognise_sequence(headers)
    view, view_certain, seen = view_by_words(sequence, headers)
    spacing = headers[0].numbers("PixelSpacing")
    return LooseStack(
        study_instance_uid=headers[0].study_instance_uid,
        recognised=SequenceEvidence(
            sequence, view, sequence_certain and view_certain, (*votes, *seen)
        ),
        instances=tuple(headers),
        pixel_spacing=(spacing[0], spacing[1]) if len(spacing) == 2 else None,
    )


def _order(header: Header) -> tuple[float, str]:
    return header.number("InstanceNumber") or 0.0, header.sop_instance_uid
