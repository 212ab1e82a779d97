import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openjpeg.utils import encode_array
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cmr_node.dicom.raw import raw_bytes, texts
from cmr_node.dicom.reading import parse, read
from cmr_node.dicom.words import stored_words
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View, implied_orientation
from cmr_node.outputs.in_plane import plane_text
from cmr_node.outputs.proof import prove
from cmr_node.outputs.reoriented import reorient_instance
from cmr_node.outputs.turned import encode
from cmr_node.outputs.uids import Producer
from tests.outputs.making import PRODUCER, derived, made, stored
from tests.samples import mr, part10_bytes

ROTATED = Orientation.ROT90CW
MIRRORED = [o for o in Orientation if o.chirality < 0]


def places(ds: FileDataset) -> dict[int, tuple[float, ...]]:
    """Pixel value -> patient position, worked out here, of an image whose values all differ."""
    row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = map(float, ds.PixelSpacing)
    start, pixels = np.array(ds.ImagePositionPatient, float), ds.pixel_array
    return {
        int(pixels[r, c]): tuple(start + r * between_rows * column + c * between_columns * row)
        for r, c in np.ndindex(pixels.shape)
    }


@pytest.mark.parametrize("operation", Orientation)
def test_every_value_keeps_its_place_in_the_patient(operation: Orientation) -> None:
    source, turned = stored(mr()), derived(mr(), operation)
    before, after = places(source), places(turned)
    assert before.keys() == after.keys()
    error = max(np.linalg.norm(np.subtract(before[v], after[v])) for v in before)
    assert error < 1e-9
    assert turned.pixel_array[0, 0] == operation.apply(source.pixel_array)[0, 0]


@pytest.mark.parametrize("operation", Orientation)
def test_the_same_work_gives_the_same_bytes(operation: Orientation) -> None:
    first, second = made(stored(mr()), operation), made(stored(mr()), operation)
    assert first == second
    used = stored(mr())
    made(used, Orientation.FLIP_UD)
    prove(made(used, operation), used)
    used.walk(lambda ds, element: None)  # a reader in between decodes every element
    assert made(used, operation) == first


def test_no_clock_is_in_the_bytes() -> None:
    out = made(stored(mr()), ROTATED)
    now = datetime.now(UTC)
    for day in (now, now - timedelta(days=1), now + timedelta(days=1)):  # any time zone
        assert day.strftime("%Y%m%d").encode() not in out
        assert day.strftime("%Y-%m-%d").encode() not in out


@pytest.mark.parametrize("operation", Orientation)
def test_undoing_what_the_header_implies_gives_the_standard_view(operation: Orientation) -> None:
    ds = mr()
    ds.ImageOrientationPatient = ["0.7071", "0.7071", "0", "0", "0", "-1"]
    turned = derived(ds, operation)
    implied = implied_orientation(plane_text(turned, (turned.Rows, turned.Columns)).plane, View.SAX)
    assert implied is not None
    assert implied.orientation == operation
    turned.Manufacturer = "SCANNER WORKS"
    back = derived(turned, implied.orientation.inverse)
    again = implied_orientation(plane_text(back, (back.Rows, back.Columns)).plane, View.SAX)
    assert again is not None
    assert again.orientation == Orientation.IDENTITY


@pytest.mark.parametrize("operation", Orientation)
def test_the_source_is_not_touched(operation: Orientation) -> None:
    source = stored(mr(ReferencedImageSequence=[Dataset()]))
    before = part10_bytes(source)
    made(source, operation)
    assert part10_bytes(source) == before


def test_another_operation_or_producer_makes_another_instance() -> None:
    source = stored(mr())
    uids = {
        ds[keyword].value
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID")
        for ds in (
            source,
            *(reorient_instance(source, operation, PRODUCER) for operation in Orientation),
            reorient_instance(source, ROTATED, Producer("node-2", "HOST1")),
        )
    }
    assert len(uids) == 2 * 10


