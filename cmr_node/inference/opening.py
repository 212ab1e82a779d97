"""Which network this node runs, opened once for each process.

The promise kept here: a network that was named is there and sound, or nothing starts.  Only the
shipped one may be absent (a checkout before its weights are made): then the header decides
alone, and whoever starts says so in the words of ``told``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from cmr_node.errors import BadWeights
from cmr_node.inference.card import shipped_folder, weights_folder
from cmr_node.inference.predict import Network
from cmr_node.inference.recognition import Image, NetworkEvidence, Recogniser
from cmr_node.inference.runtime import Session, open_network
from cmr_node.settings import Inference

SHIPPED_NETWORK: Final = "cmr-multitask"
NO_NETWORK: Final = "none"


def chosen_folder(inference: Inference) -> Path | None:
    """The weights folder that the settings mean; None for the header alone.

    Raises
    ------
    BadWeights
        A network was named, and there is none.
    """
    if inference.network == NO_NETWORK:
        return None
    if inference.network:
        return weights_folder(inference.network)
    return shipped_folder(SHIPPED_NETWORK)


def open_session(inference: Inference, processes: int = 1) -> Session | None:
    """The network the settings mean, opened; None for the header alone.

    Parameters
    ----------
    processes
        How many of this host run it at once: they share the cores.

    Raises
    ------
    ConfigurationError
        The network that was named, its file or its device cannot be used.
    """
    folder = chosen_folder(inference)
    if folder is None:
        return None
    return open_network(folder, inference.device, threads_of(inference, processes), inference.batch)


def recogniser_of(session: Session | None) -> Recogniser | None:
    """What asks an open network; None if there is none."""
    return Network(session.run, session.card).recognise if session else None


def threads_of(inference: Inference, processes: int) -> int:
    """Cores for one of so many processes: as set, or its share of those this one may use."""
    return inference.threads or max(1, len(os.sched_getaffinity(0)) // processes)


def is_missing(inference: Inference, session: Session | None) -> bool:
    """Whether a network is wanted and none is there, which only the shipped one may be."""
    return session is None and inference.network != NO_NETWORK


def told(inference: Inference, session: Session | None) -> str:
    """One line for whoever starts: which network runs on what, or that there is none."""
    if session is not None:
        card = session.card
        return f"network {card.name} {card.version}, SHA-256 {session.digest}, {session.provider}"
    alone = "the header and crossing slices decide alone"
    if is_missing(inference, session):
        return f"no network is installed ({SHIPPED_NETWORK} does not come with this build): {alone}"
    return f'inference.network is "{NO_NETWORK}": {alone}'


@dataclass(frozen=True, slots=True)
class OpenedInEachProcess:
    """A recogniser that can be handed to other processes: each opens the network once.

    digest
        That of the network as it was opened first; another one later is refused.
    """

    inference: Inference
    processes: int
    digest: str

    def __call__(
        self, images: Sequence[Image], pixel_spacing: tuple[float, float]
    ) -> NetworkEvidence:
        """Ask the network of this process."""
        return _opened(self)(images, pixel_spacing)


@cache
def _opened(one: OpenedInEachProcess) -> Recogniser:
    session = open_session(one.inference, one.processes)
    recognise = recogniser_of(session)
    if session is None or recognise is None or session.digest != one.digest:
        raise BadWeights("the weights of the network were changed while the run was going on")
    return recognise
