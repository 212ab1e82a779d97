"""A header goes in readable and comes out true, whatever the scanner wrote."""

from __future__ import annotations

from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ImplicitVRLittleEndian

from cmr_node.dicom.raw import put_raw, raw_bytes, texts
from cmr_node.dicom.reading import parse
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.derivation import series_number
from cmr_node.outputs.readable_header import finished, readable_header, syntax_of
from cmr_node.outputs.turned import encode
from tests.dciodvfy import complaints, needs_dciodvfy
from tests.outputs.making import PRODUCER, derived, stored
from tests.samples import mr

NAMES = {  # SpecificCharacterSet -> bytes of a name, as a scanner writes them
    "": b"CANARY^PATIENT",
    "ISO_IR 100": "Müller^Jörg".encode("latin-1"),
    "ISO_IR 192": "Müller^Jörg=王^小東".encode(),
    "\\ISO 2022 IR 87": b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
    "GB18030": "Wang^XiaoDong=王^小东".encode("gb18030"),
    "ISO_IR 192 ": "Jörg".encode("latin-1"),  # declared wrongly: no UTF-8 at all
}
WEIRD = {"PatientBirthDate": b"00000000", "StudyDate": b"20120000", "PatientSex": b"X "}


def source_of(charset: str, name: bytes, **raw: bytes) -> FileDataset:
    # Bytes stay as they are put where the character set is that of the file.
    ds = stored(mr(SpecificCharacterSet=charset.strip().split("\\")) if charset else mr())
    for keyword in ("PatientName", "StudyDescription", "SeriesDescription"):
        put_raw(ds, keyword, name)
    for keyword, value in raw.items():
        put_raw(ds, keyword, value)
    return parse(encode(ds))


def capture(source: FileDataset) -> FileDataset:
    header = readable_header(source)
    made = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=header,
        pixel_array=np.zeros((4, 4, 3), np.uint8),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid="1.2.3",
        series_number=series_number(source, 6),
        sop_instance_uid="1.2.3.4",
        instance_number=1,
        manufacturer="x",
        patient_orientation=("L", "P"),
        transfer_syntax_uid=syntax_of(source),
    )
    return finished(made, source, PRODUCER, description="PAGE", contribution="Pictures")


@pytest.mark.parametrize(("charset", "name"), NAMES.items())
def test_names_keep_their_bytes_in_every_character_set(charset: str, name: bytes) -> None:
    source = source_of(charset, name)
    made = parse(encode(capture(source)))
    for keyword in ("PatientName", "StudyDescription", "PatientID", "PatientBirthDate"):
        assert raw_bytes(made, keyword) == raw_bytes(source, keyword)
    assert raw_bytes(made, "SpecificCharacterSet") == raw_bytes(source, "SpecificCharacterSet")
    assert (raw_bytes(made, "SeriesDescription") or b"").startswith(b"PAGE")
    assert raw_bytes(source, "PatientName") == name  # the source is as it was


def test_the_same_bytes_twice() -> None:
    source = source_of("ISO_IR 100", NAMES["ISO_IR 100"])
    assert encode(capture(source)) == encode(capture(source))


@needs_dciodvfy
@pytest.mark.parametrize("raw", [{}, WEIRD])
def test_what_is_no_date_or_sex_is_not_passed_on(raw: dict[str, bytes], tmp_path: Path) -> None:
    source = source_of("ISO_IR 100", b"A^B", **raw, ContentDate=b"20120000")
    made = parse(encode(capture(source)))
    for keyword in raw:
        assert texts(made, keyword) == ()
    assert texts(made, "ContentDate") in (("20200102",), ("19000101",))
    path = tmp_path / "made.dcm"
    path.write_bytes(encode(capture(source)))
    assert [kind for kind in complaints(path) if kind.startswith("Error")] == []


def test_implicit_sources_with_sequences_of_text_are_passed_on() -> None:
    item = Dataset()
    item.PatientID, item.TypeOfPatientID = "other", "TEXT"
    ds = mr(transfer_syntax=ImplicitVRLittleEndian, OtherPatientIDsSequence=[item])
    source = stored(ds)
    made = parse(encode(capture(source)))
    assert made.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert made.OtherPatientIDsSequence[0].PatientID == "other"
    assert made.Manufacturer == PRODUCER.manufacturer


def test_uids_with_leading_zeros_stay_as_they_are() -> None:
    source = source_of("", b"A^B", StudyInstanceUID=b"1.2.003.4")
    assert raw_bytes(parse(encode(capture(source))), "StudyInstanceUID") == b"1.2.003.4"


def test_the_number_of_a_series_comes_from_the_scanners_also_over_a_derived_image() -> None:
    assert series_number(mr(SeriesNumber=7), 2) == 7002
    assert series_number(derived(mr(SeriesNumber=7), Orientation.ROT180), 3) == 7003
    assert series_number(mr(SeriesNumber=None), 2) == 2
    assert series_number(mr(SeriesNumber=99999999), 2) == 2
