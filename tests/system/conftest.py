"""No network, unless a test asks for one: most pictures sent here show no heart, and what is tested
is the way they go.  ``tests/inference/test_shipped`` runs the shipped network.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

NETWORK = "CMR_NODE_INFERENCE_NETWORK"


@pytest.fixture(scope="package", autouse=True)
def _no_network_for_what_a_module_prepares() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(NETWORK, "none")
        yield


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NETWORK, "none")
