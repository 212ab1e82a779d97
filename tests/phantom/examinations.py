"""Small whole examinations for the tests."""

from __future__ import annotations

from functools import cache

from pydicom.dataset import FileDataset

from cmr_node.assemble.frames import frames_from
from cmr_node.assemble.records import Assembly
from cmr_node.assemble.stack import assemble
from cmr_node.dicom.header import scan
from cmr_node.phantom.dicom.vendors import Vendor
from cmr_node.phantom.faults import Fault
from cmr_node.phantom.plan import Plan
from cmr_node.phantom.schedule import Scanner, schedule
from cmr_node.phantom.study import simulate_study
from tests.samples import data_set_bytes

VENDORS = (Vendor.SIEMENS, Vendor.GE, Vendor.PHILIPS)
SMALL = {
    "slices": 5,
    "phases": 8,
    "rows": 34,
    "columns": 40,
    "pixel_spacing": 8.0,
    "gap": 14.0,
}


def small(
    vendor: Vendor = Vendor.GE, *faults: str, seed: int = 3, tesla: float = 1.5, **changes: object
) -> Plan:
    """An examination of tiny pictures; ``faults`` as on the command line."""
    ordered = tuple(Fault.parse(text) for text in faults)
    return Plan.examination(seed, vendor, tesla, ordered, **(SMALL | changes))


@cache
def scanned(vendor: Vendor, *faults: str, tesla: float = 1.5) -> tuple[FileDataset, ...]:
    """The instances of ``small``."""
    plan = small(vendor, *faults, tesla=tesla)
    return tuple(simulate_study(plan, scanner=_scanner(tesla)))


@cache
def _scanner(tesla: float) -> Scanner:
    return Scanner(schedule(small(tesla=tesla)).patient)


def assembled(images: tuple[FileDataset, ...]) -> Assembly:
    """What the node makes of a study."""
    by_uid = {str(ds.SOPInstanceUID): ds for ds in images}
    headers = [scan(data_set_bytes(ds), ds.file_meta.TransferSyntaxUID) for ds in images]
    return assemble(headers, frames_from(lambda header: by_uid[header.sop_instance_uid]))
