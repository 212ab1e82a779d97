"""A real study with the shipped network: everything a hospital gets of it, in a real archive.

The two patients were among those the shipped network was trained on: what is tested is the way
from pixels to numbers, not how well the network does (``models.evaluate`` says that).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cmr_node.measures.quantities import Quantity
from tests.dciodvfy import needs_dciodvfy, new_errors
from tests.samples import part10_bytes
from tests.system.real_study import DATA, Arrived, beside, dices, through_the_node

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not here"),
]
PATIENT = "SC-HF-I-01"


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Arrived:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CMR_NODE_INFERENCE_NETWORK", raising=False)
        return through_the_node(PATIENT, tmp_path_factory.mktemp("real"))


def test_images_outlines_numbers_and_page_arrive(arrived: Arrived) -> None:
    assert arrived.cine["decision"] == "act"
    assert len(arrived.derived) == len(arrived.received) == 240
    assert len(arrived.segmentations) == 2
    assert arrived.report.VerificationFlag == "UNVERIFIED"
    assert arrived.page.pixel_array.std() > 10
    assert arrived.cine["evidence"]["results"]["not_made"] == {}


def test_outlines_lie_on_the_hearts_that_the_reader_drew(arrived: Arrived) -> None:
    found = dices(PATIENT, arrived)
    assert found["end diastole"] > 0.88
    assert found["end systole"] > 0.8


def test_numbers_stand_beside_those_of_the_reader(arrived: Arrived) -> None:
    """The report counts two basal slices more than the reader drew."""
    for one in beside(PATIENT, arrived):
        assert one.same_slices == pytest.approx(one.drawn, rel=0.2), one
        allowed = {"abs": 12} if one.quantity is Quantity.LV_EF else {"rel": 0.3}
        assert one.reported == pytest.approx(one.drawn, **allowed), one


@needs_dciodvfy
def test_no_object_has_an_error_that_its_source_has_not(arrived: Arrived, tmp_path: Path) -> None:
    source, made = tmp_path / "source.dcm", tmp_path / "made.dcm"
    source.write_bytes(part10_bytes(arrived.received[1]))
    for ds in (*arrived.segmentations, arrived.report, arrived.page):
        made.write_bytes(part10_bytes(ds))
        assert not new_errors(made, source), ds.SOPClassUID
