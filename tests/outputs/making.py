"""Sources and what the node makes of them, through bytes on both sides."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileDataset

from cmr_node.dicom.reading import parse
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.corrected import correct_instance
from cmr_node.outputs.reoriented import reorient_instance
from cmr_node.outputs.turned import encode
from cmr_node.outputs.uids import Producer
from tests.samples import part10_bytes

PRODUCER = Producer(device_serial="node-1", station_name="HOST1", software_version="1.2.3")


def stored(ds: Dataset) -> FileDataset:
    """An image as the store would hand it out."""
    return parse(part10_bytes(ds))


def made(source: FileDataset, operation: Orientation) -> bytes:
    """The derived instance as it would be sent."""
    return encode(reorient_instance(source, operation, PRODUCER))


def derived(ds: Dataset, operation: Orientation) -> FileDataset:
    """The derived instance of a sample, read back."""
    return parse(made(stored(ds), operation))


def corrected(source: FileDataset, operation: Orientation) -> bytes:
    """The instance whose pixels alone are turned, as it would be handed on."""
    return encode(correct_instance(source, operation, PRODUCER))
