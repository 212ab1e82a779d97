"""From an image as stored to what the networks look at: one grid, one grey scale.

The promise kept here: training and the service show a network the same picture, because both
come through here, and nothing outside the middle of the picture sets its grey scale.  Scanners
draw frames (black corners, bowed borders, colour bars) that a network could take for a sign of
the orientation; percentiles taken over a disc round the middle do not see them.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cmr_node.errors import BadInstance

Picture = npt.NDArray[np.float32]

SIZE: Final = 128  #: rows and columns of what a network is shown
CLIP: Final = (1.0, 99.0)  #: percentiles, over the disc
DISC: Final = 0.375  #: radius, as a share of SIZE
SHAPES: Final = (16, 4096)  #: rows and columns that are looked at
SPACINGS: Final = (0.2, 6.0)  #: mm


def checked(image: npt.NDArray[np.generic], pixel_spacing: tuple[float, float]) -> Picture:
    """``image`` as float32, if a network can make anything of it.

    Raises
    ------
    BadInstance
        Not two-dimensional, too small or too large, spaced absurdly, not finite, or constant;
        the message names what was found and what is allowed.
    """
    if image.ndim != 2 or not all(SHAPES[0] <= size <= SHAPES[1] for size in image.shape):
        raise BadInstance(
            f"a picture of {' x '.join(map(str, image.shape))} pixels is not looked at, allowed "
            f"are {SHAPES[0]} to {SHAPES[1]} rows and columns"
        )
    if not all(SPACINGS[0] <= spacing <= SPACINGS[1] for spacing in pixel_spacing):
        raise BadInstance(
            f"pixels spaced {pixel_spacing[0]:g} x {pixel_spacing[1]:g} mm are not looked at, "
            f"allowed are {SPACINGS[0]:g} to {SPACINGS[1]:g} mm"
        )
    picture = image.astype(np.float32)
    if not np.isfinite(picture).all():
        raise BadInstance("a picture holds values that are no numbers (NaN or infinite)")
    if picture.min() == picture.max():
        raise BadInstance("all pixels of a picture have one value")
    return picture


def resampled(
    picture: Picture,
    pixel_spacing: tuple[float, float],
    spacing: float,
    centre: tuple[float, float] | None = None,
) -> Picture:
    """(SIZE, SIZE) pixels of ``spacing`` mm round ``centre``, zero outside the picture.

    Parameters
    ----------
    pixel_spacing
        (between rows, between columns) of ``picture``, mm.
    centre
        (row, column) in pixels of ``picture``; None for its middle.
    """
    steps = np.array([spacing / pixel_spacing[0], spacing / pixel_spacing[1]])
    # What the coarser grid cannot show is smoothed away first; it would come back as patterns.
    blur = [0.35 * step if step > 1.2 else 0.0 for step in steps]
    smooth = ndimage.gaussian_filter(picture, blur) if any(blur) else picture
    corner = _corner(picture.shape, steps, centre)
    return np.asarray(
        ndimage.affine_transform(
            smooth, steps, corner, (SIZE, SIZE), order=1, mode="constant", cval=0.0
        ),
        np.float32,
    )


def returned(
    values: Picture,
    shape: tuple[int, int],
    pixel_spacing: tuple[float, float],
    spacing: float,
    centre: tuple[float, float] | None = None,
) -> Picture:
    """The way back: (channels, SIZE, SIZE) on the grid of the stored image, zero outside."""
    steps = np.array([spacing / pixel_spacing[0], spacing / pixel_spacing[1]])
    corner = _corner(shape, steps, centre)
    inverse = 1 / steps
    out = np.empty((len(values), *shape), np.float32)
    for channel, one in zip(out, values, strict=True):
        ndimage.affine_transform(
            one, inverse, -corner * inverse, shape, output=channel, order=1, mode="constant"
        )
    return out


def normalised(picture: Picture) -> Picture:
    """(SIZE, SIZE) clipped to percentiles and brought to mean 0 and sd 1, both over the disc."""
    inside = picture[disc()]
    low, high = np.percentile(inside, CLIP)
    clipped = np.clip(picture, low, high)
    inside = clipped[disc()]
    return np.asarray((clipped - inside.mean()) / (inside.std() + 1e-6), np.float32)


@cache
def disc() -> npt.NDArray[np.bool_]:
    """(SIZE, SIZE): the disc round the middle that sets the grey scale."""
    rows, columns = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    return np.asarray(np.hypot(rows, columns) <= DISC * SIZE)


def _corner(
    shape: tuple[int, ...], steps: npt.NDArray[np.float64], centre: tuple[float, float] | None
) -> npt.NDArray[np.float64]:
    """Where the first pixel of the network's grid lies, in pixels of the stored image."""
    middle = (np.array(shape) - 1) / 2 if centre is None else np.array(centre)
    return np.asarray(middle - steps * (SIZE - 1) / 2)