def test_instances_of_a_series_stay_one_series() -> None:
    first, second = derived(mr(), ROTATED), derived(mr(slice_number=1), ROTATED)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize("bits", [8, 16])
def test_there_and_back_gives_the_very_pixel_bytes(operation: Orientation, bits: int) -> None:
    words = np.random.default_rng(0).integers(0, 1 << bits, 25 * 31).astype(f"u{bits // 8}")
    data = words.tobytes() + b"\0" * (words.nbytes % 2)
    ds = mr(
        rows=25, columns=31, BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1, PixelData=data
    )
    there = derived(ds, operation)
    there.Manufacturer = "SCANNER WORKS"  # else refused: our own product
    back = derived(there, operation.inverse)
    assert back.PixelData == data
    assert (back.Rows, back.Columns) == (25, 31)
    assert list(back.ImageOrientationPatient) == list(ds.ImageOrientationPatient)
    assert list(back.PixelSpacing) == list(ds.PixelSpacing)
    np.testing.assert_allclose(back.ImagePositionPatient, ds.ImagePositionPatient, atol=1e-11)


@pytest.mark.parametrize("operation", Orientation)
def test_embedded_overlay_bits_move_with_their_pixels(operation: Orientation) -> None:
    words = np.arange(24 * 32, dtype=np.uint16) | (np.arange(24 * 32) % 5 == 0) * np.uint16(0x8000)
    turned = derived(mr(PixelData=words.tobytes()), operation)
    assert np.array_equal(stored_words(turned)[0], operation.apply(words.reshape(24, 32)))


IN_PLANE: list[tuple[Orientation, dict[str, Any]]] = [
    (Orientation.IDENTITY, {"AcquisitionMatrix": [0, 256, 208, 0], "InPlane": "COL", "t": 30}),
    (Orientation.FLIP_LR, {"AcquisitionMatrix": [0, 256, 208, 0], "InPlane": "COL", "t": 150}),
    (Orientation.FLIP_UD, {"AcquisitionMatrix": [0, 256, 208, 0], "InPlane": "COL", "t": 150}),
    (Orientation.ROT180, {"AcquisitionMatrix": [0, 256, 208, 0], "InPlane": "COL", "t": 30}),
    (Orientation.TRANSPOSE, {"AcquisitionMatrix": [256, 0, 0, 208], "InPlane": "ROW", "t": 60}),
    (Orientation.ROT90CW, {"AcquisitionMatrix": [256, 0, 0, 208], "InPlane": "ROW", "t": 120}),
    (Orientation.ROT90CCW, {"AcquisitionMatrix": [256, 0, 0, 208], "InPlane": "ROW", "t": 120}),
    (Orientation.ANTITRANSPOSE, {"AcquisitionMatrix": [256, 0, 0, 208], "InPlane": "ROW", "t": 60}),
]


@pytest.mark.parametrize(("operation", "wanted"), IN_PLANE)
def test_what_speaks_of_rows_and_columns_follows_the_pixels(
    operation: Orientation, wanted: dict[str, Any]
) -> None:
    ds = mr(
        AcquisitionMatrix=[0, 256, 208, 0],
        PixelAspectRatio=["2", "3"],
        NominalScannedPixelSpacing=["1.0", "2.0"],
        TagAngleFirstAxis=30.0,
        TagAngleSecondAxis=30,
    )
    turned = derived(ds, operation)
    assert list(turned.AcquisitionMatrix) == wanted["AcquisitionMatrix"]
    assert turned.InPlanePhaseEncodingDirection == wanted["InPlane"]
    assert turned.TagAngleFirstAxis == wanted["t"]
    assert turned.TagAngleSecondAxis == wanted["t"]
    swapped = operation.transposes
    assert list(turned.PixelSpacing) == ([1.5, 1.25] if swapped else [1.25, 1.5])
    assert list(turned.PixelAspectRatio) == ([3, 2] if swapped else [2, 3])
    assert list(turned.NominalScannedPixelSpacing) == ([2, 1] if swapped else [1, 2])
    assert (turned.Rows, turned.Columns) == ((32, 24) if swapped else (24, 32))


