"""A page of pictures as an image that any viewer shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmr_node.dicom.reading import parse
from cmr_node.outputs.overlay import capture
from cmr_node.outputs.turned import encode
from cmr_node.phantom.dicom.vendors import Vendor
from tests.dciodvfy import complaints, needs_dciodvfy
from tests.outputs.making import PRODUCER
from tests.outputs.outlined import ALGORITHM, ED, outlined
from tests.phantom.examinations import VENDORS

PAGE = np.arange(90 * 121 * 3, dtype=np.uint32).astype(np.uint8).reshape(90, 121, 3)


def captured(vendor: Vendor, page: np.ndarray = PAGE) -> bytes:
    sources = outlined(vendor).sources(ED)
    return encode(
        capture(
            page,
            sources,
            stack=sources[0].key,
            step=ALGORITHM.step,
            series_number=3006,
            producer=PRODUCER,
        )
    )


@needs_dciodvfy
@pytest.mark.parametrize("vendor", VENDORS)
def test_the_validator_has_nothing_to_say(vendor: Vendor, tmp_path: Path) -> None:
    path = tmp_path / "page.dcm"
    path.write_bytes(captured(vendor))
    assert complaints(path) == set()


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_page_comes_out_pixel_by_pixel_and_names_what_it_shows(vendor: Vendor) -> None:
    ds = parse(captured(vendor))
    np.testing.assert_array_equal(ds.pixel_array, PAGE)
    assert {item.ReferencedSOPInstanceUID for item in ds.SourceImageSequence} == {
        source.uid for source in outlined(vendor).sources(ED)
    }
    assert ds.BurnedInAnnotation == "NO"
    assert ds.SeriesDescription.startswith("RESULT PAGE")
    for keyword in ("ImagePositionPatient", "FrameOfReferenceUID", "DateOfSecondaryCapture"):
        assert keyword not in ds


def test_the_same_page_gives_the_same_bytes_and_another_another_uid() -> None:
    assert captured(Vendor.GE) == captured(Vendor.GE)
    other = parse(captured(Vendor.GE, PAGE[::-1]))
    first = parse(captured(Vendor.GE))
    assert other.SOPInstanceUID != first.SOPInstanceUID
    assert other.SeriesInstanceUID == first.SeriesInstanceUID


def test_what_is_no_page_is_refused() -> None:
    for wrong in (PAGE[..., 0], PAGE.astype(np.uint16), PAGE[:0]):
        with pytest.raises(ValueError, match="allowed: uint8"):
            captured(Vendor.GE, wrong)
