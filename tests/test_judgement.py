from __future__ import annotations

import numpy as np
import pytest

from cmr_node.assemble.frames import Frame
from cmr_node.assemble.records import Cell, Refusal, Refused
from cmr_node.assemble.stack import assemble
from cmr_node.dicom.header import scan
from cmr_node.errors import RefusedStack, UndecodablePixels
from cmr_node.geometry.orientation import Orientation
from cmr_node.inference.pixels_alone import HeaderTrust
from cmr_node.inference.recognition import Image, NetworkEvidence
from cmr_node.judgement import Trusting, cell_values, evidence_of, judge, must_be_turnable
from cmr_node.settings import Standardise
from tests.samples import data_set_bytes, mr

POLICY = Standardise()


def assembled(*images: object):
    headers = [scan(data_set_bytes(ds), ds.file_meta.TransferSyntaxUID) for ds in images]
    return assemble(headers, lambda header: (Frame(header, 0, header),))


def no_pixels(cell: Cell) -> Image:
    raise UndecodablePixels("none")


def test_a_heart_whose_view_nothing_tells_is_asked_about() -> None:
    images = [mr(slice_number=n, SeriesDescription="", phase=p) for n in range(2) for p in range(9)]
    (judged,) = judge(assembled(*images), no_pixels, POLICY)
    assert judged.stack.sequence == "cine"
    assert (judged.verdict.decision, judged.verdict.kind) == ("ask", "uncertain_view")
    assert "cine" in judged.verdict.reason


def test_what_is_not_planned_on_the_heart_is_left() -> None:
    image = mr(SeriesDescription="qflow aorta")
    (judged,) = judge(assembled(image), no_pixels, POLICY)
    assert judged.verdict.decision == "leave"


def test_an_image_that_cannot_be_read_is_shown_to_no_network() -> None:
    def never(images: object, spacing: object) -> NetworkEvidence:
        raise AssertionError("asked without an image")

    trusting = Trusting(HeaderTrust.ABSENT, recognise=never)
    (judged,) = judge(assembled(mr()), no_pixels, POLICY, trusting)
    assert (judged.network, judged.verdict.kind) == (None, "no_network")


def test_the_network_is_shown_the_pixels_and_their_spacing() -> None:
    shown: list[object] = []

    def network(images: list[Image], spacing: tuple[float, float]) -> NetworkEvidence:
        shown.append(([image.shape for image in images], spacing))
        return NetworkEvidence(dict.fromkeys(Orientation, 1 / 8), 1.0)

    def ones(cell: Cell) -> Image:
        return np.ones(cell.plane.shape, np.float32)

    trusting = Trusting(HeaderTrust.UNTRUSTED, recognise=network)
    (judged,) = judge(assembled(mr()), ones, POLICY, trusting)
    assert shown == [([(24, 32)], (1.25, 1.5))]
    assert judged.verdict.kind == "network_unsure"
    assert evidence_of(judged)["network"]["sax"] == 1.0


def test_frames_of_one_instance_are_read_once() -> None:
    reads: list[str] = []
    ds = mr()

    def read(header: object):
        reads.append(header.sop_instance_uid)
        return ds

    (stack,) = assembled(ds).stacks
    values = cell_values(read)
    assert np.array_equal(values(stack.cells[0]), values(stack.cells[0]))
    assert len(reads) == 1


@pytest.mark.parametrize("reason", [Refusal.GEOMETRY, Refusal.TWICE])
def test_a_stack_whose_series_has_an_image_elsewhere_is_not_turned(reason: Refusal) -> None:
    (stack,) = assembled(mr()).stacks
    other = Refused(stack.instances[0], reason, "because")
    with pytest.raises(RefusedStack, match="lies in no stack: because"):
        must_be_turnable(stack, [other])
