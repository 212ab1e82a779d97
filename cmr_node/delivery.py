"""How results reach a destination: attempt, wait, attempt again, give up.

The promise kept here: what was handed to delivery is sent until the peer has it, the peer has
refused it for good, or ``deliver.give_up_after`` is over; then it is a dead letter that
``retry`` revives.  An attempt that dies in the middle is made again; the peer then meets the
same UIDs with the same bytes, so it holds each object once.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from cmr_node.errors import NodeError
from cmr_node.settings import Deliver, Peer
from cmr_node.store.ledger import DueDelivery, ItemOutcome, Ledger
from cmr_node.store.tables import DeliveryState, ItemState

logger = logging.getLogger(__name__)

RECORDED_AT_ONCE = 50
"""Outcomes written in one transaction; a crash repeats at most so many transfers."""


@dataclass(frozen=True, slots=True)
class Next:
    """What follows an attempt."""

    state: DeliveryState
    failures: int
    at: datetime


def wait_after(failures: int, clocks: Deliver, key: str) -> timedelta:
    """How long to wait after the ``failures``-th failure in a row (1 for the first).

    ``retry_first``, doubled each time up to ``retry_cap``, give or take ``retry_jitter``.  The
    jitter follows from ``key``, so deliveries that failed together do not return together,
    and a repeated decision is the same decision.
    """
    wait = min(clocks.retry_first * 2.0 ** min(failures - 1, 63), clocks.retry_cap)
    digest = hashlib.sha256(f"{key}/{failures}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**63 - 1  # -1 to 1
    return timedelta(seconds=wait * (1 + clocks.retry_jitter * share))


def what_next(
    due: DueDelivery, pending: int, refused: int, progress: bool, clocks: Deliver, now: datetime
) -> Next:
    """Decide after an attempt.

    Parameters
    ----------
    pending, refused
        Instances not confirmed yet, and instances refused for good.
    progress
        Whether the attempt got anything through; it then starts the waits anew.
    """
    if not pending:
        state = DeliveryState.DEAD if refused else DeliveryState.DELIVERED
        return Next(state, due.failures, now)
    failures = 1 if progress else due.failures + 1
    if now - due.since >= timedelta(seconds=clocks.give_up_after):
        return Next(DeliveryState.DEAD, failures, now)
    key = f"{due.study_instance_uid}/{due.destination}"
    return Next(DeliveryState.PENDING, failures, now + wait_after(failures, clocks, key))