@pytest.mark.parametrize("operation", Orientation)
def test_a_tag_line_drawn_in_the_picture_turns_with_it(operation: Orientation) -> None:
    """Oracle: two pixels on the line, found again in the turned picture."""
    picture = np.zeros((9, 9), int)
    picture[4, 4], picture[4 + 2, 4 + 3] = 1, 2  # down 2, right 3: clockwise from the row axis
    angle = np.degrees(np.arctan2(2, 3))
    turned = derived(mr(TagAngleFirstAxis=angle), operation).TagAngleFirstAxis
    (r1, c1), (r2, c2) = (np.argwhere(operation.apply(picture) == v)[0] for v in (1, 2))
    assert turned == pytest.approx(np.degrees(np.arctan2(r2 - r1, c2 - c1)) % 180)


def test_a_matrix_of_unknown_meaning_is_dropped_only_where_it_would_turn() -> None:
    ds = mr(AcquisitionMatrix=[256, 208])
    assert "AcquisitionMatrix" not in derived(ds, ROTATED)
    assert derived(ds, Orientation.FLIP_LR).AcquisitionMatrix == [256, 208]


@pytest.mark.parametrize("letters", [["PLF", "HPL"], ["L", "P"]])
def test_patient_orientation_is_made_anew_from_the_cosines(letters: list[str]) -> None:
    ds = mr(PatientOrientation=letters, iop=[1, 0, 0, 0, 1, 0])
    assert derived(ds, Orientation.IDENTITY).PatientOrientation == ["L", "P"]
    assert derived(ds, Orientation.ROT90CW).PatientOrientation == ["A", "L"]
    assert "PatientOrientation" not in derived(mr(), ROTATED)


def test_what_cannot_be_turned_is_removed_at_every_level() -> None:
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "1.2.3"
    inner.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", b"ab")
    inner.DigitalSignaturesSequence = [Dataset()]
    ds = mr(
        IconImageSequence=[Dataset()],
        ReferencedImageSequence=[inner],
        DigitalSignaturesSequence=[Dataset()],
        MACParametersSequence=[Dataset()],
        ShutterShape="CIRCULAR",
        RadiusOfCircularShutter=5,
        LargestPixelValueInSeries=4095,
        SmallestPixelValueInSeries=0,
        ReferencedPerformedProcedureStepSequence=[Dataset()],
        PerformedProcedureStepID="P1",
        InstanceCreationDate="20200102",
        InstanceCreationTime="030405",
        DataSetTrailingPadding=b"\0\0",
        PerFrameFunctionalGroupsSequence=[Dataset()],
    )
    ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", b"ab")
    ds.add_new(0x50003000, "OW", b"abcd")
    turned = derived(ds, ROTATED)
    assert not [e for e in turned.iterall() if e.tag.is_private or e.tag.group >> 8 == 0x50]
    assert turned.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3"
    assert "DigitalSignaturesSequence" not in turned.ReferencedImageSequence[0]
    gone = {element.keyword for element in ds} - {element.keyword for element in turned}
    assert gone >= {
        "IconImageSequence",
        "DigitalSignaturesSequence",
        "MACParametersSequence",
        "ShutterShape",
        "RadiusOfCircularShutter",
        "LargestPixelValueInSeries",
        "SmallestPixelValueInSeries",
        "ReferencedPerformedProcedureStepSequence",
        "PerformedProcedureStepID",
        "InstanceCreationDate",
        "InstanceCreationTime",
        "DataSetTrailingPadding",
        "PerFrameFunctionalGroupsSequence",
    }


