"""ONNX Runtime, the one door to it.

The promise kept here: a worker starts with exactly one build of ONNX Runtime, on the device it
was told, with the very bytes that the card vouches for, or not at all; and no answer leaves
that is none.

    1. one build is installed (``builds``)
    2. the card is read, then the file, once: these bytes are hashed, looked through
       (``onnx_file``) and handed over, so what was checked is what runs
    3. the provider that runs is the one asked for: the runtime falls back to the CPU without an
       error, also after a fault in the middle of a run, which is switched off
    4. inputs, outputs and a first run are as ``contract`` says

Memory: with the arena and without planned patterns a U-Net of 0.5 million weights took 180 MB
above its load at batches of up to 16 (17.4 ms a picture on one core); with patterns, which are
kept for every size of batch met, 428 MB (17.3 ms); without the arena 130 MB at rest, 310 at its
peak, and 19 to 22 ms.  Waiting threads sleep: they share the cores with the door in.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np

from cmr_node.errors import BadInference, BadWeights, InferenceFailed, RuntimeMissing
from cmr_node.inference.builds import installed_build
from cmr_node.inference.card import Card, read_card
from cmr_node.inference.contract import INPUT, check_ends, check_probabilities, checked, shapes
from cmr_node.inference.network_outputs import Floats, Images, Outputs
from cmr_node.inference.onnx_file import check_self_contained
from cmr_node.telemetry import INFERENCE_SECONDS

logger = logging.getLogger(__name__)

Device = Literal["cpu", "cuda"]

PROVIDERS: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
MAX_BYTES: Final = 256 << 20
BATCH: Final = 16
NO_MEMORY: Final = (
    "bad_alloc", "failed to allocate memory", "out of memory", "available memory of", "alloc_failed"
)  # fmt: skip
"""Words of the allocators of CPU, CUDA, cuDNN and cuBLAS; the type of the error does not tell."""

ONNX_RUNTIME_ERRORS: Final = (
    "EngineError", "EPFail", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf",
    "ModelLoaded", "NoModel", "NoSuchFile", "NotImplemented", "RuntimeException",
)  # fmt: skip


class Runner(Protocol):
    """What is used of ``onnxruntime.InferenceSession``."""

    def run(self, names: Sequence[str] | None, feeds: dict[str, Images]) -> Sequence[Any]:
        """The outputs of these names."""


def open_network(folder: Path, device: Device, threads: int, batch: int = BATCH) -> Session:
    """Open the network in a weights folder.

    Parameters
    ----------
    threads
        Cores that one run may use.
    batch
        Pictures in one run of the network at most.

    Raises
    ------
    BadWeights
        Card or file are absent, damaged or foreign, or the file is not that of the card.
    RuntimeMissing
        There is no runtime, or none for the device.
    """
    package, version = installed_build()
    card = read_card(folder)
    path = folder / card.file
    data = _bytes_of(path)
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256:
        raise BadWeights(
            f"{path} has SHA-256 {digest}, its card says {card.sha256}: it is damaged, or not the "
            "file of this card"
        )
    try:
        check_self_contained(data)
        library = importlib.import_module("onnxruntime")  # late: it may not be installed
        runner = _runner(library, data, device, threads, f"{package} {version}")
        check_ends(runner, card.preprocessing.size)
        session = Session(runner, card, digest, runner.get_providers()[0], batch, _faults(library))
        _first_run(session)
    except (BadWeights, BadInference) as error:
        raise BadWeights(f"{path}: {error}") from error
    return session


class Session:
    """An open network; ``run`` is a ``network_outputs.Forward``.

    card, digest, provider
        What it says of itself, the SHA-256 of its file, and what of the runtime carries it out.
    """

    def __init__(
        self,
        runner: Runner,
        card: Card,
        digest: str,
        provider: str,
        batch: int = BATCH,
        faults: tuple[type[Exception], ...] = (RuntimeError, MemoryError),
    ) -> None:
        self.card, self.digest, self.provider = card, digest, provider
        self._runner, self._batch, self._faults = runner, batch, faults

    def run(self, images: Images) -> Outputs:
        """The answer on any number of pictures, a batch at a time.

        Raises
        ------
        BadInference
            An answer has a wrong shape, or values that are not finite.
        InferenceFailed
            The runtime failed, or has no memory for one picture.
        """
        size = self.card.preprocessing.size
        if images.dtype != np.float32 or images.shape[1:] != (1, size, size) or not len(images):
            raise ValueError(
                f"{images.dtype} {images.shape}; allowed: float32 (1 or more, 1, {size}, {size})"
            )
        parts: list[list[Floats]] = []
        at = 0
        while at < len(images):
            part = images[at : at + self._batch]
            began = time.perf_counter()
            found = self._answer(np.ascontiguousarray(part))
            if found is not None:
                INFERENCE_SECONDS.observe(time.perf_counter() - began)
                parts.append(checked(found, len(part), size))
                at += len(part)
        return Outputs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def _answer(self, part: Images) -> Sequence[Any] | None:
        """The answer on one batch; None if memory was short and batches are smaller from now on."""
        try:
            return self._runner.run(list(shapes(1)), {INPUT: part})
        except self._faults as error:
            if not _is_short_of_memory(error):
                raise InferenceFailed(f"{self.card.name} on {self.provider}: {error}") from error
            if len(part) == 1:
                raise InferenceFailed(
                    f"{self.card.name} on {self.provider} has no memory for one picture"
                ) from error
            self._batch = len(part) // 2
            logger.warning(
                "no memory for %d pictures at once; %d from now on", len(part), self._batch
            )
            return None


def _is_short_of_memory(error: BaseException | None) -> bool:
    told = str(error).lower()
    return isinstance(error, MemoryError) or any(words in told for words in NO_MEMORY)


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise BadWeights(f"{path} is larger than {MAX_BYTES} bytes, the most that is allowed")
    return data


def _faults(library: Any) -> tuple[type[Exception], ...]:
    """Everything ONNX Runtime raises: classes of no common base, some of them Python's."""
    module = library.capi.onnxruntime_pybind11_state
    own = (getattr(module, name, RuntimeError) for name in ONNX_RUNTIME_ERRORS)
    return (*dict.fromkeys(own), RuntimeError, ValueError, MemoryError)


