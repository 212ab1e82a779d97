"""What a picture can show, as far as a network is taught to tell."""

from __future__ import annotations

from enum import StrEnum


class PictureKind(StrEnum):
    """The closed list, in the order of the network's output ``kind``."""

    SHORT_AXIS = "short_axis"  #: of the ventricles, between mitral ring and apex
    ABOVE_BASE = "above_base"  #: parallel to it, through atria and great vessels
    BELOW_APEX = "below_apex"  #: parallel to it, past the end of the left ventricle
    LONG_AXIS = "long_axis"  #: two, three or four chambers
    OTHER = "other"  #: localizers, other parts of the body, test objects, noise
