"""``cmr-node retry``: bring dead letters, failed and isolated jobs back."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.jobs.keys import study_key
from cmr_node.jobs.queue import Jobs
from cmr_node.settings import Settings
from cmr_node.store.database import Database
from cmr_node.store.deliveries import Deliveries
from cmr_node.store.index import Index
from cmr_node.store.ledger import Ledger


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "retry",
        retry,
        "Try again what was given up: dead letters, failed studies, isolated jobs.",
        "  cmr-node retry           all of it\n"
        "  cmr-node retry --study 1.2.840.113619.2.1\n"
        "  cmr-node status          shows what was given up, and why",
    )
    parser.add_argument("--study", metavar="UID", help="only this Study Instance UID")


def retry(arguments: argparse.Namespace, settings: Settings) -> int:
    """Bring back what was given up; 0 also if there was nothing."""
    database = Database.open(settings.storage.index_url)
    jobs = Jobs.open(settings.storage.queue_url)
    try:
        failed = Ledger(database).retry_failed(arguments.study)
        epoch = Index(database).epoch()
        for study in failed:
            jobs.retry(study_key(epoch, study.study_instance_uid, study.version))
        letters = Deliveries(database).revive(datetime.now(UTC), arguments.study)
    finally:
        jobs.close()
        database.close()
    print(f"{len(failed)} studies and {letters} deliveries will be tried again")
    return 0
