"""What dciodvfy says of derived objects, compared with what it says of their sources."""

from pathlib import Path

import pytest

from cmr_node.geometry.orientation import Orientation
from tests.dciodvfy import ENHANCED_DERIVED, complaints, needs_dciodvfy, new_errors
from tests.enhanced import enhanced_mr
from tests.outputs.making import corrected, made, stored
from tests.samples import mr, part10_bytes

SQUARE = ["1.5", "1.5"]


@needs_dciodvfy
@pytest.mark.parametrize("operation", Orientation)
def test_no_new_error_in_an_mr_image(operation: Orientation, tmp_path: Path) -> None:
    source, turned = tmp_path / "source.dcm", tmp_path / "derived.dcm"
    source.write_bytes(part10_bytes(mr()))
    turned.write_bytes(made(stored(mr()), operation))
    assert complaints(source) == set()
    assert new_errors(turned, source) == set()
    # Nothing but the private coding scheme, which is named as the Standard wants it (PS3.16 8.2).
    assert all("CodingSchemeDesignator" in kind for kind in complaints(turned))


@needs_dciodvfy
@pytest.mark.parametrize("operation", [Orientation.ROT90CW, Orientation.FLIP_LR])
def test_no_new_error_in_an_enhanced_mr_image(operation: Orientation, tmp_path: Path) -> None:
    source, turned = tmp_path / "source.dcm", tmp_path / "derived.dcm"
    source.write_bytes(part10_bytes(enhanced_mr()))
    turned.write_bytes(made(stored(enhanced_mr()), operation))
    assert complaints(source) == set()
    assert new_errors(turned, source, [ENHANCED_DERIVED]) == set()


@needs_dciodvfy
@pytest.mark.parametrize("operation", Orientation)
@pytest.mark.parametrize("without", [[], ["ImageOrientationPatient", "ImagePositionPatient"]])
def test_no_new_error_in_an_mr_image_corrected_in_its_pixels(
    operation: Orientation, without: list[str], tmp_path: Path
) -> None:
    ds = mr(PixelSpacing=SQUARE, **dict.fromkeys(without))
    source, turned = tmp_path / "source.dcm", tmp_path / "corrected.dcm"
    source.write_bytes(part10_bytes(ds))
    turned.write_bytes(corrected(stored(ds), operation))
    assert new_errors(turned, source) == set()
    new = complaints(turned) - complaints(source)
    assert all("CodingSchemeDesignator" in kind for kind in new)


@needs_dciodvfy
@pytest.mark.parametrize("operation", [Orientation.ROT180, Orientation.FLIP_LR])
def test_no_new_error_in_an_enhanced_mr_image_corrected_in_its_pixels(
    operation: Orientation, tmp_path: Path
) -> None:
    source, turned = tmp_path / "source.dcm", tmp_path / "corrected.dcm"
    source.write_bytes(part10_bytes(enhanced_mr()))
    turned.write_bytes(corrected(stored(enhanced_mr()), operation))
    assert new_errors(turned, source, [ENHANCED_DERIVED]) == set()


@needs_dciodvfy
def test_the_comparison_finds_an_error_that_the_source_does_not_have(tmp_path: Path) -> None:
    source, wrong = tmp_path / "source.dcm", tmp_path / "wrong.dcm"
    source.write_bytes(part10_bytes(mr()))
    wrong.write_bytes(part10_bytes(mr(PatientSex="X", AccessionNumber=None)))
    found = " ".join(new_errors(wrong, source))
    assert "PatientSex" in found
    assert "AccessionNumber" in found