def test_what_belongs_to_role_value_or_patient_stays_as_it_was() -> None:
    kept: dict[str, Any] = {
        "SmallestImagePixelValue": 0,
        "LargestImagePixelValue": 767,
        "RescaleSlope": "2.0",
        "RescaleIntercept": "-10",
        "WindowCenter": "100",
        "SliceLocation": "-12.5",
        "PercentPhaseFieldOfView": "80",
        "NumberOfPhaseEncodingSteps": "208",
        "ImagesInAcquisition": "20",
        "TriggerTime": "30.5",
        "PatientPosition": "HFS",
        "SeriesDate": "20200102",
        "SeriesTime": "030407",
        "ContentDate": "20200103",
        "OperatorsName": "CANARY^OPERATOR",
        "RequestAttributesSequence": [Dataset()],
    }
    source, turned = stored(mr(**kept)), derived(mr(**kept), ROTATED)
    unchanged = {*kept} | {
        "SOPClassUID",
        "StudyInstanceUID",
        "FrameOfReferenceUID",
        "PatientName",
        "PatientID",
        "AccessionNumber",
        "InstanceNumber",
        "SliceThickness",
        "SpacingBetweenSlices",
        "AcquisitionTime",
        "StudyDescription",
        "BitsStored",
        "HighBit",
        "PositionReferenceIndicator",
    }
    assert {k for k in unchanged if turned.get(k) != source.get(k)} == set()


def test_the_new_image_says_what_it_is_from_what_and_by_whom() -> None:
    ds = mr(
        ManufacturerModelName="S1",
        DeviceSerialNumber="77",
        InstitutionName="Hospital",
        InstitutionAddress="Street 1",
    )
    turned = derived(ds, ROTATED)
    assert turned.ImageType == ["DERIVED", "SECONDARY", "OTHER"]
    assert (turned.SeriesNumber, turned.SeriesDescription) == (
        3001,
        "STD-ORIENT rot90cw / cine sax",
    )
    assert "rot90cw" in turned.DerivationDescription
    assert "no interpolation" in turned.DerivationDescription
    assert PRODUCER.software_version in turned.DerivationDescription
    code = turned.DerivationCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("REORIENT", "99CMRNODE")
    assert turned.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99CMRNODE"
    (reference,) = turned.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == ds.SOPInstanceUID
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert reference.SpatialLocationsPreserved == "REORIENTED_ONLY"
    assert reference.PatientOrientation == ["PLF", "HPL"]
    assert (turned.Manufacturer, turned.ManufacturerModelName) == ("CMR Node", "cmr-node")
    assert (turned.DeviceSerialNumber, turned.StationName) == ("node-1", "HOST1")
    assert turned.SoftwareVersions == "1.2.3"
    assert "InstitutionAddress" not in turned
    scanner, node = turned.ContributingEquipmentSequence
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
    assert (scanner.Manufacturer, scanner.ManufacturerModelName) == ("SCANNER WORKS", "S1")
    assert (scanner.DeviceSerialNumber, scanner.InstitutionAddress) == ("77", "Street 1")
    assert scanner.ContributionDateTime == "20200102030406"
    assert node.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert (node.Manufacturer, node.DeviceSerialNumber) == ("CMR Node", "node-1")
    assert "ContributionDateTime" not in node


def test_the_history_of_an_image_already_derived_is_kept() -> None:
    device, purpose, step = Dataset(), Dataset(), Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = "109101", "DCM", "x"
    device.Manufacturer, device.PurposeOfReferenceCodeSequence = "FIRST", [purpose]
    step.CodeValue, step.CodingSchemeDesignator, step.CodeMeaning = "113072", "DCM", "MPR"
    ds = mr(
        ImageType=["DERIVED", "SECONDARY", "T1", "MAP", "X"],
        ContributingEquipmentSequence=[device],
        DerivationCodeSequence=[step],
        AcquisitionDate="00000000",
        SourceImageSequence=[Dataset()],
    )
    turned = derived(ds, ROTATED)
    assert turned.ImageType == ["DERIVED", "SECONDARY", "T1", "MAP", "X"]
    assert [c.CodeValue for c in turned.DerivationCodeSequence] == ["113072", "REORIENT"]
    first, second, third = turned.ContributingEquipmentSequence
    assert (first.Manufacturer, second.Manufacturer) == ("FIRST", "SCANNER WORKS")
    assert second.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert "ContributionDateTime" not in second
    assert third.Manufacturer == "CMR Node"
    assert len(turned.SourceImageSequence) == 1


