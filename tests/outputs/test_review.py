"""The document that asks a person to look, as others read it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cmr_node.dicom.reading import parse
from cmr_node.outputs.review import quality_issue
from cmr_node.outputs.turned import encode
from cmr_node.phantom.dicom.vendors import Vendor
from tests.dciodvfy import complaints, needs_dciodvfy
from tests.outputs.making import PRODUCER, stored
from tests.outputs.outlined import outlined
from tests.peers import dcmtk
from tests.phantom.examinations import VENDORS
from tests.samples import mr

REASON = "The header implies rot90cw, the crossing planes say identity."


def document(vendor: Vendor, reason: str = REASON) -> bytes:
    instances = list(outlined(vendor).instances.values())[:5]
    return encode(quality_issue(instances, reason, series_number=3008, producer=PRODUCER))


@needs_dciodvfy
@pytest.mark.parametrize("vendor", VENDORS)
def test_validator_and_dcmtk_read_title_reason_and_references(
    vendor: Vendor, tmp_path: Path
) -> None:
    path = tmp_path / "kos.dcm"
    path.write_bytes(document(vendor))
    assert complaints(path) == set()
    said = subprocess.run(
        [dcmtk("dsrdump"), "+Pn", "+Pl", str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert 'CONTAINER:(,,"Quality Issue")' in said
    assert REASON in said
    assert said.count("<contains IMAGE:") == min(5, len(outlined(vendor).instances))


def test_images_have_no_name_as_the_template_wants_it_and_evidence_names_them_all() -> None:
    ds = parse(document(Vendor.SIEMENS))
    images = [row for row in ds.ContentSequence if row.ValueType == "IMAGE"]
    assert all("ConceptNameCodeSequence" not in row for row in images)
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    named = {
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert named == {row.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for row in images}
    assert ds.ConceptNameCodeSequence[0].CodeValue == "113010"  # never a title that rejects


def test_the_same_question_is_the_same_document_and_another_reason_another() -> None:
    assert document(Vendor.GE) == document(Vendor.GE)
    other = parse(document(Vendor.GE, "Slices disagree."))
    first = parse(document(Vendor.GE))
    assert other.SOPInstanceUID != first.SOPInstanceUID
    assert other.SeriesInstanceUID == first.SeriesInstanceUID


def test_a_reason_is_ascii_whatever_it_quotes() -> None:
    ds = parse(document(Vendor.GE, "residual 36°,\nmargin 9"))
    text = next(
        row.TextValue
        for row in ds.ContentSequence
        if row.ValueType == "TEXT" and row.ConceptNameCodeSequence[0].CodeValue == "113012"
    )
    assert text == "residual 36?, margin 9"


def test_no_instance_no_reason_or_two_studies_are_refused() -> None:
    one, other = stored(mr()), stored(mr(study="other"))
    for instances, reason in (([], "why"), ([one], " "), ([one, other], "why")):
        with pytest.raises(ValueError, match="allowed: instances of one study, and a reason"):
            quality_issue(instances, reason, series_number=8, producer=PRODUCER)
