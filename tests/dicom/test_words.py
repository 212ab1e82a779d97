import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openjpeg.utils import encode_array
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from cmr_node.dicom.codestream import rle_length
from cmr_node.dicom.decoders import decode
from cmr_node.dicom.reading import parse, read
from cmr_node.dicom.words import display_values, layout, pixel_data, stored_words
from cmr_node.errors import UndecodablePixels
from tests.samples import mr, part10_bytes

Recode = Callable[[FileDataset], FileDataset]

DCMTK = {
    "rle": ["dcmcrle"],
    "jpeg-ls": ["dcmcjpls", "+el"],
    "jpeg lossless": ["dcmcjpeg", "+el"],
    "jpeg lossless sv1": ["dcmcjpeg", "+e1"],
}
SYNTAX = {
    "rle": "1.2.840.10008.1.2.5",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg lossless": "1.2.840.10008.1.2.4.57",
    "jpeg lossless sv1": "1.2.840.10008.1.2.4.70",
}
needs_dcmtk = pytest.mark.skipif(shutil.which("dcmcrle") is None, reason="DCMTK is missing")


def image(bits: int, signed: bool, *, rows: int = 25, columns: int = 31) -> FileDataset:
    """Noise over the whole range, of odd length where 8 bits are stored."""
    allocated = 8 if bits <= 8 else 16
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    values = np.random.default_rng(bits).integers(low, high, rows * columns)
    data = values.astype(f"{'i' if signed else 'u'}{allocated // 8}").tobytes()
    return mr(
        rows=rows,
        columns=columns,
        BitsAllocated=allocated,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=int(signed),
        PixelData=data + b"\0" * (len(data) % 2),
    )


def with_pixels(syntax: str, data: bytes, **attributes: Any) -> FileDataset:
    """An image whose PixelData are these bytes in that transfer syntax."""
    ds = mr(**attributes)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = data
    ds["PixelData"].VR = "OB"
    return ds


@pytest.fixture
def recode(tmp_path: Path) -> Callable[[FileDataset, list[str]], FileDataset]:
    def run(ds: FileDataset, command: list[str]) -> FileDataset:
        source, target = tmp_path / "source.dcm", tmp_path / "target.dcm"
        source.write_bytes(part10_bytes(ds))
        subprocess.run([*command, str(source), str(target)], check=True, timeout=60)
        return read(target)

    return run


@needs_dcmtk
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("codec", DCMTK)
def test_what_dcmtk_compressed_without_loss_comes_back_word_for_word(
    recode: Callable[..., FileDataset], codec: str, bits: int, signed: bool
) -> None:
    source = image(bits, signed)
    compressed = recode(source, DCMTK[codec])
    assert compressed.file_meta.TransferSyntaxUID == SYNTAX[codec]
    assert np.array_equal(stored_words(compressed), stored_words(parse(part10_bytes(source))))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_jpeg_2000_comes_back_word_for_word(bits: int, signed: bool) -> None:
    source = image(bits, signed, rows=70, columns=65)
    words = stored_words(parse(part10_bytes(source)))
    values = words[0].view(f"i{words.dtype.itemsize}") if signed else words[0]
    stream = encode_array(values, bits_stored=bits, photometric_interpretation=2)
    source.PixelData = encapsulate([bytes(stream)])
    source.file_meta.TransferSyntaxUID = JPEG2000Lossless
    assert np.array_equal(stored_words(parse(part10_bytes(source))), words)


@needs_dcmtk
@pytest.mark.parametrize("command", [["dcmcjpeg", "+eb"], ["dcmcjpeg", "+ee"]])
def test_lossy_jpeg_is_decoded_as_dcmtk_decodes_it(
    recode: Callable[..., FileDataset], command: list[str], tmp_path: Path
) -> None:
    compressed = recode(image(12, False), command)
    back = tmp_path / "back.dcm"
    subprocess.run(["dcmdjpeg", str(tmp_path / "target.dcm"), str(back)], check=True, timeout=60)
    mine, theirs = stored_words(compressed).astype(int), stored_words(read(back)).astype(int)
    assert mine.shape == theirs.shape
    assert np.abs(mine - theirs).max() <= 1  # decoders may round the cosine transform apart


def test_bits_above_those_stored_come_out_too() -> None:
    words = (np.arange(24 * 32, dtype=np.uint16) * 37 % 4096) | 0xA000
    ds = parse(part10_bytes(mr(PixelData=words.tobytes())))
    assert np.array_equal(stored_words(ds).ravel(), words)
    assert ds.pixel_array.max() < 4096  # what a masking reader sees, and why it is not used