@pytest.mark.parametrize(
    ("number", "wanted"),
    [("3", 3001), ("0", 1), (None, 1), ("", 1), ("-5", 1), ("12.5", 1), ("2147483647", 1)],
)
def test_the_series_number_is_always_an_integer_that_fits(number: str | None, wanted: int) -> None:
    ds = mr(SeriesNumber=None)
    whole = part10_bytes(ds)
    if number is not None:
        padded = number.encode() + b" " * (len(number) % 2)
        element = b"\x20\x00\x11\x00IS" + len(padded).to_bytes(2, "little") + padded
        at = whole.index(b"\x20\x00\x12\x00IS")
        whole = whole[:at] + element + whole[at:]
    assert parse(made(parse(whole), ROTATED)).SeriesNumber == wanted


CHARSETS = [
    ("ISO_IR 100", "Müller^José".encode("latin-1")),
    ("ISO_IR 192", "Müller^山田".encode()),
    ("GB18030", "王^小东".encode("gb18030")),
    ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
    ("ISO_IR 100", "王^小东".encode("gb18030")),  # declared wrongly
    ("ISO_IR 192", b"M\xfcller^Jos\xe9"),  # not UTF-8 at all
    ("NONSENSE", b"M\xfcller"),
]


@pytest.mark.filterwarnings("ignore:Unknown encoding 'NONSENSE'")
@pytest.mark.parametrize(("charset", "name"), CHARSETS)
def test_text_keeps_its_bytes_whatever_character_set_is_declared(charset: str, name: bytes) -> None:
    raw_name = name + b" " * (len(name) % 2)
    text = name.replace(b"^", b" ")[:40]
    raw_text = text + b" " * (len(text) % 2)
    item = Dataset()
    item.CodeMeaning = "@TEXT@"
    ds = mr(
        SpecificCharacterSet="ISO_IR 101",
        PatientName="@NAME@",
        SeriesDescription="@TEXT@",
        InstitutionName="@TEXT@",
        ProcedureCodeSequence=[item],
    )
    whole = part10_bytes(ds)
    charset_bytes = charset.encode() + b" " * (len(charset) % 2)
    for mark, value in (
        (b"ISO_IR 101", charset_bytes),
        (b"@NAME@", raw_name),
        (b"@TEXT@", raw_text),
    ):
        padded = mark + b" " * (len(mark) % 2)
        old = len(padded).to_bytes(2, "little") + padded
        assert old in whole
        whole = whole.replace(old, len(value).to_bytes(2, "little") + value)
    whole = _with_sequence_length_mended(whole, len(raw_text) - 6)
    out = made(parse(whole), ROTATED)
    assert out.count(raw_name) >= 1
    back = parse(out)
    assert raw_bytes(back, "PatientName") == name
    assert raw_bytes(back, "SpecificCharacterSet") == charset.encode().strip()
    assert raw_bytes(back.ProcedureCodeSequence[0], "CodeMeaning") == text.rstrip()
    assert raw_bytes(back.ContributingEquipmentSequence[0], "InstitutionName") == text.rstrip()
    described = raw_bytes(back, "SeriesDescription")
    assert described == b"STD-ORIENT rot90cw / " + text.rstrip()


def _with_sequence_length_mended(whole: bytes, growth: int) -> bytes:
    at = whole.index(b"\x08\x00\x32\x10SQ\0\0") + 8
    for offset in (at, at + 8):  # the sequence, its item
        length = int.from_bytes(whole[offset : offset + 4], "little")
        whole = whole[:offset] + (length + growth).to_bytes(4, "little") + whole[offset + 4 :]
    return whole


