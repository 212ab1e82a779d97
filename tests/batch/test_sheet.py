from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cmr_node.batch.book import Said
from cmr_node.batch.plan import Context, Plan, Shown
from cmr_node.batch.pool import Pool
from cmr_node.batch.report import Record
from cmr_node.batch.sheet import Drawing, draw, panels
from cmr_node.dicom.words import display_values
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.standard_view import View
from cmr_node.outputs.reoriented import reorient_instance
from cmr_node.phantom.study import Plan as Phantom
from cmr_node.phantom.study import simulate_study
from tests.batch.contexts import ACCEPTED, PRODUCER, context_of, plans_of, write
from tests.samples import mr, part10_bytes

CCW = Orientation.ROT90CCW


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool.open(1, 30, ("text", "CRITICAL")) as opened:
        yield opened


def turned_study(folder: Path) -> tuple[Context, Plan]:
    plan = Phantom(
        seed=0, views=(View.SAX,), slices=3, phases=1, rows=60, columns=72, pixel_spacing=4.0,
        stored_as={View.SAX: Orientation.ROT90CW},
    )  # fmt: skip
    write(folder, {f"{n}.dcm": ds for n, ds in enumerate(simulate_study(plan))})
    context = context_of(folder)
    (planned,) = plans_of(context)
    return context, planned


def test_after_is_what_lies_in_the_target_not_what_should(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    source, other = mr(), mr(rows=32, columns=24, PixelData=bytes(32 * 24 * 2))
    before.write_bytes(part10_bytes(source))
    after.write_bytes(part10_bytes(other))
    ((shown, made),) = draw(context_of(tmp_path), [Drawing(before, after, 0, CCW)])
    assert shown is not None
    assert made is not None
    assert np.array_equal(shown.pixels, display_values(source))
    assert not made.pixels.any()


def test_where_nothing_was_written_the_picture_is_turned_with_its_letters(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    source = mr()
    before.write_bytes(part10_bytes(source))
    after.write_bytes(part10_bytes(reorient_instance(source, CCW, PRODUCER)))
    context = context_of(tmp_path)
    ((_, turned),) = draw(context, [Drawing(before, None, 0, CCW)])
    ((_, read),) = draw(context, [Drawing(before, after, 0, CCW)])
    assert turned is not None
    assert read is not None
    assert np.array_equal(turned.pixels, read.pixels)
    assert (turned.right, turned.bottom) == (read.right, read.bottom)
    assert turned.pixel_spacing == read.pixel_spacing


def test_a_header_that_is_not_believed_letters_no_picture(tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.write_bytes(part10_bytes(mr()))
    doubted = context_of(tmp_path, trusting=ACCEPTED)
    ((shown, _),) = draw(doubted, [Drawing(before, None, 0, CCW)])
    assert shown is not None
    assert shown.right == shown.bottom == ""


def test_an_image_without_a_place_is_shown_without_letters(tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.write_bytes(part10_bytes(mr(ImageOrientationPatient=None)))
    ((shown, after),) = draw(context_of(tmp_path), [Drawing(before, None, 0, Orientation.IDENTITY)])
    assert shown is not None
    assert (shown.right, after) == ("", None)


@pytest.mark.parametrize("content", [b"", b"nothing", part10_bytes(mr())[:-10]])
def test_a_picture_that_cannot_be_had_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    drawing = Drawing(tmp_path / "file", None, 0, CCW)
    assert draw(context_of(tmp_path), [drawing]) == [(None, None)]


def test_panels_come_in_order_with_their_decisions(tmp_path: Path, pool: Pool) -> None:
    context, plan = turned_study(tmp_path)
    asked = plan.record.refused_because("Because.")
    said = [Said(plan.record, plan.shown), Said(asked, plan.shown)] * 10
    drawn = list(panels(said, context, None, pool))
    assert [panel.decision for panel in drawn] == ["act", "refused"] * 10
    assert drawn[0].after is not None
    assert drawn[1].after is None
    assert "cine sax" in drawn[0].title


def test_what_cannot_be_read_is_on_the_sheet_and_what_is_no_picture_is_not(
    tmp_path: Path, pool: Pool
) -> None:
    torn = Record.of_no_stack([b"torn.dcm"], "unreadable", "It is torn.")
    report = Record.of_no_stack([b"sr.dcm"], "not_mr_image", "A report.", decision="leave")
    drawn = list(panels([Said(torn, None), Said(report, None)], context_of(tmp_path), None, pool))
    assert [(panel.caption, panel.before) for panel in drawn] == [("It is torn.", None)]


def test_a_frame_that_is_not_there_is_no_picture(tmp_path: Path, pool: Pool) -> None:
    context, plan = turned_study(tmp_path)
    (drawn,) = panels([Said(plan.record, Shown(b"0.dcm", 99))], context, None, pool)
    assert drawn.before is None
