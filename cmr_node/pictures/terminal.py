"""A picture for a terminal.

The promise kept here: every line ends with a reset, so nothing after it is coloured.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from cmr_node.pictures.picture import Image, grey, grey_window


def terminal_picture(pixels: Image, columns: int = 48, spacing_ratio: float = 1.0) -> str:
    """A small grey picture for a terminal with 256 colours.

    Parameters
    ----------
    pixels
        (rows, columns).
    columns
        Width in characters; a character shows two pixels, one above the other.
    spacing_ratio
        Distance between rows divided by that between columns.

    Returns
    -------
    Lines of upper half blocks with ANSI colour codes, each ending with a reset.
    """
    rows = max(1, round(columns * pixels.shape[0] * spacing_ratio / pixels.shape[1] / 2))
    step = np.array(pixels.shape) / (2 * rows, columns)
    shares = gaussian_filter(grey(pixels, grey_window(pixels)), np.maximum(step - 1, 0) / 2)
    places = [
        ((np.arange(count) + 0.5) * size / count).astype(int)
        for count, size in zip((2 * rows, columns), pixels.shape, strict=True)
    ]
    greys = 232 + np.rint(23 * shares[np.ix_(*places)]).astype(int)  # the 24 of the 256 colours
    return "\n".join(
        "".join(f"\x1b[38;5;{a};48;5;{b}m▀" for a, b in zip(upper, lower, strict=True)) + "\x1b[0m"
        for upper, lower in zip(greys[0::2], greys[1::2], strict=True)
    )
