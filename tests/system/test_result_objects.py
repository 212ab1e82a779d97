"""What the node makes of outlines at a real archive, and through DCMTK."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cmr_node.dicom.reading import parse
from cmr_node.outputs.segmentation import Encoding
from cmr_node.phantom.dicom.vendors import Vendor
from cmr_node.settings import Peer
from tests.outputs.outlined import ED, ES
from tests.peers import LOOPBACK, Orthanc, dcmtk, orthanc
from tests.phantom.examinations import VENDORS
from tests.results_to_send import Node, objects

pytestmark = pytest.mark.system


def archive(pacs: Orthanc) -> Peer:
    return Peer(
        name="pacs",
        ae_title=pacs.ae_title,
        host=LOOPBACK,
        port=pacs.port,
        receives=("derived",),
        segmentation="label_map",
        secondary_capture="always",
    )


def test_orthanc_stores_all_results_of_every_vendor_once_and_byte_by_byte(tmp_path: Path) -> None:
    """Orthanc of 2022 knows no Label Map Segmentation: it gets the binary one."""
    with orthanc() as pacs:
        expected: list[str] = []
        for vendor in VENDORS:
            root = tmp_path / vendor
            root.mkdir()
            node = Node(root, vendor)
            node.hand_over(archive(pacs))
            assert node.attempt(archive(pacs)) == "delivered"
            binary = [f"{Encoding.BINARY} {phase}" for phase in (ED, ES)]
            expected += [node.uids[name] for name in (*binary, "page", "review", "question")]
            node.database.close()
        assert pacs.sop_instance_uids() == sorted(expected)
        sent = [part10 for vendor in VENDORS for part10 in objects(vendor).values()]
        by_uid = {str(parse(one).SOPInstanceUID): parse(one) for one in sent}
        for instance in pacs.instances():
            kept = parse(pacs.file(instance))
            assert kept.to_json_dict() == by_uid[str(kept.SOPInstanceUID)].to_json_dict()


@pytest.mark.parametrize("vendor", [Vendor.SIEMENS, Vendor.PHILIPS])
def test_dcmtk_reads_every_object(vendor: Vendor, tmp_path: Path) -> None:
    for name, part10 in objects(vendor).items():
        path = tmp_path / "object.dcm"
        path.write_bytes(part10)
        done = subprocess.run(
            [dcmtk("dcmdump"), str(path)], capture_output=True, text=True, check=True
        )
        assert "W:" not in done.stderr, name
        assert "E:" not in done.stderr, name
