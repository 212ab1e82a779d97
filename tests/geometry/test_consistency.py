"""Do crossing slices tell header and pixels apart: in an analytic scene, and in real studies."""

import itertools
import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cmr_node.geometry.consistency import (
    MAX_SLICES,
    CrossingEvidence,
    Slice,
    crossing_evidence,
    crossing_line,
)
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane, reorient
from tests.geometry.real_slices import needs_data, slices

BASE = np.array([12.0, -30.0, 45.0])  # mm, LPS: off the isocentre, as hearts are
LONG = np.array([0.65, -0.55, -0.50]) / np.linalg.norm([0.65, -0.55, -0.50])
LATERAL = np.cross(LONG, [0.2, -0.5, 0.84])
LATERAL /= np.linalg.norm(LATERAL)
DOWN = np.cross(LONG, LATERAL)


def scene(points: np.ndarray) -> np.ndarray:
    """Tissue at (..., 3) points in the patient: blobs without any symmetry."""
    rng = np.random.default_rng(5)
    value = np.zeros(points.shape[:-1])
    for _ in range(80):
        centre = BASE + rng.uniform(-70, 70, 3)
        width, height = rng.uniform(6, 18), rng.uniform(50, 400)
        value += height * np.exp(-np.sum((points - centre) ** 2, axis=-1) / (2 * width**2))
    return value


def centred(
    row_direction: np.ndarray,
    column_direction: np.ndarray,
    centre: np.ndarray,
    shape: tuple[int, int] = (96, 112),
    spacing: tuple[float, float] = (1.5, 1.25),
) -> Plane:
    """A plane whose middle is at ``centre``."""
    origin = (
        centre
        - (shape[0] - 1) / 2 * spacing[0] * column_direction
        - (shape[1] - 1) / 2 * spacing[1] * row_direction
    )
    return Plane.from_dicom([*row_direction, *column_direction], origin, spacing, *shape)


def seen(plane: Plane, of: Callable[[np.ndarray], np.ndarray] = scene) -> Slice:
    """What a scanner would store for a plane."""
    return Slice(of(plane.to_patient(np.moveaxis(np.indices(plane.shape), 0, -1))), plane)


@cache
def short_axes(shape: tuple[int, int] = (96, 112)) -> tuple[Slice, ...]:
    return tuple(
        seen(centred(LATERAL, DOWN, BASE + (10 * n + 3) * LONG - 4 * LATERAL, shape))
        for n in range(4)
    )


@cache
def long_axes(angles_deg: tuple[float, ...] = (20, 95)) -> tuple[Slice, ...]:
    found = []
    for angle in np.radians(angles_deg):
        across = math.cos(angle) * LATERAL + math.sin(angle) * DOWN
        found.append(seen(centred(-LONG, across, BASE + 9 * across + 5 * LONG, (100, 100))))
    return tuple(found)


def unlogged(item: Slice, orientation: Orientation) -> Slice:
    """Pixels (and their size) turned, nothing else of the header: what must be found out."""
    pixels = orientation.apply(item.pixels)
    rows, columns = pixels.shape
    return Slice(pixels, replace(item.plane, shape=(rows, columns)))


def evidence(stack: Sequence[Slice], crossing: Sequence[Slice]) -> CrossingEvidence:
    found = crossing_evidence(stack, crossing)
    assert found is not None
    return found


def test_true_headers_are_confirmed() -> None:
    found = evidence(short_axes(), long_axes())
    assert found.pairs == 8
    assert found.scores[Orientation.IDENTITY] > 0.97
    assert found.confirms_header
    assert not found.contradicts_header
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize("shape", [(100, 100), (96, 112), (120, 88)], ids=str)
@pytest.mark.parametrize("orientation", list(Orientation)[1:])
def test_a_turn_that_the_header_does_not_tell_is_named(
    orientation: Orientation, shape: tuple[int, int]
) -> None:
    stack = [unlogged(item, orientation) for item in short_axes(shape)]
    found = evidence(stack, long_axes())
    assert found.best is orientation
    assert found.scores[orientation] > 0.95
    assert found.contradicts_header
    assert not found.confirms_header


@pytest.mark.parametrize("orientation", Orientation)
def test_a_turn_of_pixels_and_header_together_is_no_contradiction(
    orientation: Orientation,
) -> None:
    turned = [
        Slice(orientation.apply(item.pixels), reorient(item.plane, orientation))
        for item in short_axes()
    ]
    before, after = evidence(short_axes(), long_axes()), evidence(turned, long_axes())
    assert after.confirms_header
    assert after.scores[Orientation.IDENTITY] == pytest.approx(
        before.scores[Orientation.IDENTITY], abs=1e-6
    )


def test_the_lie_may_be_in_the_other_stack() -> None:
    """It cannot be told whose header is wrong, only that one is."""
    found = evidence(short_axes(), [unlogged(item, Orientation.ROT180) for item in long_axes()])
    assert not found.confirms_header


def test_scanner_units_noise_and_types_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    loud = [
        Slice((37 + 0.8 * s.pixels + rng.normal(0, 15, s.pixels.shape)).astype(np.int16), s.plane)
        for s in short_axes()
    ]
    assert evidence(loud, long_axes()).confirms_header


