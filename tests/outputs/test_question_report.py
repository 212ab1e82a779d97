"""The report on a stack about which a person is asked: what was found, no number of the heart."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path

import highdicom as hd
import pytest
from pydicom.dataset import FileDataset

from cmr_node.dicom.reading import parse
from cmr_node.outputs.report import question_report
from cmr_node.outputs.report_facts import OrientationResult
from cmr_node.outputs.turned import encode
from cmr_node.phantom.dicom.vendors import Vendor
from tests.dciodvfy import complaints, needs_dciodvfy, new_errors
from tests.outputs.making import PRODUCER, stored
from tests.outputs.report_reading import numbers_of, texts_of
from tests.phantom.examinations import VENDORS, scanned
from tests.pixelmed import READ_AS_1411, needs_pixelmed, sr_errors
from tests.samples import mr, part10_bytes

WHEN = datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001
REASON = "The header implies rot90cw, the pixels say identity."
ASKED = OrientationResult("identity", "rot90cw", 31.5, "ask", REASON)
NOTHING_KNOWN = OrientationResult("", "", None, "ask", "No network is there, and no geometry.")


def cine() -> list[FileDataset]:
    return [stored(mr(slice_number=place)) for place in range(5)]


def report(
    sources: list[FileDataset] | None = None,
    orientation: OrientationResult = ASKED,
    when: datetime = WHEN,
) -> bytes:
    return encode(question_report(sources or cine(), orientation, PRODUCER, when))


def test_a_foreign_reader_finds_both_orientations_the_margin_and_the_reason() -> None:
    data = report()
    assert numbers_of(data) == {"ORIENT_MARGIN": 31.5}
    (group,) = hd.sr.srread(BytesIO(data)).content.get_image_measurement_groups()
    assert {one.name.value: one.value.meaning for one in group.get_qualitative_evaluations()} == {
        "ORIENT_N": "identity",
        "ORIENT_H": "rot90cw",
        "ORIENT_DECISION": "ask",
    }
    assert texts_of(parse(data)) == [
        "Quality flag: nothing was measured or changed: a person is asked about this stack",
        f"Reason of the decision on the orientation: {REASON}",
    ]


def test_it_is_unverified_and_beside_the_reports_of_measurements() -> None:
    ds = parse(report())
    assert (ds.VerificationFlag, ds.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert (ds.SeriesNumber, ds.SeriesDescription) == (3003, "CMR question, unverified / cine sax")
    assert (ds.ContentDate, ds.ContentTime) == ("20240506", "070809.000000")


def test_every_image_in_question_is_evidence() -> None:
    (study,) = parse(report()).CurrentRequestedProcedureEvidenceSequence
    found = {
        str(one.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert found == {str(ds.SOPInstanceUID) for ds in cine()}


def test_the_same_question_is_the_same_report_and_another_one_another() -> None:
    assert report() == report()
    others = (
        report(orientation=replace(ASKED, reason="Another.")),
        report(orientation=replace(ASKED, margin_deg=12.0)),
        report(when=datetime(2024, 5, 6, 7, 8, 10)),  # noqa: DTZ001
        report(sources=cine()[:4]),
    )
    uids = {parse(one).SOPInstanceUID for one in (report(), *others)}
    assert len(uids) == 1 + len(others)


def test_sources_of_no_study_are_an_error() -> None:
    with pytest.raises(ValueError, match="sources of no study"):
        question_report([], ASKED, PRODUCER, WHEN)


@needs_dciodvfy
@pytest.mark.parametrize("orientation", [ASKED, NOTHING_KNOWN])
def test_dciodvfy_finds_no_error(orientation: OrientationResult, tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(report(orientation=orientation))
    # Nothing but the private coding scheme, which is named as the Standard wants it (PS3.16 8.2).
    assert all("CodingSchemeDesignator" in kind for kind in complaints(path))


@needs_dciodvfy
@pytest.mark.parametrize("vendor", VENDORS)
def test_dciodvfy_finds_no_new_error_with_any_vendor(vendor: Vendor, tmp_path: Path) -> None:
    sources = [parse(part10_bytes(ds)) for ds in scanned(vendor) if "PixelData" in ds]
    source, path = tmp_path / "source.dcm", tmp_path / "report.dcm"
    source.write_bytes(part10_bytes(scanned(vendor)[0]))
    path.write_bytes(report(sources))
    assert new_errors(path, source) == set()


@needs_pixelmed
@pytest.mark.parametrize("orientation", [ASKED, NOTHING_KNOWN])
def test_pixelmed_finds_no_error_but_in_what_it_takes_for_a_segment(
    orientation: OrientationResult, tmp_path: Path
) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(report(orientation=orientation))
    assert all(READ_AS_1411.search(line) for line in sr_errors(path))
