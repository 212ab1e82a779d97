"""The queue for the length of a command."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cmr_node.jobs.queue import Jobs
from cmr_node.settings import Settings


@contextlib.contextmanager
def open_jobs(settings: Settings) -> Iterator[Jobs]:
    """The queue, closed at the end."""
    jobs = Jobs.open(settings.storage.queue_url)
    try:
        yield jobs
    finally:
        jobs.close()