def test_one_line_through_the_middle_cannot_tell_a_mirroring() -> None:
    """The picture mirrored about the line shows the same along it: open, and said to be open."""
    stack = [seen(centred(LATERAL, DOWN, BASE + 10 * n * LONG)) for n in range(3)]
    upright = [seen(centred(-LONG, DOWN, BASE, (100, 100)))]
    found = evidence(stack, upright)
    assert found.scores[Orientation.FLIP_LR] == pytest.approx(
        found.scores[Orientation.IDENTITY], abs=1e-6
    )
    assert found.margin < 1e-6
    assert not found.confirms_header
    assert not found.contradicts_header
    mirrored = [unlogged(item, Orientation.FLIP_LR) for item in stack]
    assert not evidence(mirrored, upright).contradicts_header
    assert evidence(mirrored, [*upright, *long_axes()]).contradicts_header


def test_there_is_no_evidence_without_crossings() -> None:
    stack = short_axes()
    assert crossing_evidence(stack, []) is None
    assert crossing_evidence([], long_axes()) is None
    assert crossing_evidence(stack, stack) is None  # parallel
    assert crossing_evidence(stack[:1], long_axes()) is None  # two pairs are too few
    elsewhere = [
        seen(replace(s.plane, position=tuple(float(v) + 400 for v in s.plane.position)))
        for s in long_axes()
    ]
    assert crossing_evidence(stack, elsewhere) is None


@pytest.mark.parametrize(
    "of",
    [
        lambda points: np.zeros(points.shape[:-1]),
        lambda points: np.full(points.shape[:-1], np.nan),
    ],
    ids=["empty", "not a number"],
)
def test_slices_without_contrast_are_no_evidence(of: Callable[[np.ndarray], np.ndarray]) -> None:
    assert crossing_evidence([seen(s.plane, of) for s in short_axes()], long_axes()) is None
    assert crossing_evidence(short_axes(), [seen(s.plane, of) for s in long_axes()]) is None


def test_the_cost_is_bounded_whatever_arrives() -> None:
    found = evidence(short_axes() * 10, long_axes() * 20)
    assert found.pairs <= MAX_SLICES**2


def test_pixels_must_be_those_of_the_plane() -> None:
    plane = centred(LATERAL, DOWN, BASE)
    with pytest.raises(ValueError, match="pixels are"):
        Slice(np.zeros((5, 5)), plane)


def test_the_crossing_line_lies_in_both_planes() -> None:
    ours, theirs = short_axes()[0].plane, long_axes((33,))[0].plane
    line = crossing_line(ours, theirs)
    assert line is not None
    point, along = line
    for reach in (-50, 0, 70):
        assert abs(ours.distance(point + reach * along)) < 1e-9
        assert abs(theirs.distance(point + reach * along)) < 1e-9
    assert crossing_line(ours, ours) is None


REAL = {
    "pig": ("pig-cine/sax", "pig-cine/lax"),
    # Their de-identification gave every image a frame of reference of its own, so the node would
    # never hold these against each other; the scans are of one session and do share one.
    "SC-HF-I-01": ("sunnybrook-cine/SC-HF-I-01/sax", "sunnybrook-cine/SC-HF-I-01/localizer"),
    "SC-HF-I-04": ("sunnybrook-cine/SC-HF-I-04/sax", "sunnybrook-cine/SC-HF-I-04/localizer"),
}


@needs_data
@pytest.mark.parametrize("study", REAL)
def test_real_headers_are_true(study: str) -> None:
    sax, crossing = (slices(series) for series in REAL[study])
    assert evidence(sax, crossing).confirms_header


@needs_data
@pytest.mark.parametrize("orientation", list(Orientation)[1:])
@pytest.mark.parametrize("study", REAL)
def test_unlogged_turns_of_real_stacks_are_named(study: str, orientation: Orientation) -> None:
    sax, crossing = (slices(series) for series in REAL[study])
    found = evidence([unlogged(item, orientation) for item in sax], crossing)
    assert found.best is orientation
    assert found.contradicts_header


@needs_data
@pytest.mark.parametrize("study", REAL)
def test_few_slices_raise_no_false_alarm_and_still_find_most(study: str) -> None:
    """Three short-axis slices, one or two crossing ones, breathing 5 mm apart.

    What an unlogged turn h would score follows from the true pixels by the group, as the
    pictures are square: the header would then score what the inverse of h scores now.
    """
    sax, crossing = (slices(series) for series in REAL[study])
    rng = np.random.default_rng(2)
    alarms = found = draws = 0
    for count, shift in itertools.product((1, 2), (0.0, 5.0)):
        for _ in range(5):
            away = rng.normal(size=3)
            away *= shift / np.linalg.norm(away)
            moved = [
                Slice(
                    s.pixels, replace(s.plane, position=tuple((s.plane.position + away).tolist()))
                )
                for s in (crossing[i] for i in rng.choice(len(crossing), count, replace=False))
            ]
            few = [sax[i] for i in rng.choice(len(sax), 3, replace=False)]
            result = crossing_evidence(few, moved)
            if result is None:
                continue
            draws += 1
            alarms += result.contradicts_header
            for turn in list(Orientation)[1:]:
                scores = {o: result.scores[turn.inverse.after(o)] for o in Orientation}
                found += CrossingEvidence(scores, result.pairs).contradicts_header
    print(f"{study}: {alarms} false alarms in {draws}, found {found / draws / 7:.0%} of turns")
    assert draws >= 15
    assert alarms == 0
    assert found / draws / 7 > 0.75


@needs_data
def test_the_maps_of_one_animal_lie_parallel_and_say_nothing() -> None:
    assert crossing_evidence(slices("lge-t1/lge-psir"), slices("lge-t1/t1map-molli")) is None