@pytest.mark.parametrize(("bits", "count"), [(8, 775), (16, 1550), (32, 3100)])
def test_every_word_size_is_read_and_written(bits: int, count: int) -> None:
    values = np.arange(25 * 31).astype(f"<u{bits // 8}")
    data = values.tobytes() + b"\0" * (count % 2)
    ds = mr(
        rows=25, columns=31, PixelData=data, BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1
    )
    words = stored_words(parse(part10_bytes(ds)))
    assert np.array_equal(words, values.reshape(1, 25, 31))
    assert pixel_data(words, by_plane=False) == data


@pytest.mark.parametrize("planar", [0, 1])
def test_colour_planes_are_told_apart(planar: int) -> None:
    values = np.arange(2 * 3 * 3, dtype=np.uint8)
    ds = mr(
        rows=2,
        columns=3,
        SamplesPerPixel=3,
        PlanarConfiguration=planar,
        PhotometricInterpretation="RGB",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=values.tobytes(),
    )
    ds = parse(part10_bytes(ds))
    words = stored_words(ds)
    assert words.shape == (1, 3, 2, 3)
    assert np.array_equal(np.moveaxis(words[0], 0, -1), ds.pixel_array)
    assert pixel_data(words, by_plane=layout(ds).by_plane) == values.tobytes()


@pytest.mark.parametrize("surplus", [-2, 2, 1536])
def test_too_few_or_too_many_pixels_are_refused(surplus: int) -> None:
    ds = mr(PixelData=bytes(1536 + surplus))
    with pytest.raises(UndecodablePixels, match=f"{1536 + surplus} bytes of PixelData.*1536"):
        stored_words(parse(part10_bytes(ds)))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"PixelData": None}, "no PixelData"),
        ({"PixelData": b""}, "no PixelData"),
        ({"FloatPixelData": bytes(3072)}, "FloatPixelData"),
        ({"BitsAllocated": 1}, "BitsAllocated 1; allowed: 8, 16, 32"),
        ({"BitsAllocated": 12}, "BitsAllocated 12"),
        ({"BitsStored": 17}, "BitsStored 17"),
        ({"HighBit": 3}, "HighBit 3"),
        ({"Rows": 0}, "0 rows"),
        ({"Rows": None}, "Rows is missing"),
        ({"NumberOfFrames": 2}, "bytes of PixelData"),
        ({"NumberOfFrames": -1}, "-1 frames"),
    ],
)
def test_pixels_that_make_no_image_are_refused(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(UndecodablePixels, match=message):
        stored_words(parse(part10_bytes(mr(**attributes))))


def test_a_syntax_without_a_permitted_decoder_is_named() -> None:
    ds = with_pixels(MPEG2MPML, encapsulate([b"\0" * 64]))
    with pytest.raises(UndecodablePixels, match=r"MPEG2.*allowed: .*JPEG 2000.*RLE Lossless"):
        stored_words(parse(part10_bytes(ds)))


def test_big_endian_that_did_not_come_through_the_reader_is_refused() -> None:
    ds = mr()
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    with pytest.raises(UndecodablePixels, match="little endian"):
        stored_words(ds)


def j2k_of(rows: int, columns: int) -> bytes:
    """The head of a JPEG 2000 codestream of that size."""
    size = struct.pack(">HH8LH3B", 41, 0, columns, rows, 0, 0, columns, rows, 0, 0, 1, 15, 1, 1)
    return b"\xff\x4f\xff\x51" + size


def jpeg_of(rows: int, columns: int, marker: int) -> bytes:
    """The head of a JPEG or JPEG-LS frame of that size."""
    return b"\xff\xd8\xff" + struct.pack(
        ">BHBHHB3B2B", marker, 11, 16, rows, columns, 1, 1, 0x11, 0, 0xFF, 0xD9
    )


@pytest.mark.parametrize(
    ("syntax", "stream"),
    [
        (JPEG2000Lossless, j2k_of(65535, 65535)),
        (JPEGLosslessSV1, jpeg_of(65535, 65535, 0xC3)),
        (JPEGLSLossless, jpeg_of(65535, 65535, 0xF7)),
    ],
)
def test_a_frame_that_announces_another_size_is_not_decoded(syntax: str, stream: bytes) -> None:
    ds = with_pixels(syntax, encapsulate([stream]))
    with pytest.raises(UndecodablePixels, match=r"\(65535, 65535, 1\).*\(24, 32, 1\)"):
        stored_words(parse(part10_bytes(ds)))


def test_an_image_that_would_decode_past_the_limit_is_refused_undecoded() -> None:
    ds = with_pixels(RLELossless, encapsulate([b"\0" * 64]), Rows=65535, Columns=65535)
    with pytest.raises(UndecodablePixels, match="limit 2147483648"):
        stored_words(parse(part10_bytes(ds)))


def test_an_rle_frame_that_grows_past_its_size_is_not_decoded() -> None:
    bomb = struct.pack("<16L", 2, 64, 66, *[0] * 13) + b"\x81\0" * (3 << 20)
    assert rle_length(bomb, 1 << 30) == 128 * (3 << 20)
    assert 1536 < rle_length(bomb, 1536) <= 1536 + 128
    ds = with_pixels(RLELossless, encapsulate([bomb]))
    with pytest.raises(UndecodablePixels, match="grows past the 1536 bytes"):
        stored_words(parse(part10_bytes(ds)))


@needs_dcmtk
def test_the_length_of_an_rle_frame_is_told_without_decoding_it(
    recode: Callable[..., FileDataset],
) -> None:
    compressed = recode(image(16, False, rows=24, columns=32), DCMTK["rle"])
    (stream,) = generate_frames(compressed.PixelData, number_of_frames=1)
    assert 24 * 32 * 2 <= rle_length(stream, 1 << 30) <= 24 * 32 * 2 + 4


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1])
@pytest.mark.parametrize(
    "stream", [b"\0\0", b"\xff" * 100, b"\xff\xd8\xff\xd9", j2k_of(24, 32), bytes(64)]
)
def test_a_damaged_frame_is_refused(syntax: str, stream: bytes) -> None:
    ds = with_pixels(syntax, encapsulate([stream]))
    with pytest.raises(UndecodablePixels):
        stored_words(parse(part10_bytes(ds)))


