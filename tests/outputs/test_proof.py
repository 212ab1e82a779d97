from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import FileDataset

from cmr_node.dicom.reading import parse
from cmr_node.errors import GeometryNotKept
from cmr_node.geometry.orientation import Orientation
from cmr_node.outputs.proof import MAX_ERROR, prove
from tests.enhanced import enhanced_mr
from tests.outputs.making import made, stored
from tests.samples import mr, part10_bytes

OPERATION = Orientation.ROT90CW


def noise(**attributes: Any) -> FileDataset:
    """A square image of equal spacing, so that only the values tell a wrong turn."""
    words = np.random.default_rng(3).integers(0, 4096, 24 * 24).astype(np.uint16)
    return mr(
        rows=24, columns=24, PixelData=words.tobytes(), PixelSpacing=["1.5", "1.5"], **attributes
    )


def altered(out: bytes, change: Callable[[FileDataset], object]) -> bytes:
    """Derived bytes with one thing changed."""
    ds = dcmread(BytesIO(out))
    change(ds)
    return part10_bytes(ds)


def setting(**values: Any) -> Callable[[FileDataset], object]:
    def change(ds: FileDataset) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return change


def moved_by(ds: FileDataset, mm: float) -> None:
    x, y, z = map(float, ds.ImagePositionPatient)
    ds.ImagePositionPatient = [f"{x + mm:.9f}", f"{y:.9f}", f"{z:.9f}"]


@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize("make", [mr, noise, enhanced_mr])
def test_what_the_node_makes_is_proved(
    operation: Orientation, make: Callable[[], FileDataset]
) -> None:
    source = stored(make())
    assert prove(made(source, operation), source) < 1e-9


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.floats(-1, 1)] * 6),
    st.tuples(*[st.floats(-900, 900)] * 3),
    st.tuples(*[st.floats(0.3, 3)] * 2),
    st.tuples(*[st.integers(1, 40)] * 2),
    st.integers(4, 13),
    st.sampled_from(list(Orientation)),
)
def test_any_plane_is_kept_however_coarsely_its_cosines_are_written(
    directions: tuple[float, ...],
    position: tuple[float, ...],
    spacing: tuple[float, ...],
    shape: tuple[int, int],
    decimals: int,
    operation: Orientation,
) -> None:
    row, column = np.array(directions).reshape(2, 3)
    normal = np.cross(row, column)
    assume(np.linalg.norm(normal) > 0.05)
    row /= np.linalg.norm(row)
    column = np.cross(normal / np.linalg.norm(normal), row)
    ds = mr(rows=shape[0], columns=shape[1])
    ds.ImageOrientationPatient = [f"{v:.{decimals}f}"[:16] for v in (*row, *column)]
    ds.ImagePositionPatient = [f"{v:.9f}" for v in position]
    ds.PixelSpacing = [f"{v:.{decimals}f}" for v in spacing]
    source = stored(ds)
    assert prove(made(source, operation), source) < 1e-9


@pytest.mark.parametrize("claimed", Orientation)
def test_pixels_turned_otherwise_than_the_header_says_are_found(claimed: Orientation) -> None:
    source = stored(noise())
    out = made(source, claimed)
    for other in Orientation:
        if other != claimed:
            wrong = altered(out, setting(PixelData=other.apply(source.pixel_array).tobytes()))
            with pytest.raises(GeometryNotKept, match="values are not where they were"):
                prove(wrong, source)


def test_one_changed_value_is_found() -> None:
    source = stored(mr())
    out = bytearray(made(source, OPERATION))
    out[-100] ^= 1
    with pytest.raises(GeometryNotKept, match="frame 1: 1 of 768 values"):
        prove(bytes(out), source)


def test_a_changed_bit_above_those_stored_is_found() -> None:
    source = stored(mr())
    out = bytearray(made(source, OPERATION))
    out[-1] ^= 0x80
    with pytest.raises(GeometryNotKept, match="1 of 768 values"):
        prove(bytes(out), source)


def test_a_move_beyond_the_limit_is_found_and_one_below_is_measured() -> None:
    source = stored(mr())
    out = made(source, OPERATION)
    small = altered(out, lambda ds: moved_by(ds, 0.9 * MAX_ERROR))
    assert prove(small, source) == pytest.approx(0.9 * MAX_ERROR, rel=1e-6)
    with pytest.raises(GeometryNotKept, match=r"moved by 0.011 mm \(limit 0.01\)"):
        prove(altered(out, lambda ds: moved_by(ds, 1.1 * MAX_ERROR)), source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setting(PixelSpacing=["1.25", "1.5"]), "derived grid|moved by"),
        (setting(PixelSpacing=["1.5", "1.251"]), "moved by"),
        (setting(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"]), "derived grid"),
        (setting(ImageOrientationPatient=["1", "0", "0", "0", "2", "0"]), "cannot be read back"),
        (lambda ds: delattr(ds, "ImagePositionPatient"), "cannot be read back"),
        (lambda ds: delattr(ds, "PixelData"), "cannot be read back"),
        (setting(Rows=24, Columns=32), r"\(24, 32\) pixels; the source has \(24, 32\)"),
        (setting(SOPInstanceUID="SOURCE"), "SOPInstanceUID is that of the source"),
        (setting(SeriesInstanceUID="SOURCE"), "SeriesInstanceUID is that of the source"),
        (setting(StudyInstanceUID="1.2.3"), "StudyInstanceUID is not that of the source"),
        (setting(FrameOfReferenceUID="1.2.3"), "FrameOfReferenceUID is not that of"),
        (setting(PatientID="X"), "PatientID is not that of the source"),
        (setting(RescaleSlope="2"), "RescaleSlope is not that of the source"),
        (setting(PixelRepresentation=1), "PixelRepresentation is not that of the source"),
        (setting(ImageType=["ORIGINAL", "PRIMARY"]), "DERIVED first"),
        (lambda ds: delattr(ds, "LossyImageCompression"), "01 must stay 01"),
    ],
)
def test_each_other_fault_is_named(change: Callable[[FileDataset], object], message: str) -> None:
    source = stored(mr(LossyImageCompression="01"))

    def applied(ds: FileDataset) -> None:
        change(ds)
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
            if ds[keyword].value == "SOURCE":
                ds[keyword].value = source[keyword].value

    with pytest.raises(GeometryNotKept, match=message) as caught:
        prove(altered(made(source, OPERATION), applied), source)
    assert "CANARY" not in str(caught.value)


def test_frames_exchanged_in_an_enhanced_image_are_found() -> None:
    source = stored(enhanced_mr())
    out = made(source, OPERATION)

    def exchange(ds: FileDataset) -> None:
        frames = ds.PerFrameFunctionalGroupsSequence
        frames[0], frames[3] = frames[3], frames[0]

    with pytest.raises(GeometryNotKept, match=r"frame 1: pixels moved by 10 mm"):
        prove(altered(out, exchange), source)


def test_cut_bytes_are_no_proof() -> None:
    source = stored(mr())
    with pytest.raises(GeometryNotKept, match="cannot be read back"):
        prove(made(source, OPERATION)[:-6], source)


def test_the_source_is_read_without_decoding_its_text() -> None:
    source = stored(mr())
    before = made(source, OPERATION)
    prove(before, source)
    assert source.get_item("PatientName").is_raw
    assert parse(before).PatientName == "CANARY^PATIENT"
