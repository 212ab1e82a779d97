"""``cmr-node check``: is everything as the node needs it, and what to mend if not."""

from __future__ import annotations

import argparse
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from rich.console import Console
from rich.markup import escape

from cmr_node.commands.arguments import Commands, add_command
from cmr_node.commands.printed_settings import settings_as_toml
from cmr_node.errors import NodeError
from cmr_node.inference.builds import installed_build
from cmr_node.inference.opening import open_session, threads_of, told
from cmr_node.inference.runtime import Session
from cmr_node.jobs.queue import Jobs
from cmr_node.network.scu import echo
from cmr_node.settings import Peer, Settings
from cmr_node.store.database import Database
from cmr_node.store.disk import DiskState, disk_state, free_bytes


class Level(StrEnum):
    """How a finding is meant."""

    WELL = "ok"
    NOTE = "note"
    BAD = "mend"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``text`` says what to mend where something is."""

    level: Level
    what: str
    text: str


COLOURS = {Level.WELL: "green", Level.NOTE: "yellow", Level.BAD: "red"}


def add_to(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = add_command(
        commands,
        "check",
        check,
        "Check settings, database, disk, models and peers; say what to mend.",
        "  cmr-node check\n"
        "  cmr-node --config /etc/cmr-node/cmr-node.toml check\n"
        "  cmr-node check --settings > cmr-node.toml    every setting with its default and meaning",
    )
    parser.add_argument(
        "--settings", action="store_true", help="print every setting as TOML, check nothing"
    )


def check(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print one line a finding; 1 if anything is to be mended."""
    if arguments.settings:
        print(settings_as_toml(settings))
        return 0
    console = Console(highlight=False)
    worst = 0
    for finding in findings(settings):
        colour = COLOURS[finding.level]
        console.print(
            f"[{colour}]{finding.level:<5}[/{colour}] {finding.what:<12} {escape(finding.text)}"
        )
        worst = max(worst, finding.level is Level.BAD)
    return worst


def findings(settings: Settings) -> Iterator[Finding]:
    """Look at one thing after another."""
    yield _try("runtime", lambda: " ".join(installed_build()))
    yield _folder(settings)
    yield _disk(settings)
    yield _try("index", lambda: _index(settings))
    yield _try("queue", lambda: _queue(settings))
    yield _models(settings)
    yield _port(settings)
    yield from _peers(settings)


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(Level.WELL, what, look())
    except (NodeError, OSError) as error:
        return Finding(Level.BAD, what, str(error))


def _models(settings: Settings) -> Finding:
    inference = settings.inference
    try:
        session = open_session(inference, settings.work.slots)
        if session is None:
            return Finding(Level.NOTE, "models", told(inference, session))
        seconds = _seconds_a_picture(session, inference.batch)
    except NodeError as error:
        return Finding(Level.BAD, "models", str(error))
    threads = threads_of(inference, settings.work.slots)
    return Finding(
        Level.WELL,
        "models",
        f"{told(inference, session)} on {inference.device}, {seconds:.4f} s a picture "
        f"({inference.batch} at once, {threads} threads)",
    )


def _seconds_a_picture(session: Session, batch: int) -> float:
    """Of a second run: the first one reserves memory."""
    size = session.card.preprocessing.size
    pictures = np.random.default_rng(0).random((batch, 1, size, size), np.float32)
    session.run(pictures)
    began = time.perf_counter()
    session.run(pictures)
    return (time.perf_counter() - began) / batch


def _folder(settings: Settings) -> Finding:
    root = settings.storage.root
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return Finding(
            Level.BAD,
            "folder",
            f"{root}: {error.strerror}; create it for this user, or set storage.root",
        )
    if not os.access(root, os.W_OK | os.X_OK):
        return Finding(Level.BAD, "folder", f"{root} cannot be written by user {os.getuid()}")
    return Finding(Level.WELL, "folder", str(root))


def _disk(settings: Settings) -> Finding:
    storage = settings.storage
    if not storage.root.is_dir():
        return Finding(Level.BAD, "disk", f"{storage.root} is not there")
    free = free_bytes(storage.root)
    state = disk_state(free, storage)
    text = f"{free / 1e9:.1f} GB free"
    if state is DiskState.OK:
        return Finding(Level.WELL, "disk", text)
    mark = "storage.soft_free_bytes" if state is DiskState.SOFT else "storage.hard_free_bytes"
    does = "starts no new work" if state is DiskState.SOFT else "answers C-STORE with 0xA700"
    return Finding(Level.BAD, "disk", f"{text}, less than {mark}: the node {does}; free some")


def _index(settings: Settings) -> str:
    database = Database.open(settings.storage.index_url)
    try:
        return str(database.engine.url.render_as_string(hide_password=True))
    finally:
        database.close()


def _queue(settings: Settings) -> str:
    jobs = Jobs.open(settings.storage.queue_url)
    try:
        counts = jobs.counts()
        return ", ".join(f"{n} {kind} {state}" for (kind, state), n in counts.items()) or "empty"
    finally:
        jobs.close()


def _port(settings: Settings) -> Finding:
    receive = settings.receive
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((receive.host, receive.port))
        except OSError as error:
            return Finding(
                Level.NOTE,
                "port",
                f"{receive.host}:{receive.port}: {error.strerror}; well if the node is running",
            )
    return Finding(
        Level.WELL, "port", f"{receive.host}:{receive.port} is free for {receive.ae_title}"
    )


def _peers(settings: Settings) -> Iterator[Finding]:
    if not settings.destinations:
        yield Finding(Level.NOTE, "peers", "no [[peer]] receives: results stay on this node")
    if not any(peer.sends for peer in settings.peer):
        yield Finding(Level.BAD, "peers", "no [[peer]] has sends = true: nobody may send")
    for peer in settings.peer:
        if peer.receives:
            yield _echo(peer, settings)
        elif peer.sends:
            yield Finding(Level.WELL, peer.name, f"{peer.ae_title} at {peer.host} may send")


def _echo(peer: Peer, settings: Settings) -> Finding:
    answer = echo(peer, settings.receive.ae_title, settings.deliver)
    where = f"{peer.ae_title} at {peer.host}:{peer.port}"
    if answer.ok:
        return Finding(Level.WELL, peer.name, f"{where} answered C-ECHO in {answer.seconds:.3f} s")
    return Finding(Level.BAD, peer.name, f"{where}: {answer.reason}")
