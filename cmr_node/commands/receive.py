"""``cmr-node receive``: the door in alone."""

from __future__ import annotations

import argparse

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.commands.door_gauges import DoorGauges
from cmr_node.commands.running import health_page, open_database, until_told
from cmr_node.errors import NodeError
from cmr_node.network.access import Access
from cmr_node.network.scp import StoreScp
from cmr_node.settings import Settings
from cmr_node.store.disk import Disk, DiskState
from cmr_node.store.index import Index
from cmr_node.store.intake import Intake
from cmr_node.telemetry import DoorObserver, collecting


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    add_command(
        commands,
        "receive",
        receive,
        "Run the door in alone: C-STORE SCP, durable store, index.",
        "  cmr-node receive          several hosts may do so behind a TCP load balancer",
    )


def receive(arguments: argparse.Namespace, settings: Settings) -> int:
    """Take instances until SIGTERM."""
    with until_told() as stop, open_database(settings) as database:
        disk = Disk(settings.storage)
        with Intake(settings.storage, Index(database)) as intake:
            access = Access(settings.receive.ae_title, settings.peer)
            scp = StoreScp(settings.receive, access, intake, DoorObserver())
            gauges = collecting(DoorGauges(disk, lambda: intake.lag.bytes))
            with gauges, health_page(settings, "receive", lambda: _fault(disk)):
                scp.start()
                stop.wait()
                scp.stop()
    return 0


def _fault(disk: Disk) -> str:
    try:
        state = disk.state()
    except NodeError as error:
        return str(error)
    return "the disk is past the hard mark" if state is DiskState.HARD else ""
