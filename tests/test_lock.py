from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("extra", ["cpu", "gpu"])
def test_the_lock_holds_every_dependency_at_an_allowed_version_with_hashes(extra: str) -> None:
    text = (TOP / "deploy" / f"requirements-{extra}.lock").read_text()
    locked: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", text, re.MULTILINE):
        locked.setdefault(canonicalize_name(name), []).append(version)
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, wanted):
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is not in the lock"
        assert all(requirement.specifier.contains(version) for version in versions)
    assert text.count("--hash=sha256:") >= len(locked)


@pytest.mark.parametrize("extra", ["cpu", "gpu"])
def test_the_lock_names_no_registry(extra: str) -> None:
    text = (TOP / "deploy" / f"requirements-{extra}.lock").read_text()
    assert "://" not in text
    assert "index-url" not in text
