from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from cmr_node.errors import RuntimeMissing
from cmr_node.inference.builds import installed_build


def with_packages(*names: str):  # type: ignore[no-untyped-def]
    def version_of(name: str) -> str:
        if name not in names:
            raise PackageNotFoundError(name)
        return "1.31.1"

    return version_of


@pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-gpu"])
def test_one_build_is_found_by_its_name(name: str) -> None:
    assert installed_build(with_packages(name)) == (name, "1.31.1")


def test_no_build_is_an_error_that_names_the_extras() -> None:
    with pytest.raises(RuntimeMissing, match=r"cmr-node\[cpu\].*cmr-node\[gpu\]"):
        installed_build(with_packages())


def test_both_builds_are_an_error_that_names_the_extras() -> None:
    both = with_packages("onnxruntime", "onnxruntime-gpu")
    with pytest.raises(RuntimeMissing, match=r"(?s)uninstall both.*\[cpu\].*\[gpu\]"):
        installed_build(both)


def test_the_parent_of_the_workers_holds_neither_numpy_nor_a_runtime() -> None:
    look = (
        "import sys, cmr_node.commands.work\n"
        "print({'numpy', 'onnxruntime', 'pydicom'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
