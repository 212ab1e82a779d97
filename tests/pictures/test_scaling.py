import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from matplotlib import image

from cmr_node.pictures.grey_png import LEVELS, grey_png
from cmr_node.pictures.scaling import at_most, scaled

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(5, 7), (40, 63), (80, 7), (1, 1)])
def test_an_even_picture_stays_even(shape):
    np.testing.assert_allclose(scaled(np.full((20, 21), 0.3), *shape), np.full(shape, 0.3))


@pytest.mark.parametrize("shape", [(11, 13), (50, 47), (120, 160)])
def test_nothing_moves(shape):
    rows, columns = np.mgrid[:48, :64]
    spot = np.exp(-((rows - 14.5) ** 2 + (columns - 40.5) ** 2) / 60)
    drawn = scaled(spot, *shape)
    along, across = np.mgrid[: shape[0], : shape[1]]
    middle = [float((drawn * (at + 0.5)).sum() / drawn.sum()) for at in (along, across)]
    assert middle == pytest.approx([15 * shape[0] / 48, 41 * shape[1] / 64], rel=0.01)


def test_the_same_size_is_the_same_picture():
    shares = RANDOM.random((9, 12))
    np.testing.assert_allclose(scaled(shares, 9, 12), shares, atol=1e-12)


def test_fine_stripes_fade_instead_of_turning_into_coarse_ones():
    stripes = np.tile([0.0, 1.0], (10, 300))
    assert np.ptp(scaled(stripes, 10, 47)[:, 2:-2]) < 0.1


def test_a_small_picture_is_not_touched_and_a_large_one_keeps_its_shape():
    shares = RANDOM.random((30, 40))
    assert at_most(shares, 40) is shares
    assert at_most(shares, 20).shape == (15, 20)
    assert at_most(RANDOM.random((1, 4000)), 100).shape == (1, 100)


def test_a_png_holds_the_greys_and_nothing_about_who_wrote_it():
    shares = RANDOM.random((13, 17))
    data = grey_png(shares)
    np.testing.assert_allclose(image.imread(BytesIO(data)), shares, atol=0.6 / (LEVELS - 1) + 1e-3)
    names, place = [], 8
    while place < len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        names.append(data[place + 4 : place + 8])
        (sum_,) = struct.unpack(">I", data[place + 8 + size : place + 12 + size])
        assert sum_ == zlib.crc32(data[place + 4 : place + 8 + size])
        place += 12 + size
    assert names == [b"IHDR", b"IDAT", b"IEND"]
