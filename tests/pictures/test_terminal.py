import re

import numpy as np

from cmr_node.pictures.terminal import terminal_picture


def test_a_terminal_picture_is_dark_where_the_image_is_and_ends_each_line_clean():
    pixels = np.zeros((40, 60))
    pixels[:, 30:] = 500
    lines = terminal_picture(pixels, columns=30).split("\n")
    assert len(lines) == 10
    for line in lines:
        assert line.endswith("\x1b[0m")
        greys = [int(g) for g in re.findall(r"38;5;(\d+);", line)]
        assert len(greys) == 30
        assert greys[:13] == [232] * 13
        assert greys[-13:] == [255] * 13


def test_a_terminal_picture_keeps_the_shape_in_mm():
    assert len(terminal_picture(np.zeros((40, 60)), 30, spacing_ratio=2.0).split("\n")) == 20
