"""Objects made of real images whose headers break the rules: dates of zeros, odd UIDs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmr_node.assemble.frames import frames_from
from cmr_node.assemble.stack import assemble
from cmr_node.dicom.raw import put_raw, raw_bytes
from cmr_node.dicom.reading import parse, read, read_header
from cmr_node.measures.masks import Structure
from cmr_node.outputs.overlay import capture
from cmr_node.outputs.review import quality_issue
from cmr_node.outputs.segmentation import Phase, segment
from cmr_node.outputs.sources import SourceFrame
from cmr_node.outputs.turned import encode
from cmr_node.phantom.dicom.vendors import Vendor
from tests.dciodvfy import complaints, needs_dciodvfy, new_errors
from tests.outputs.making import PRODUCER
from tests.outputs.outlined import ALGORITHM, ED, outlined

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
PATIENTS = sorted(path for path in SHARED.glob("sunnybrook-cine/*") if path.is_dir())


def objects(sources: list[SourceFrame]) -> dict[str, bytes]:
    """Each kind of object, of a square in every slice."""
    labels = np.zeros((len(sources), *sources[0].plane().shape), np.uint8)
    labels[:, 10:20, 10:20] = Structure.LV_MYOCARDIUM
    labels[:, 13:17, 13:17] = Structure.LV_BLOOD
    found = segment(
        sources,
        labels,
        stack=sources[0].key,
        phase=Phase(1),
        algorithm=ALGORITHM,
        series_number=3002,
        producer=PRODUCER,
    )
    assert found.instance is not None
    page = capture(
        np.zeros((9, 8, 3), np.uint8),
        sources,
        stack=sources[0].key,
        step="test",
        series_number=3006,
        producer=PRODUCER,
    )
    instances = [source.ds for source in sources]
    review = quality_issue(instances, "Look.", series_number=3008, producer=PRODUCER)
    return {"seg": encode(found.instance), "page": encode(page), "review": encode(review)}


@needs_dciodvfy
@pytest.mark.skipif(not PATIENTS, reason="the shared data are not here")
@pytest.mark.parametrize("patient", PATIENTS, ids=lambda path: path.name)
def test_no_error_but_those_of_the_source(patient: Path, tmp_path: Path) -> None:
    paths = {read_header(path).sop_instance_uid: path for path in patient.rglob("*.dcm")}
    headers = [read_header(path) for path in paths.values()]
    assembly = assemble(headers, frames_from(lambda header: read(paths[header.sop_instance_uid])))
    stack = max(assembly.stacks, key=lambda one: len(one.cells))
    cells = [one.cells[0] for one in stack.slices]
    files = [paths[cell.instance.sop_instance_uid] for cell in cells]
    for name, part10 in objects([SourceFrame(read(file)) for file in files]).items():
        made = tmp_path / f"{name}.dcm"
        made.write_bytes(part10)
        # A reference repeats the fault of the UID it names, whichever source has it.
        new = set.intersection(*(new_errors(made, file) for file in files))
        assert new == set(), name


NAMES = {
    "ISO_IR 192": "Müller^Jörg=王^小東".encode(),
    "\\ISO 2022 IR 87": b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
    "GB18030": "Wang^XiaoDong=王^小东".encode("gb18030"),
}


@needs_dciodvfy
@pytest.mark.parametrize(("charset", "name"), NAMES.items())
@pytest.mark.parametrize("vendor", [Vendor.SIEMENS, Vendor.PHILIPS])
def test_every_object_keeps_the_bytes_of_a_name(
    vendor: Vendor, charset: str, name: bytes, tmp_path: Path
) -> None:
    sources = []
    for source in outlined(vendor).sources(ED):
        ds = parse(encode(source.ds))  # type: ignore[arg-type]
        ds.SpecificCharacterSet = charset.split("\\")
        ds = parse(encode(ds))
        for keyword in ("PatientName", "SeriesDescription"):
            put_raw(ds, keyword, name)
        put_raw(ds, "PatientBirthDate", b"00000000")
        sources.append(SourceFrame(parse(encode(ds)), source.frame))
    for kind, part10 in objects(sources).items():
        made = parse(part10)
        assert raw_bytes(made, "PatientName") == name, kind
        assert name in (raw_bytes(made, "SeriesDescription") or b"")
        path = tmp_path / f"{kind}.dcm"
        path.write_bytes(part10)
        assert [one for one in complaints(path) if one.startswith("Error")] == [], kind
