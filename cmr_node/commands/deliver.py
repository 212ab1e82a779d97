"""``cmr-node deliver``: the door out alone."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.commands.queue import open_jobs
from cmr_node.commands.running import health_page, only_one, open_database, until_told
from cmr_node.delivery import Deliverer, dispatching
from cmr_node.jobs.queue import Kind
from cmr_node.jobs.slots import executor_name
from cmr_node.jobs.worker import run_slot
from cmr_node.network.scu import Outcome, send
from cmr_node.settings import Peer, Settings
from cmr_node.store.deliveries import Deliveries
from cmr_node.store.files import Files
from cmr_node.store.index import Index
from cmr_node.store.ledger import Ledger

LANES_AT_LEAST = 4
"""Deliveries at once; each destination takes one, so a dead one leaves room for the others."""


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    add_command(
        commands,
        "deliver",
        deliver,
        "Run the door out alone: C-STORE of results with durable retry.",
        "  cmr-node deliver",
    )


def deliver(arguments: argparse.Namespace, settings: Settings) -> int:
    """Deliver results until SIGTERM."""
    calling_ae, clocks = settings.receive.ae_title, settings.deliver

    def send_to(peer: Peer, paths: Sequence[Path]) -> Iterator[Outcome]:
        return send(peer, paths, calling_ae, clocks)

    with until_told() as stop, open_database(settings) as database, open_jobs(settings) as jobs:
        deliveries, epoch = Deliveries(database), Index(database).epoch()
        deliverer = Deliverer(settings, deliveries, Files(settings.storage.root), send_to)
        with (
            only_one(settings, "deliver"),
            health_page(settings, "deliver"),
            dispatching(epoch, deliveries, Ledger(database), jobs, clocks, stop),
        ):
            run_slot(
                settings.storage.queue_url,
                {Kind.DELIVERY: deliverer},
                executor_name("deliver"),
                settings.work,
                stop,
                concurrency=max(LANES_AT_LEAST, len(settings.destinations)),
            )
    return 0
