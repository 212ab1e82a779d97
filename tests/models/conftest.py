"""Real patients, where they lie beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.geometry.real_slices import DATA


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data."""
    if not DATA.is_dir():
        pytest.skip("no real data beside the checkout")
    return DATA
