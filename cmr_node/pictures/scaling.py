"""Grey pictures made larger or smaller.

The promise kept here: nothing moves.  The edges of the result are those of the input, whatever
the two grids, and fine structures of a large picture fade instead of turning into patterns.
"""

from __future__ import annotations

import numpy as np

from cmr_node.pictures.picture import Shares


def scaled(shares: Shares, rows: int, columns: int) -> Shares:
    """``shares`` on (rows, columns) pixels, cubic (Keys 1981, a = -0.5), still 0 to 1.

    Where the grid gets coarser the kernel is widened to one new pixel, so that all old ones count.
    """
    along, across = _weights(shares.shape[0], rows), _weights(shares.shape[1], columns)
    return np.clip(along @ shares @ across.T, 0.0, 1.0)


def at_most(shares: Shares, longest: int) -> Shares:
    """``shares`` with no more than ``longest`` pixels on a side, and not touched if it has."""
    factor = longest / max(shares.shape)
    if factor >= 1:
        return shares
    rows, columns = (max(1, round(size * factor)) for size in shares.shape)
    return scaled(shares, rows, columns)


def _weights(size: int, count: int) -> Shares:
    """(count, size): the part of each old pixel in each new one; rows sum to 1."""
    centres = (np.arange(count) + 0.5) * size / count - 0.5
    away = np.abs(centres[:, None] - np.arange(size)) / max(1.0, size / count)
    near = (1.5 * away - 2.5) * away**2 + 1
    far = ((-0.5 * away + 2.5) * away - 4) * away + 2
    weights = np.where(away < 1, near, np.where(away < 2, far, 0.0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)
