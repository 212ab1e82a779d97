"""``cmr-node reindex``: the index rebuilt from the files alone."""

from __future__ import annotations

import argparse
from itertools import islice

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.errors import BadInstance
from cmr_node.settings import Settings
from cmr_node.store.database import Database
from cmr_node.store.files import Files
from cmr_node.store.index import Index

BATCH = 200


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "reindex",
        reindex,
        "Make known to the index every stored file that it does not know.",
        "  cmr-node reindex            safe at any time, also while the node runs\n"
        "  cmr-node reindex --prove    read every file whole and compare its digest\n"
        "  mv index.sqlite index.old && cmr-node reindex      rebuild it from the files alone;\n"
        "                              every study is then worked on again, with the same results",
    )
    parser.add_argument(
        "--prove", action="store_true", help="read every file whole and compare its digest"
    )


def reindex(arguments: argparse.Namespace, settings: Settings) -> int:
    """Register every stored file; 1 if one is damaged."""
    console = Console(highlight=False)
    database = Database.open(settings.storage.index_url)
    files = Files(settings.storage.root)
    files.prepare()
    damaged = known = 0
    try:
        index = Index(database)
        found = files.arrivals(prove=arguments.prove)
        with Progress(console=console) as progress:
            task = progress.add_task("files", total=None)
            while batch := list(islice(found, BATCH)):
                arrivals = []
                for path, arrival in batch:
                    if isinstance(arrival, BadInstance):
                        damaged += 1
                        console.print(f"[red]damaged[/red] {path}: {escape(str(arrival))}")
                    else:
                        arrivals.append(arrival)
                index.register(arrivals)
                known += len(arrivals)
                progress.advance(task, len(batch))
            progress.update(task, total=known + damaged)
    finally:
        database.close()
    console.print(f"{known} files are in the index, {damaged} are damaged")
    return 1 if damaged else 0