def _runner(library: Any, data: bytes, device: Device, threads: int, build: str) -> Any:
    provider = PROVIDERS[device]
    available = library.get_available_providers()
    if provider not in available:
        raise RuntimeMissing(
            f'inference.device = "{device}", and {build} has {", ".join(available)} alone; '
            f'install cmr-node[gpu], or set inference.device = "cpu"'
        )
    library.disable_telemetry_events()
    options = library.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = library.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena, options.enable_mem_pattern = True, False
    options.log_severity_level = 4  # what it would say is raised as well
    try:
        runner = library.InferenceSession(data, options, providers=[provider], enable_fallback=0)
    except _faults(library) as error:
        raise BadWeights(f"ONNX Runtime does not take it: {error}") from error
    runs_on = runner.get_providers()[0]
    if runs_on != provider:
        raise RuntimeMissing(
            f'inference.device = "{device}", and ONNX Runtime fell back to {runs_on}: '
            f"CUDA or cuDNN of this host are not those of {build}; mend them, or set "
            'inference.device = "cpu"'
        )
    return runner


def _first_run(session: Session) -> None:
    """Raise unless two pictures, a ramp down and one to the right, are answered as they must be."""
    size = session.card.preprocessing.size
    ramp = np.linspace(0, 1, size * size, dtype=np.float32).reshape(1, 1, size, size)
    try:
        outputs = session.run(np.concatenate([ramp, ramp.swapaxes(2, 3)]))
    except InferenceFailed as error:
        if _is_short_of_memory(error.__cause__):
            raise
        raise BadWeights(f"its first run failed: {error}") from error
    check_probabilities(outputs)
