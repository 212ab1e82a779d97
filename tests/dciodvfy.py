"""dciodvfy of dicom3tools, to compare what it says of a derived object with its source."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

import pytest

needs_dciodvfy = pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed"
)

#: Standard: "may be present otherwise" for images that are not ORIGINAL; dciodvfy of 2022 differs.
ENHANCED_DERIVED = re.compile(
    r"Attribute present when condition unsatisfied \(which may not be present otherwise\) "
    r"for Type [12]C Conditional - Module=<(MRPulseSequence|CardiacSynchronization)>"
)


def complaints(path: Path) -> set[str]:
    """The kinds of Error and Warning in a file: attribute and wording, values left out."""
    done = subprocess.run(
        ["dciodvfy", "-new", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith(("Error", "Warning"))]
    return {_kind(line) for line in lines}


def new_errors(derived: Path, source: Path, allowed: Collection[re.Pattern[str]] = ()) -> set[str]:
    """Errors of the derived object whose kind the source does not show."""
    known = {_place_apart(kind) for kind in complaints(source)}
    return {
        kind
        for kind in complaints(derived)
        if kind.startswith("Error")
        and _place_apart(kind) not in known
        and not any(pattern.search(kind) for pattern in allowed)
    }


def _kind(line: str) -> str:
    return re.sub(r"= <[^>]*>", "", re.sub(r"\[\d+\]", "", line))


def _place_apart(kind: str) -> str:
    """An attribute's last keyword and the wording: the same fault, copied to another place.

    A reference to the source repeats the fault of its SOP Instance UID.
    """
    return re.sub(r"<(/[^>]*)?/(Referenced)?(\w+)\([0-9a-f,]+\)[^>]*>", r"<\3>", kind)
