"""What every test starts from: no settings of the person who runs them."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CMR_NODE_")]:
        monkeypatch.delenv(name)
