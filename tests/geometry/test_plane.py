import math
import pickle
from dataclasses import replace

import highdicom as hd
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from cmr_node.errors import UnusableGeometry
from cmr_node.geometry.orientation import Orientation
from cmr_node.geometry.plane import Plane, patient_orientation, reorient
from tests.geometry.real_slices import SERIES, needs_data, planes
from tests.geometry.some_planes import plane_along, some_planes
from tests.samples import SAX_IOP, orthonormal

OBLIQUE = Plane.from_dicom(
    orthonormal(SAX_IOP),
    [-80.25, -120.5, 60.125],
    [1.25, 1.5],
    rows=5,
    columns=3,
)
GOOD = {
    "image_orientation_patient": [1, 0, 0, 0, 1, 0],
    "image_position_patient": [0, 0, 0],
    "pixel_spacing": [1, 1],
    "rows": 4,
    "columns": 4,
}


def places(values: np.ndarray, plane: Plane) -> dict[int, np.ndarray]:
    """Where in the patient each (unique) value of a picture lies."""
    return {int(v): plane.to_patient(index) for index, v in np.ndenumerate(values)}


@pytest.mark.parametrize("orientation", Orientation)
def test_every_pixel_keeps_its_place_in_the_patient(orientation: Orientation) -> None:
    number = np.arange(15).reshape(OBLIQUE.shape)
    before = places(number, OBLIQUE)
    after = places(orientation.apply(number), reorient(OBLIQUE, orientation))
    assert before.keys() == after.keys()
    for value, place in before.items():
        np.testing.assert_allclose(after[value], place, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("orientation", "spacing", "row_direction", "column_direction", "corner"),
    [
        ("identity", (2, 3), (1, 0, 0), (0, 1, 0), (10, 20, 30)),
        ("flip_lr", (2, 3), (-1, 0, 0), (0, 1, 0), (10 + 4 * 3, 20, 30)),
        ("flip_ud", (2, 3), (1, 0, 0), (0, -1, 0), (10, 20 + 6 * 2, 30)),
        ("rot180", (2, 3), (-1, 0, 0), (0, -1, 0), (22, 32, 30)),
        ("transpose", (3, 2), (0, 1, 0), (1, 0, 0), (10, 20, 30)),
        ("rot90cw", (3, 2), (0, -1, 0), (1, 0, 0), (10, 32, 30)),
        ("rot90ccw", (3, 2), (0, 1, 0), (-1, 0, 0), (22, 20, 30)),
        ("antitranspose", (3, 2), (0, -1, 0), (-1, 0, 0), (22, 32, 30)),
    ],
)
def test_the_table_by_hand(orientation, spacing, row_direction, column_direction, corner) -> None:
    """7 rows 2 mm apart, 5 columns 3 mm apart, in an axial slice."""
    plane = Plane((10, 20, 30), (1, 0, 0), (0, 1, 0), (2, 3), (7, 5))
    turned = reorient(plane, Orientation(orientation))
    shape = (5, 7) if spacing == (3, 2) else (7, 5)
    assert turned == Plane(corner, row_direction, column_direction, spacing, shape)


@given(some_planes(), st.sampled_from(Orientation))
def test_undoing_a_turn_gives_the_plane_back(plane: Plane, orientation: Orientation) -> None:
    back = reorient(reorient(plane, orientation), orientation.inverse)
    np.testing.assert_allclose(back.position, plane.position, rtol=0, atol=1e-9)
    assert replace(back, position=plane.position) == plane


@given(some_planes(), st.sampled_from(Orientation), st.sampled_from(Orientation))
def test_two_turns_are_one(plane: Plane, first: Orientation, then: Orientation) -> None:
    twice, once = reorient(reorient(plane, first), then), reorient(plane, then.after(first))
    np.testing.assert_allclose(twice.position, once.position, rtol=0, atol=1e-9)
    assert replace(twice, position=once.position) == once


@given(some_planes(), st.sampled_from(Orientation))
def test_only_a_mirroring_turns_the_normal_round(plane: Plane, orientation: Orientation) -> None:
    turned = reorient(plane, orientation)
    np.testing.assert_allclose(turned.normal, orientation.chirality * plane.normal, atol=1e-12)
    assert turned.tilt_deg(plane) < 1e-6
    np.testing.assert_allclose(plane.distance(turned.corners), 0, atol=1e-8)


