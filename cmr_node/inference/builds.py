"""Which build of ONNX Runtime is installed, found out without loading it.

The promise kept here: a worker starts with exactly one build or not at all.  The CPU and the GPU
build are two packages that write into one folder: installed together they overwrite each other,
and which of them runs is luck.  Who only asks this pays for nothing else in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

from cmr_node.errors import RuntimeMissing

BUILDS = {"onnxruntime": "cpu", "onnxruntime-gpu": "gpu"}
"""Package -> the extra of cmr-node that installs it."""


def installed_build(version_of: Callable[[str], str] = metadata.version) -> tuple[str, str]:
    """The package name and version of the one ONNX Runtime that is installed.

    Raises
    ------
    RuntimeMissing
        None is installed, or both are; the message names the extras.
    """
    found = {}
    for package in BUILDS:
        try:
            found[package] = version_of(package)
        except metadata.PackageNotFoundError:
            continue
    if not found:
        raise RuntimeMissing(
            "ONNX Runtime is not installed; install cmr-node[cpu], or cmr-node[gpu] where CUDA is"
        )
    if len(found) > 1:
        listed = " and ".join(f"{package} {version}" for package, version in found.items())
        raise RuntimeMissing(
            f"{listed} are installed over each other; uninstall both, then install cmr-node[cpu] "
            "or cmr-node[gpu], not both"
        )
    return next(iter(found.items()))
