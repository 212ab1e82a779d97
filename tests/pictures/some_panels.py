"""Panels of all kinds, made as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cmr_node.pictures.picture import Panel, Picture

RAMP = np.linspace(0, 1000, 24 * 32).reshape(24, 32)
KINDS = ("act", "leave", "ask", "refused")
REASON = "The header shows the sax view stored rot90cw (2.3 deg off); rot90ccw undoes it."


def some_panels(count: int, pixels: np.ndarray = RAMP) -> Iterator[Panel]:
    """Act, leave, ask, refused, act ...; every eighth has no picture."""
    for number in range(count):
        decision = KINDS[number % 4]
        before = Picture(pixels + number, (1.5, 1.0), "L", "F")
        after = Picture(pixels.T + number, (1.0, 1.5), "F", "L") if decision == "act" else None
        yield Panel(f"{number}", REASON, before if number % 8 < 7 else None, after, decision)


class Watched:
    """Panels, of which it is known how many were asked for; ``then`` is raised after the last."""

    def __init__(self, count: int, then: BaseException | None = None) -> None:
        self.asked = 0
        self._panels, self._then = some_panels(count), then

    def __iter__(self) -> Iterator[Panel]:
        for panel in self._panels:
            self.asked += 1
            yield panel
        if self._then:
            raise self._then
