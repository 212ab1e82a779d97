"""``cmr-node assemble``: the watch for complete studies alone."""

from __future__ import annotations

import argparse
import logging

from cmr_node.assemble.watcher import Watcher
from cmr_node.commands.arguments import Commands, add_command
from cmr_node.commands.queue import open_jobs
from cmr_node.commands.running import health_page, only_one, open_database, until_told
from cmr_node.jobs.keys import study_key
from cmr_node.jobs.queue import JSON, Kind, Priority
from cmr_node.settings import Settings
from cmr_node.store.disk import Disk, DiskState
from cmr_node.store.index import Index

logger = logging.getLogger(__name__)

STATE_IN_WORDS = {
    DiskState.OK: "%d bytes are free: new work is started again",
    DiskState.SOFT: "%d bytes are free, less than storage.soft_free_bytes: no new work is started",
    DiskState.HARD: "%d bytes are free, less than storage.hard_free_bytes: nothing is received",
}


class RoomForWork:
    """Whether the disk has room for new work; the log is told when that changes."""

    def __init__(self, disk: Disk) -> None:
        self._disk, self._last = disk, DiskState.OK

    def __call__(self) -> bool:
        """Ask the disk.

        Raises
        ------
        StoreBroken
            The file system cannot be asked.
        """
        state = self._disk.state()
        if state is not self._last:
            logger.warning(STATE_IN_WORDS[state], self._disk.free_bytes())
            self._last = state
        return state is DiskState.OK


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    add_command(
        commands,
        "assemble",
        assemble,
        "Run the watch for complete studies alone; one for each node.",
        "  cmr-node assemble",
    )


def assemble(arguments: argparse.Namespace, settings: Settings) -> int:
    """Watch for complete studies until SIGTERM."""
    with until_told() as stop, open_database(settings) as database, open_jobs(settings) as jobs:
        index = Index(database)
        epoch = index.epoch()

        def submit(study_uid: str, version: int, priority: Priority) -> None:
            payload: dict[str, JSON] = {"study": study_uid, "version": version}
            key = study_key(epoch, study_uid, version)
            jobs.submit(Kind.STUDY, key, payload, priority=priority)

        watcher = Watcher(
            index,
            submit,
            settings.assemble,
            may_start_work=RoomForWork(Disk(settings.storage)),
        )
        with only_one(settings, "assemble"), health_page(settings, "assemble"):
            watcher.run(stop)
    return 0
