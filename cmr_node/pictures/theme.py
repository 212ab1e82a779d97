"""How all sheets look: dark, as a reading room is.

The promise kept here: a decision is told by word, sign and colour.  The colours are those of
Okabe and Ito (2008), which people with any colour vision tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from cmr_node.pictures.picture import Decision

GROUND, CARD, INK, FAINT, MARK = "#14171c", "#1e232b", "#e8eaed", "#a9b0b8", "#f2c14e"


@dataclass(frozen=True, slots=True)
class Badge:
    """The sign before a decision's word, and its colour, on which dark letters are legible."""

    sign: str
    colour: str


BADGES: dict[Decision, Badge] = {
    "act": Badge("→", "#56b4e9"),
    "leave": Badge("=", "#b4bac2"),
    "ask": Badge("?", "#f0a30a"),
    "refused": Badge("×", "#ff7a45"),
}
"""In the order in which they are counted."""
