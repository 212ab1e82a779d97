from __future__ import annotations

import numpy as np
import pytest

from cmr_node.assemble.frames import Frame
from cmr_node.assemble.records import Cell, Refusal, Refused
from cmr_node.assemble.stack import assemble
from cmr_node.dicom.header import scan
from cmr_node.errors import BadInference, InferenceFailed, RefusedStack, UndecodablePixels
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.inference.decide import decide
from cmr_node.inference.pixels_alone import HeaderTrust
from cmr_node.inference.recognition import Image, NetworkEvidence
from cmr_node.judgement import Trusting, cell_values, evidence_of, judge, must_be_turnable
from cmr_node.settings import Standardise
from tests.inference.answers import card
from tests.samples import data_set_bytes, mr

POLICY = Standardise()
THRESHOLDS = card().thresholds


def assembled(*images: object):
    headers = [scan(data_set_bytes(ds), ds.file_meta.TransferSyntaxUID) for ds in images]
    return assemble(headers, lambda header: (Frame(header, 0, header),))


def ones(cell: Cell) -> Image:
    return np.ones(cell.plane.shape, np.float32)


def sure_of(orientation: Orientation) -> NetworkEvidence:
    odds = {o: 0.993 if o is orientation else 0.001 for o in Orientation}
    return NetworkEvidence(odds, sax=1.0)


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


def test_an_image_that_cannot_be_read_is_shown_to_no_network_and_is_a_doubt() -> None:
    def never(images: object, spacing: object) -> NetworkEvidence:
        raise AssertionError("asked without an image")

    for header in HeaderTrust:
        trusting = Trusting(header, recognise=never)
        (judged,) = judge(assembled(mr()), no_pixels, POLICY, trusting)
        assert judged.network is not None
        assert judged.network.slices == 0
        assert "no picture of the stack can be read" in judged.network.doubt
        assert judged.verdict.decision != "act"


def test_the_network_is_shown_the_pixels_and_their_spacing() -> None:
    shown: list[object] = []

    def network(images: list[Image], spacing: tuple[float, float]) -> NetworkEvidence:
        shown.append(([image.shape for image in images], spacing))
        even = dict.fromkeys(Orientation, 1 / 8)
        return NetworkEvidence(
            even, 1.0, doubt="all are as probable", mirrored=0.25, septal_deg=171.5
        )

    trusting = Trusting(HeaderTrust.UNTRUSTED, recognise=network)
    (judged,) = judge(assembled(mr()), ones, POLICY, trusting)
    assert shown == [([(24, 32)], (1.25, 1.5))]
    assert judged.verdict.kind == "network_unsure"
    said = evidence_of(judged)["network"]
    assert (said["sax"], said["doubt"], said["mirrored"]) == (1.0, "all are as probable", 0.25)
    assert (said["residual_deg"], said["septal_deg"], said["slices"]) == (None, 171.5, 1)


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


def test_a_network_has_its_say_where_the_header_is_trusted() -> None:
    (told,) = judge(assembled(mr()), ones, POLICY)
    assert told.header is not None
    for seen in Orientation:
        trusting = Trusting(recognise=lambda images, spacing, seen=seen: sure_of(seen))
        (judged,) = judge(assembled(mr()), ones, POLICY, trusting)
        expected = decide(View.SAX, told.header, POLICY, network=sure_of(seen))
        assert judged.verdict == expected
    assert judged.network == sure_of(seen)


def test_only_short_axes_are_shown_and_all_are_heard_before_the_first_is_decided() -> None:
    shown: list[int] = []

    def network(images: list[Image], spacing: tuple[float, float]) -> NetworkEvidence:
        shown.append(len(images))
        return sure_of(Orientation.IDENTITY)

    short = [mr(slice_number=n) for n in range(3)]
    other = [
        mr(slice_number=n, series="2", SeriesDescription="cine_sax late", SeriesNumber=2)
        for n in range(2)
    ]
    aorta = [mr(series="3", SeriesDescription="qflow aorta", SeriesNumber=3)]
    judged = judge(assembled(*short, *other, *aorta), ones, POLICY, Trusting(recognise=network))
    first = next(judged)
    assert len(shown) == 2
    assert [one.network is not None for one in (first, *judged)] == [True, True, False]
    assert len(shown) == 2


def test_a_stack_the_network_is_not_sure_of_hears_a_sure_one_of_its_frame_of_reference() -> None:
    even = dict.fromkeys(Orientation, 1 / 8)

    def network(images: list[Image], spacing: tuple[float, float]) -> NetworkEvidence:
        if len(images) == 3:
            return sure_of(seen)
        return NetworkEvidence(even, sax=1.0, doubt="all are as probable")

    sure = [mr(slice_number=n) for n in range(3)]
    unsure = [
        mr(slice_number=n, series="2", SeriesDescription="cine_sax late", SeriesNumber=2)
        for n in range(2)
    ]
    (told,) = judge(assembled(*sure), ones, POLICY)
    seen = told.header.orientation
    study = assembled(*sure, *unsure)
    alone = list(judge(study, ones, POLICY, Trusting(recognise=network)))
    assert {one.network.doubt for one in alone} == {"", "all are as probable"}
    together = judge(study, ones, POLICY, Trusting(recognise=network, thresholds=THRESHOLDS))
    assert [(one.network.orientation, one.network.doubt) for one in together] == [(seen, "")] * 2


@pytest.mark.parametrize("error", [BadInference("NaN"), UndecodablePixels("constant")])
@pytest.mark.parametrize("header", HeaderTrust)
def test_a_network_that_fails_on_a_stack_is_a_doubt_and_no_error(
    header: HeaderTrust, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(images: list[Image], spacing: tuple[float, float]) -> NetworkEvidence:
        raise error

    trusting = Trusting(header, accept_network=header is HeaderTrust.UNTRUSTED, recognise=fails)
    (judged,) = judge(assembled(mr()), ones, POLICY, trusting)
    assert judged.network is not None
    assert judged.network.doubt
    assert judged.verdict.decision != "act"
    assert str(error) in caplog.text


def test_a_runtime_without_memory_is_no_doubt_but_tried_again() -> None:
    def fails(images: list[Image], spacing: tuple[float, float]) -> NetworkEvidence:
        raise InferenceFailed("no memory")

    with pytest.raises(InferenceFailed):
        list(judge(assembled(mr()), ones, POLICY, Trusting(recognise=fails)))
