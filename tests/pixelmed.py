"""PixelMed's validator of structured reports (Debian: pixelmed-apps)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

needs_pixelmed = pytest.mark.skipif(
    shutil.which("DicomSRValidator") is None, reason="DicomSRValidator (PixelMed) is not installed"
)

_UNLIMITED = " ".join(
    f"-Djdk.xml.xpath{limit}=0" for limit in ("ExprGrpLimit", "ExprOpLimit", "TotalOpLimit")
)
"""Its rules are larger than Java's XPath allows by default."""

#: A TID 1501 group is read as TID 1411, which must show a region, a segment or a surface.
READ_AS_1411 = re.compile(
    r"Template 1411 .*\[Row (5|7|10)\] (SCOORD|IMAGE|SCOORD3D) .*: "
    r"within 1\.\d+\.(?P<group>\d+): .*"
    r"Missing conditional content item$"
)


def sr_errors(path: Path) -> list[str]:
    """Its errors, as it words them; it must have known the template."""
    done = subprocess.run(
        ["DicomSRValidator", str(path)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=os.environ | {"JAVA_TOOL_OPTIONS": _UNLIMITED},
    )
    said = (done.stdout + done.stderr).splitlines()
    assert any("Found Root Template TID_1500" in line for line in said), said
    return [line for line in said if line.startswith("Error")]
