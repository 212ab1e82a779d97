"""Contexts over folders of samples, and networks that say what they are told to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import FileDataset

from cmr_node.batch.look import Found, Kind, look_at
from cmr_node.batch.plan import Context, Options, Plan
from cmr_node.batch.study import plan_study
from cmr_node.batch.walk import walk
from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.pixels_alone import HeaderTrust
from cmr_node.inference.recognition import Image, NetworkEvidence
from cmr_node.judgement import Trusting
from cmr_node.outputs.uids import Producer
from cmr_node.settings import Standardise
from tests.samples import part10_bytes

PRODUCER = Producer("serial", "station")


def context_of(source: Path, **options: object) -> Context:
    """What ``source`` is gone through with; nothing is written."""
    return Context(source, None, Options(Standardise(), PRODUCER, **options))


def sees_rot90cw(images: Sequence[Image], pixel_spacing: tuple[float, float]) -> NetworkEvidence:
    """A network that takes everything for a short axis stored rot90cw."""
    odds = {o: 0.993 if o is Orientation.ROT90CW else 0.001 for o in Orientation}
    return NetworkEvidence(odds, sax=0.99)


ABSENT = Trusting(HeaderTrust.ABSENT, recognise=sees_rot90cw)
UNTRUSTED = Trusting(HeaderTrust.UNTRUSTED, recognise=sees_rot90cw)
ACCEPTED = Trusting(HeaderTrust.UNTRUSTED, accept_network=True, recognise=sees_rot90cw)


def look_through(context: Context) -> list[Found]:
    """Every file of the source, looked at."""
    entries = sorted(walk(bytes(context.source)), key=lambda entry: entry.path)
    return look_at(context, entries)


def write(folder: Path, images: dict[str, FileDataset]) -> None:
    """Write images under names that may hold folders."""
    for name, ds in images.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(part10_bytes(ds))


def plans_of(context: Context) -> list[Plan]:
    """The plans of all studies of the source."""
    rows: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for found in look_through(context):
        if found.kind is Kind.DICOM:
            rows.setdefault(found.unit, []).append((found.entry.path, found.header))
    return [
        plan
        for unit, files in rows.items()
        for plan in plan_study(context, unit, files, frozenset())
    ]