@needs_dcmtk
@pytest.mark.parametrize("codec", DCMTK)
def test_a_compressed_frame_cut_short_or_flipped_is_refused_or_keeps_its_shape(
    recode: Callable[..., FileDataset], codec: str
) -> None:
    compressed = recode(image(12, False), DCMTK[codec])
    (stream,) = generate_frames(compressed.PixelData, number_of_frames=1)
    syntax = compressed.file_meta.TransferSyntaxUID
    outcomes = set()
    for cut in range(0, len(stream), max(1, len(stream) // 12)):
        for damaged in (
            stream[:cut],
            stream[:cut] + b"\xff\xd9",
            stream[:cut] + b"\x5a" + stream[cut + 1 :],
        ):
            try:
                outcomes.add(decode(damaged, syntax, compressed).shape)
            except UndecodablePixels:
                outcomes.add("refused")
    assert outcomes <= {(25, 31), "refused"}
    assert "refused" in outcomes


@pytest.mark.parametrize("frames", [1, 3])
def test_frames_that_do_not_add_up_are_refused(frames: int) -> None:
    stream = bytes(encode_array(np.zeros((64, 64), np.uint16), photometric_interpretation=2))
    data = encapsulate([stream] * 2)
    ds = with_pixels(JPEG2000Lossless, data, NumberOfFrames=frames, Rows=64, Columns=64)
    with pytest.raises(UndecodablePixels, match="frames"):
        stored_words(parse(part10_bytes(ds)))


def test_fragments_that_run_past_the_pixel_data_are_refused() -> None:
    whole = part10_bytes(with_pixels(RLELossless, encapsulate([bytes(100)])))
    at = whole.rindex(b"\xfe\xff\x00\xe0")
    forged = whole[: at + 4] + struct.pack("<L", 0x7FFFFFFF) + whole[at + 8 :]
    with pytest.raises(UndecodablePixels, match="cut off"):
        parse(forged)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_display_values_are_what_pydicom_reads(bits: int, signed: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(part10_bytes(image(bits, signed)))
    values = display_values(read(path))
    assert values.dtype == np.float32
    assert np.array_equal(values, dcmread(path).pixel_array.astype(np.float32))


def test_display_values_of_monochrome1_grow_with_brightness() -> None:
    plain = display_values(parse(part10_bytes(mr())))
    inverse = display_values(parse(part10_bytes(mr(PhotometricInterpretation="MONOCHROME1"))))
    assert np.array_equal(inverse, -plain)


def test_display_values_leave_overlay_bits_out() -> None:
    words = np.arange(24 * 32, dtype=np.uint16) | 0x8000
    values = display_values(parse(part10_bytes(mr(PixelData=words.tobytes()))))
    assert values.max() == 767
