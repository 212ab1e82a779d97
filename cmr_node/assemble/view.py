"""Which view of the heart a stack is, from words and geometry.

The promise kept here: words that the geometry contradicts, and the reverse, give no certain
view, and the normal alone never names a long-axis view.

Only the short axis may be told by geometry alone, and only where many parallel slices march
along the usual heart axis: 2CH, 3CH and 4CH are 60 degrees apart while hearts and prescriptions
differ by 20 and more, and a sagittal outflow tract has been called 4CH by its nearest normal.
In the average adult the axial, coronal and sagittal planes lie 49 to 60 degrees off the short
axis, so ``NEAR_DEG`` excludes all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from cmr_node.assemble import words
from cmr_node.assemble.sequence import (
    FAIR,
    PLANNED_ON_THE_HEART,
    STRONG,
    WEAK,
    CardiacSequence,
    Evidence,
)
from cmr_node.dicom.header import Header
from cmr_node.geometry.plane import Plane
from cmr_node.geometry.standard_view import View, tilt_from_nominal_deg

NEAR_DEG: Final = 35.0  # tilt from the nominal plane that supports a view
FAR_DEG: Final = 45.0  # tilt from the nominal plane that contradicts it
STACK_SLICES: Final = 5
STACK_EXTENT: Final = 40.0  # mm; half a ventricle

Verdict = tuple[View, bool, tuple[Evidence, ...]]


def recognise_view(
    sequence: CardiacSequence, headers: Sequence[Header], planes: Sequence[Plane]
) -> Verdict:
    """The view of a stack.

    Parameters
    ----------
    headers
        Those of all its frames.
    planes
        One per slice, parallel, in order along the normal.

    Returns
    -------
    The view (``View.OTHER`` if none can be shown), whether that is certain, and the votes.
    A localizer has no view and that is certain.
    """
    if sequence is CardiacSequence.LOCALIZER:
        return View.OTHER, True, ()
    said = _word_votes(headers)
    named = {vote.speaks_for for vote in said}
    if not named:
        return _by_geometry(sequence, planes)
    if len(named) > 1:
        return View.OTHER, False, said
    name = next(iter(named))
    if name == "long axis":
        # Which of the three is not said; that it is none is the question of the caller.
        return View.OTHER, not _near_short_axis(planes), (*said, *_tilt_vote(View.SAX, planes))
    view = View(name)
    seen = _tilt_vote(view, planes)
    contradicted = any(vote.weight < 0 for vote in seen)
    strong = max(vote.weight for vote in said) >= STRONG
    supported = strong or any(vote.weight > 0 for vote in seen)
    return view, supported and not contradicted, (*said, *seen)


def contradicts(plane: Plane, view: View) -> bool:
    """Whether a plane lies too far from where it usually does to be taken for the view."""
    return any(vote.weight < 0 for vote in _tilt_vote(view, [plane]))


def view_by_words(sequence: CardiacSequence, headers: Sequence[Header]) -> Verdict:
    """As ``recognise_view``, of images whose place in the patient is not known."""
    if sequence is CardiacSequence.LOCALIZER:
        return View.OTHER, True, ()
    said = _word_votes(headers)
    named = {vote.speaks_for for vote in said}
    if len(named) != 1 or named == {"long axis"}:
        return View.OTHER, False, said
    return View(next(iter(named))), max(vote.weight for vote in said) >= STRONG, said


def _word_votes(headers: Sequence[Header]) -> tuple[Evidence, ...]:
    for keyword, weight in (("SeriesDescription", STRONG), ("ProtocolName", WEAK)):
        texts = sorted({header.text(keyword) for header in headers})
        found = dict.fromkeys(meaning for text in texts for meaning in words.view_words(text))
        if found:
            return tuple(Evidence(keyword, word, view, weight) for view, word in found)
    return ()


def _by_geometry(sequence: CardiacSequence, planes: Sequence[Plane]) -> Verdict:
    votes = _tilt_vote(View.SAX, planes)
    extent = float(np.ptp(planes[0].distance([plane.position for plane in planes])))
    # Positions are rounded as they are written: five slices 10 mm apart may span 39.9999 mm.
    stacked = len(planes) >= STACK_SLICES and round(extent, 1) >= STACK_EXTENT
    if not (stacked and _near_short_axis(planes) and sequence in PLANNED_ON_THE_HEART):
        nothing = Evidence("SeriesDescription", "names no view", View.OTHER, WEAK)
        return View.OTHER, False, (nothing, *votes)
    value = f"{len(planes)} parallel slices over {extent:.0f} mm"
    return View.SAX, True, (Evidence("positions", value, View.SAX, FAIR), *votes)


def _near_short_axis(planes: Sequence[Plane]) -> bool:
    return any(vote.weight > 0 for vote in _tilt_vote(View.SAX, planes))


def _tilt_vote(view: View, planes: Sequence[Plane]) -> tuple[Evidence, ...]:
    tilt_deg = tilt_from_nominal_deg(planes[len(planes) // 2], view)
    if tilt_deg is None:
        return ()
    weight = WEAK if tilt_deg <= NEAR_DEG else -STRONG if tilt_deg > FAR_DEG else 0
    value = f"{tilt_deg:.0f} deg from the usual {view} plane"
    return (Evidence("ImageOrientationPatient", value, view, weight),)
