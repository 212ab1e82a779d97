"""The measurement report: read back, validated, the same twice, whatever the source."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path

import highdicom as hd
import pytest
from pydicom.dataset import FileDataset

from cmr_node.dicom.raw import raw_bytes
from cmr_node.dicom.reading import parse
from cmr_node.measures.masks import Structure
from cmr_node.measures.measure import Measurements, measure
from cmr_node.measures.quantities import Quantity
from cmr_node.outputs.algorithm import Algorithm
from cmr_node.outputs.report import measurement_report
from cmr_node.outputs.report_codes import NAMES, OF_SEGMENT
from cmr_node.outputs.report_facts import Moment, OrientationResult, SegmentReference
from cmr_node.outputs.turned import encode
from cmr_node.phantom.dicom.vendors import Vendor
from tests.dciodvfy import complaints, needs_dciodvfy, new_errors
from tests.measures.hearts import SPACING, Shells
from tests.outputs.making import PRODUCER, stored
from tests.outputs.report_reading import numbers_of, texts_of
from tests.phantom.examinations import VENDORS, scanned
from tests.pixelmed import READ_AS_1411, needs_pixelmed, sr_errors
from tests.samples import mr, part10_bytes

WHEN = datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001
ALGORITHM = Algorithm("cine-unet", "1.0", "ab" * 32)
TURNED = OrientationResult("rot90cw", "rot90cw", 31.5, "act", "pixels and header agree")


@cache
def numbers(*, sized: bool = True) -> Measurements:
    heart = Shells()
    size = {"height_m": 1.8, "weight_kg": 80.0, "heart_rate": 61.0} if sized else {}
    return measure(heart.masks(), heart.positions, SPACING, **size)


def segments() -> tuple[SegmentReference, ...]:
    return tuple(
        SegmentReference(
            "2.25.5", f"2.25.{60 + n}", moment, structure, k + 1, f"2.25.{100 + k}", structure.name
        )
        for n, moment in enumerate(Moment)
        for k, structure in enumerate((Structure.LV_BLOOD, Structure.LV_MYOCARDIUM))
    )


def cine(**attributes: object) -> list[FileDataset]:
    return [
        stored(mr(slice_number=place, phase=phase, **attributes))
        for place in range(3)
        for phase in range(2)
    ]


def report(
    sources: list[FileDataset] | None = None,
    measured: Measurements | None = None,
    **changes: object,
) -> bytes:
    arguments = {
        "orientation": TURNED,
        "algorithm": ALGORITHM,
        "producer": PRODUCER,
        "when": WHEN,
        "segments": segments(),
        **changes,
    }
    return encode(measurement_report(sources or cine(), measured or numbers(), **arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize("with_segments", [True, False])
def test_every_number_is_read_back_once(with_segments: bool) -> None:
    data = report(segments=segments() if with_segments else ())
    found = numbers_of(data)
    for name in Quantity:
        assert found.pop(NAMES[name].value) == round(numbers().values[name], 2), name
    assert found == {"ORIENT_MARGIN": 31.5}


def test_what_a_segment_shows_is_measured_on_it() -> None:
    sr = hd.sr.srread(BytesIO(report()))
    found = {
        (str(group.tracking_uid), one.name.value)
        for group in sr.content.get_volumetric_roi_measurement_groups()
        for one in group.get_measurements()
    }
    assert found == {
        (one.tracking_uid, NAMES[OF_SEGMENT[one.structure, one.moment]].value)
        for one in segments()
        if (one.structure, one.moment) in OF_SEGMENT
    }


def test_nobody_has_verified_it() -> None:
    ds = parse(report())
    assert (ds.CompletionFlag, ds.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert ds.PreliminaryFlag == "PRELIMINARY"
    assert ds.SeriesNumber == 3003
    assert ds.Manufacturer == "CMR Node"
    assert [one.Manufacturer for one in ds.ContributingEquipmentSequence] == [
        "SCANNER WORKS",
        "CMR Node",
    ]


def test_conventions_flags_and_what_is_withheld_are_said() -> None:
    said = texts_of(parse(report(measured=numbers(sized=False))))
    assert any("papillary muscles and trabeculae count as blood pool" in text for text in said)
    assert any(text.startswith("Measurement convention: basal rule") for text in said)
    assert any(text.startswith("Quality flag: stroke volumes of") for text in said)
    assert any(
        text.startswith("Number withheld: LV end-diastolic volume index: not indexed")
        for text in said
    )
    assert "Reason of the decision on the orientation: pixels and header agree" in said


def test_an_orientation_not_known_is_left_out() -> None:
    unknown = OrientationResult("", "", None, "ask", "no geometry")
    assert b"ORIENT_N" not in report(orientation=unknown)
    assert b"ORIENT_DECISION" in report(orientation=unknown)
    assert b"ORIENT" not in report(orientation=None)


def test_the_same_job_gives_the_same_bytes() -> None:
    assert report() == report()
    assert report(cine()) == report(cine())


@pytest.mark.parametrize(
    "changes",
    [
        {"when": datetime(2024, 5, 6, 7, 8, 10)},  # noqa: DTZ001
        {"algorithm": replace(ALGORITHM, weights_digest="cd" * 32)},
        {"orientation": None},
        {"segments": ()},
        {"measured": numbers(sized=False)},
        {"producer": replace(PRODUCER, software_version="1.2.4")},
        {"sources": cine()[:5]},
    ],
)
def test_other_content_is_another_instance(changes: dict[str, object]) -> None:
    assert parse(report(**changes)).SOPInstanceUID != parse(report()).SOPInstanceUID  # type: ignore[arg-type]


def test_every_image_is_evidence_and_so_are_the_segmentations() -> None:
    (study,) = parse(report()).CurrentRequestedProcedureEvidenceSequence
    found = {
        str(one.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    others = parse(report()).get("PertinentOtherEvidenceSequence", [])
    found |= {
        str(one.ReferencedSOPInstanceUID)
        for study in others
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert found == {str(ds.SOPInstanceUID) for ds in cine()} | {"2.25.60", "2.25.61"}


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Ünlü^Ayşe=王^小東"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (None, "PLAIN^NAME"),
    ],
)
def test_the_patient_stays_byte_for_byte(charset: str | list[str] | None, name: str) -> None:
    sample = mr(PatientName="X")
    if charset is not None:
        sample.SpecificCharacterSet = charset
    sample.PatientName = name
    source = stored(sample)
    ds = parse(report([source]))
    for keyword in ("PatientName", "SpecificCharacterSet", "PatientID", "StudyDescription"):
        assert raw_bytes(ds, keyword) == raw_bytes(stored(sample), keyword)
    assert str(ds.PatientName) == name
    assert texts_of(ds)


@pytest.mark.filterwarnings("ignore:Unknown encoding")
def test_a_character_set_nobody_knows_does_no_harm() -> None:
    data = part10_bytes(mr(SpecificCharacterSet="ISO_IR 100", PatientName="ABCDE"))
    data = data.replace(b"ISO_IR 100", b"ISO_IR 999").replace(b"ABCDE", b"A\xffB\xfeE")
    assert b"A\xffB\xfeE" in report([parse(data)])


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyDate", "00000000"),
        ("StudyDate", "2020.1.2"),
        ("PatientBirthDate", "19501345"),
        ("StudyTime", "996000"),
        ("PatientSex", "W"),
        ("PatientAge", "old"),
        ("PatientWeight", "80 kg"),
    ],
)
def test_a_value_of_no_valid_form_is_left_empty(keyword: str, value: str) -> None:
    source = mr()
    valid = {"PatientAge": "012Y", "PatientWeight": "80000"}.get(keyword) or str(
        source.get(keyword)
    )
    setattr(source, keyword, valid)
    padded = value.ljust(len(valid)).encode()
    data = part10_bytes(source)
    tag = parse(data)[keyword].tag
    at = data.index(tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")) + 8
    length = int.from_bytes(data[at - 2 : at], "little")
    assert length >= len(value)
    data = data[:at] + padded.ljust(length)[:length] + data[at + length :]
    ds = parse(report([parse(data)]))
    assert not raw_bytes(ds, keyword)


def test_missing_patient_data_is_empty_and_not_invented() -> None:
    bare = dict.fromkeys(
        ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime")
    )
    ds = parse(report([stored(mr(**bare))]))
    for keyword in bare:
        assert raw_bytes(ds, keyword) == b""


def test_uids_with_leading_zeros_are_referenced_as_they_are() -> None:
    source = mr()
    data = part10_bytes(source).replace(str(source.StudyInstanceUID)[:8].encode(), b"1.2.026.")
    assert b"1.2.026." in report([parse(data)])


def test_sources_of_two_studies_are_an_error() -> None:
    two = [stored(mr()), stored(mr(study="other"))]
    with pytest.raises(ValueError, match="allowed: one"):
        report(two)
    with pytest.raises(ValueError, match="allowed: one"):
        measurement_report([], numbers(), None, ALGORITHM, PRODUCER, WHEN)


def test_nothing_measured_is_a_report_nevertheless() -> None:
    heart = Shells()
    none = measure(heart.masks(), [0.0] * heart.slices, SPACING)
    said = texts_of(parse(report(measured=none)))
    assert sum(text.startswith("Number withheld") for text in said) == len(Quantity)


@needs_dciodvfy
@pytest.mark.parametrize("sized", [True, False])
def test_dciodvfy_finds_no_error(sized: bool, tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(report(measured=numbers(sized=sized)))
    # Nothing but the private coding scheme, which is named as the Standard wants it (PS3.16 8.2).
    assert all("CodingSchemeDesignator" in kind for kind in complaints(path))


@needs_dciodvfy
@pytest.mark.parametrize("vendor", VENDORS)
def test_dciodvfy_finds_no_new_error_with_any_vendor(vendor: Vendor, tmp_path: Path) -> None:
    sources = [parse(part10_bytes(ds)) for ds in scanned(vendor) if "PixelData" in ds]
    source, path = tmp_path / "source.dcm", tmp_path / "report.dcm"
    source.write_bytes(part10_bytes(scanned(vendor)[0]))
    data = report(sources)
    path.write_bytes(data)
    assert new_errors(path, source) == set()
    assert report(sources) == data
    assert numbers_of(data)["8821-1"] == round(numbers().values[Quantity.LV_EDV], 2)


@needs_pixelmed
def test_pixelmed_finds_no_error_but_in_what_it_takes_for_a_segment(tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(report())
    on_segments = sum((one.structure, one.moment) in OF_SEGMENT for one in segments())
    for line in sr_errors(path):
        found = READ_AS_1411.search(line)
        assert found, line
        assert int(found["group"]) > on_segments, line