@given(some_planes(), st.floats(-700, 700), st.floats(-700, 700))
def test_from_a_pixel_to_the_patient_and_back(plane: Plane, row: float, column: float) -> None:
    point = plane.to_patient([row, column])
    np.testing.assert_allclose(plane.to_indices(point), [row, column], rtol=0, atol=1e-8)
    off_plane = point + 7 * plane.normal
    np.testing.assert_allclose(plane.to_indices(off_plane), [row, column], rtol=0, atol=1e-8)
    assert plane.distance(off_plane) == pytest.approx(7, abs=1e-8)


@given(some_planes(), st.integers(0, 600), st.integers(0, 600))
def test_agrees_with_highdicom_on_where_a_pixel_is(plane: Plane, row: int, column: int) -> None:
    highdicom = hd.spatial.PixelToReferenceTransformer(
        image_position=plane.position,
        image_orientation=[*plane.row_direction, *plane.column_direction],
        pixel_spacing=plane.pixel_spacing,
    )
    theirs = highdicom(np.array([[column, row]]))[0]  # highdicom takes (column, row)
    np.testing.assert_allclose(plane.to_patient([row, column]), theirs, rtol=0, atol=1e-9)


@given(some_planes(), st.sampled_from(Orientation))
def test_agrees_with_simpleitk_on_a_turned_picture(plane: Plane, orientation: Orientation) -> None:
    """ITK's Flip and PermuteAxes move pixels and geometry together, by their own arithmetic."""
    shape = tuple(min(size, 20) for size in plane.shape)
    plane = replace(plane, shape=shape)
    number = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    image = sitk.GetImageFromArray(number[np.newaxis])
    image.SetOrigin(plane.position)
    image.SetSpacing((plane.pixel_spacing[1], plane.pixel_spacing[0], 1))
    axes = np.array([plane.row_direction, plane.column_direction, plane.normal])
    image.SetDirection(axes.T.ravel().tolist())
    if orientation.transposes:
        image = sitk.PermuteAxes(image, [1, 0, 2])
    image = sitk.Flip(image, [orientation.reverses_columns, orientation.reverses_rows, False])

    turned = reorient(plane, orientation)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0], orientation.apply(number))
    np.testing.assert_allclose(image.GetOrigin(), turned.position, rtol=0, atol=1e-9)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    np.testing.assert_allclose(direction[:, 0], turned.row_direction, atol=1e-12)
    np.testing.assert_allclose(direction[:, 1], turned.column_direction, atol=1e-12)
    assert image.GetSpacing()[:2] == turned.pixel_spacing[::-1]


def world_error(plane: Plane, orientation: Orientation) -> float:
    """Largest distance, mm, by which any pixel value moves in the patient."""
    turned = orientation.apply(np.arange(math.prod(plane.shape)).reshape(plane.shape))
    rows, columns = (np.unique(np.linspace(0, n - 1, 33).astype(int)) for n in turned.shape)
    index = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)  # edges included
    after = reorient(plane, orientation).to_patient(index)
    was = np.unravel_index(turned[index[..., 0], index[..., 1]], plane.shape)
    before = plane.to_patient(np.stack(was, axis=-1))
    return float(np.max(np.linalg.norm(after - before, axis=-1)))


@given(some_planes(), st.sampled_from(Orientation))
def test_no_pixel_value_moves_in_the_patient(plane: Plane, orientation: Orientation) -> None:
    assert world_error(plane, orientation) < 1e-9


@needs_data
@pytest.mark.parametrize("series", SERIES)
def test_no_pixel_value_moves_on_real_planes(series: str) -> None:
    worst = max(world_error(p, o) for p in planes(series) for o in Orientation)
    print(f"{series}: {len(planes(series))} planes x 8, world position error {worst:.1e} mm")
    assert worst < 1e-9


def test_the_corners_are_the_centres_of_the_corner_pixels() -> None:
    plane = Plane((0, 0, 0), (1, 0, 0), (0, 1, 0), (2, 3), (4, 5))
    assert plane.corners.tolist() == [[0, 0, 0], [12, 0, 0], [0, 6, 0], [12, 6, 0]]
    assert plane.centre.tolist() == [6, 3, 0]


def test_many_pixels_at_once() -> None:
    grid = np.moveaxis(np.indices(OBLIQUE.shape), 0, -1)
    points = OBLIQUE.to_patient(grid)
    assert points.shape == (5, 3, 3)
    np.testing.assert_allclose(OBLIQUE.to_indices(points), grid, atol=1e-12)
    assert OBLIQUE.distance(points).shape == (5, 3)


