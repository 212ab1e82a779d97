"""``cmr-node work-slot``: one worker, as the ``work`` role starts it; not for people."""

from __future__ import annotations

import argparse
import logging

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.commands.running import health_page, open_database, until_told
from cmr_node.inference.opening import is_missing, open_session, recogniser_of, told
from cmr_node.inference.runtime import Session
from cmr_node.jobs.queue import Kind
from cmr_node.jobs.slots import executor_name
from cmr_node.jobs.worker import run_slot
from cmr_node.judgement import Trusting
from cmr_node.outputs.uids import Producer
from cmr_node.pipeline import Standardiser
from cmr_node.results.artist import artist_of
from cmr_node.settings import Settings
from cmr_node.store.files import Files
from cmr_node.store.index import Index
from cmr_node.store.ledger import Ledger

logger = logging.getLogger(__name__)


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "work-slot",
        work_slot,
        "One worker, started and watched by cmr-node work.",
        "  cmr-node work --slots 4   starts four of these",
    )
    parser.add_argument("slot", type=int, metavar="N", help="number of the slot")
    parser.add_argument(
        "--of", type=int, metavar="N", default=1, help="slots of this host, which share its cores"
    )


def work_slot(arguments: argparse.Namespace, settings: Settings) -> int:
    """Work until SIGTERM."""
    session = open_session(settings.inference, arguments.of)
    logger.log(
        logging.WARNING if is_missing(settings.inference, session) else logging.INFO,
        "%s",
        told(settings.inference, session),
    )
    with until_told() as stop, open_database(settings) as database:
        files = Files(settings.storage.root)
        files.prepare()
        producer = Producer(settings.standardise.device_serial, settings.standardise.station_name)
        standardiser = Standardiser(
            settings,
            Index(database),
            Ledger(database),
            files,
            producer,
            trusting=trusting_of(session),
            artist=artist_of(session),
        )
        with health_page(settings, "work", beside=arguments.slot + 1):
            run_slot(
                settings.storage.queue_url,
                {Kind.STUDY: standardiser},
                executor_name("work", arguments.slot),
                settings.work,
                stop,
                attended=True,
            )
    return 0


def trusting_of(session: Session | None) -> Trusting:
    """Headers are believed, and the network is heard beside them."""
    return Trusting(
        recognise=recogniser_of(session),
        network=session.digest if session else "",
        thresholds=session.card.thresholds if session else None,
    )