@pytest.mark.parametrize(
    ("charset", "description"),
    [(None, "x" * 64), ("ISO_IR 192", "é" * 64), ("ISO_IR 100", "é" * 64)],
)
def test_a_long_series_description_is_cut_by_characters(
    charset: str | None, description: str
) -> None:
    ds = mr(SeriesDescription=description)
    if charset:
        ds.SpecificCharacterSet = charset
    text = derived(ds, Orientation.ANTITRANSPOSE).SeriesDescription
    assert len(text) == 64
    assert text == "STD-ORIENT antitranspose / " + description[: 64 - 27]


def test_a_source_without_a_description_gets_one_of_its_own() -> None:
    ds = mr(SeriesDescription="")
    assert derived(ds, ROTATED).SeriesDescription == "STD-ORIENT rot90cw"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_encoding_of_an_uncompressed_source_is_kept(syntax: str) -> None:
    out = dcmread(BytesIO(made(stored(mr(transfer_syntax=syntax)), ROTATED)))
    assert out.file_meta.TransferSyntaxUID == syntax
    assert out.file_meta.MediaStorageSOPInstanceUID == out.SOPInstanceUID


@pytest.mark.skipif(shutil.which("dcmcrle") is None, reason="DCMTK is missing")
@pytest.mark.parametrize(
    "program", ["dcmcrle", "dcmcjpls", "dcmcjpeg", "dcmconv +tb", "dcmconv +td"]
)
def test_any_other_source_becomes_explicit_little_endian_with_the_same_pixels(
    tmp_path: Path, program: str
) -> None:
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    plain.write_bytes(part10_bytes(mr()))
    subprocess.run([*program.split(), str(plain), str(packed)], check=True, timeout=60)
    source = read(packed)
    out = made(source, ROTATED)
    assert prove(out, read(plain)) < 1e-9  # against the uncompressed original
    turned = parse(out)
    assert turned.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(turned.pixel_array, np.rot90(mr().pixel_array, -1))
    assert texts(turned, "LossyImageCompression") == texts(source, "LossyImageCompression")


@pytest.mark.parametrize("recorded", [None, "00", "01"])
def test_pixels_that_came_through_a_lossy_syntax_stay_marked(recorded: str | None) -> None:
    ds = mr(rows=64, columns=64)
    stream = encode_array(ds.pixel_array, photometric_interpretation=2, compression_ratios=[4])
    ds.PixelData = encapsulate([bytes(stream)])
    ds.file_meta.TransferSyntaxUID = JPEG2000
    if recorded is not None:
        ds.LossyImageCompression = recorded
    turned = derived(ds, ROTATED)
    assert turned.LossyImageCompression == "01"
    if recorded != "01":
        assert turned.LossyImageCompressionMethod == "ISO_15444_1"
        assert turned.LossyImageCompressionRatio == pytest.approx(
            8192 / len(ds.PixelData), abs=0.01
        )


def test_eight_bits_are_written_as_bytes_and_sixteen_as_words() -> None:
    ds = mr(BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=bytes(24 * 32))
    assert derived(ds, ROTATED)["PixelData"].VR == "OB"
    assert derived(mr(), ROTATED)["PixelData"].VR == "OW"


def test_colour_is_turned_plane_by_plane() -> None:
    values = np.random.default_rng(0).integers(0, 256, 24 * 32 * 3).astype(np.uint8)
    ds = mr(
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="RGB",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=values.tobytes(),
    )
    turned = derived(ds, ROTATED)
    assert np.array_equal(turned.pixel_array, np.rot90(values.reshape(24, 32, 3), -1))


def test_a_file_is_written_with_a_preamble_and_our_signature() -> None:
    out = encode(reorient_instance(stored(mr()), ROTATED, PRODUCER))
    assert out[:132] == bytes(128) + b"DICM"
    meta = dcmread(BytesIO(out)).file_meta
    assert meta.ImplementationClassUID.is_valid
    assert len(meta.ImplementationVersionName) <= 16