@pytest.mark.parametrize("tilt_deg", [0, 0.01, 0.4, 0.6, 30, 90, 150, 180])
def test_the_tilt_between_planes_has_no_front_and_back(tilt_deg: float) -> None:
    angle = math.radians(tilt_deg)
    flat = plane_along([1, 0, 0], [0, 1, 0])
    tilted = plane_along([1, 0, 0], [0, math.cos(angle), math.sin(angle)])
    expected = min(tilt_deg, 180 - tilt_deg)
    assert flat.tilt_deg(tilted) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("row_direction", "column_direction", "letters"),
    [
        ((1, 0, 0), (0, 1, 0), ("L", "P")),  # axial
        ((0, 1, 0), (0, 0, -1), ("P", "F")),  # sagittal
        ((1, 0, 0), (0, 0, -1), ("L", "F")),  # coronal
        ((0.7122, 0.7011, -0.0344), (-0.3077, 0.2678, -0.9130), ("LP", "FRP")),  # a short axis
        ((-1, 0, 0), (0, -1, 0), ("R", "A")),
        ((0.9998, 0, -0.02), (0, 1, 0), ("L", "P")),  # 1 degree is no letter
        ((0, 0, 1), (0, -1, 0), ("H", "A")),
    ],
)
def test_letters_of_the_directions(row_direction, column_direction, letters) -> None:
    assert patient_orientation(plane_along(row_direction, column_direction)) == letters


@given(some_planes(), st.sampled_from(Orientation))
def test_letters_turn_with_the_picture(plane: Plane, orientation: Orientation) -> None:
    opposite = str.maketrans("LRPAHF", "RLAPFH")
    row, column = patient_orientation(plane)
    if orientation.transposes:
        row, column = column, row
    if orientation.reverses_columns:
        row = row.translate(opposite)
    if orientation.reverses_rows:
        column = column.translate(opposite)
    assert patient_orientation(reorient(plane, orientation)) == (row, column)


def test_a_plane_compares_hashes_and_pickles() -> None:
    again = pickle.loads(pickle.dumps(OBLIQUE))
    assert again == OBLIQUE
    assert len({again, OBLIQUE}) == 1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"image_orientation_patient": []}, "ImageOrientationPatient has 0 values"),
        ({"image_orientation_patient": [1, 0, 0]}, "ImageOrientationPatient has 3 values"),
        ({"image_orientation_patient": [1, 0, 0, 0, math.nan, 0]}, "not finite"),
        ({"image_orientation_patient": [0] * 6}, "length 0,"),
        ({"image_orientation_patient": [1.003, 0, 0, 0, 1, 0]}, "row direction .* length 1.003"),
        ({"image_orientation_patient": [1, 0, 0, 0, 0.997, 0]}, "column direction .* 0.997"),
        ({"image_orientation_patient": [1e300, 0, 0, 0, 1, 0]}, "length 1e.300"),
        ({"image_orientation_patient": [1, 0, 0, 0.0025, 1, 0]}, "cosine .* 0.0025"),
        ({"image_orientation_patient": [1, 0, 0, 1, 0, 0]}, "cosine .* is 1,"),
        ({"image_position_patient": [0, 0]}, "ImagePositionPatient has 2 values"),
        ({"image_position_patient": [0, 0, math.inf]}, "not finite"),
        ({"image_position_patient": [0, 0, 2e5]}, "out of the patient"),
        ({"pixel_spacing": [1]}, "PixelSpacing has 1 values"),
        ({"pixel_spacing": [1, 0]}, "PixelSpacing .1, 0. mm"),
        ({"pixel_spacing": [-1, 1]}, "PixelSpacing"),
        ({"pixel_spacing": [math.nan, 1]}, "PixelSpacing .* not finite"),
        ({"rows": 0}, r"Rows and Columns are \(0, 4\)"),
        ({"columns": 65536}, r"Rows and Columns are \(4, 65536\)"),
    ],
)
def test_an_unusable_header_is_refused_with_what_was_found(change, found) -> None:
    with pytest.raises(UnusableGeometry, match=found) as refusal:
        Plane.from_dicom(**(GOOD | change))
    assert "allowed" in str(refusal.value)


def test_cosines_rounded_to_three_decimals_are_taken() -> None:
    rounded = [round(v, 3) for v in (*OBLIQUE.row_direction, *OBLIQUE.column_direction)]
    plane = Plane.from_dicom(**(GOOD | {"image_orientation_patient": rounded}))
    assert plane.row_direction == tuple(rounded[:3])  # as written, not made unit
