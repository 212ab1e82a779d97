"""``cmr-node send``: C-STORE files and folders to an AE, with progress."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.commands.progress import progress_bar
from cmr_node.errors import ConfigurationError
from cmr_node.network.scu import Outcome, send
from cmr_node.network.status import Meaning
from cmr_node.settings import Peer, Settings

SHOWN_FAULTS = 20


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "send",
        send_paths,
        "Send DICOM files, and folders of them, to an AE by C-STORE.",
        "  cmr-node send study/                                to this node, on this host\n"
        "  cmr-node send --to pacs study/ more.dcm             to a [[peer]] of the settings\n"
        "  cmr-node send --to ORTHANC@10.0.0.5:4242 study/     to any AE\n"
        "  cmr-node send --calling SCANNER --associations 4 study/",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file or folder")
    parser.add_argument(
        "--to", metavar="PEER", help="name of a [[peer]], or AETITLE@HOST:PORT (default: this node)"
    )
    parser.add_argument("--calling", metavar="AE", help="calling AE title (default: the node's)")
    parser.add_argument("--associations", type=int, metavar="N", help="associations at once")


def send_paths(arguments: argparse.Namespace, settings: Settings) -> int:
    """Send; 1 if any file was not taken."""
    peer = _peer(arguments.to, settings)
    clocks = settings.deliver
    if arguments.associations:
        clocks = clocks.model_copy(update={"associations": arguments.associations})
    found = sorted(_files(arguments.paths))
    named = set(arguments.paths)
    files = [path for path in found if path in named or _is_part10(path)]
    console = Console(highlight=False)
    tally: Counter[Meaning] = Counter()
    with progress_bar(console) as progress:
        task = progress.add_task(f"to {peer.ae_title}", total=len(files))
        calling_ae = arguments.calling or settings.receive.ae_title
        for outcome in send(peer, files, calling_ae, clocks):
            progress.advance(task)
            tally[outcome.meaning] += 1
            _tell(console, outcome, tally)
        seconds = progress.tasks[task].finished_time or progress.tasks[task].elapsed or 0.0
    rate = len(files) / seconds if seconds else 0.0
    console.print(
        f"{tally[Meaning.DELIVERED]} of {len(files)} files taken by {peer.ae_title} in "
        f"{seconds:.1f} s ({rate:.0f} a second); {tally[Meaning.REFUSED]} refused, "
        f"{tally[Meaning.RETRY]} not sent, {len(found) - len(files)} passed over (not DICOM)"
    )
    return 0 if tally[Meaning.DELIVERED] == len(files) else 1


def _tell(console: Console, outcome: Outcome, tally: Counter[Meaning]) -> None:
    if outcome.delivered:
        return
    faults = tally[Meaning.REFUSED] + tally[Meaning.RETRY]
    if faults <= SHOWN_FAULTS:
        console.print(f"{escape(str(outcome.path))}: {escape(outcome.comment)}")
    elif faults == SHOWN_FAULTS + 1:
        console.print("further faults are counted, not shown")


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"{path} is not there")
        if not path.is_dir():
            yield path
            continue
        for folder, _, names in os.walk(path):  # follows no links: no loops
            for name in names:
                found = Path(folder, name)
                if name != "DICOMDIR" and found.is_file():
                    yield found


def _is_part10(path: Path) -> bool:
    """Whether a file in a folder is a DICOM file (PS3.10 7.1); one that is named is always sent."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _peer(asked: str | None, settings: Settings) -> Peer:
    if asked is None:
        receive = settings.receive
        host = "127.0.0.1" if receive.host in ("0.0.0.0", "::") else receive.host  # noqa: S104
        return Peer(name="node", ae_title=receive.ae_title, host=host, port=receive.port)
    for peer in settings.peer:
        if peer.name == asked:
            return peer
    title, at, address = asked.partition("@")
    host, colon, port = address.rpartition(":")
    if not (at and colon and host and port.isdecimal() and 0 < int(port) < 1 << 16):
        known = ", ".join(peer.name for peer in settings.peer)
        raise ConfigurationError(
            f"--to {asked!r} is no peer ({known}) and not of the form AETITLE@HOST:PORT"
        )
    return Peer(name="asked", ae_title=title, host=host.strip("[]"), port=int(port))
