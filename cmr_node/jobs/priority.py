"""Which job goes first; apart from the engine, so that whoever submits need not load it."""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """Smaller goes first; within one priority about first come, first served."""

    URGENT = 1
    NORMAL = 5
    LOW = 9
