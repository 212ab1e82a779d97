"""What dead processes left behind becomes files and index rows.

The promise kept here: everything that was acknowledged is filed and indexed when ``recover``
returns, and nothing that was not acknowledged is left lying in ``incoming``.

Any record may have been worked on before, in part or whole: its file may be there, or torn by a
power cut (then it contradicts the digest it carries and is made anew), or a spilled file may
have moved to its place already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

from cmr_node.dicom.header import Header
from cmr_node.dicom.part10 import read_meta
from cmr_node.errors import BadInstance, StoreBroken
from cmr_node.store.arrival import Arrival
from cmr_node.store.files import Files
from cmr_node.store.filing import BATCH, Register, file_instance, register
from cmr_node.store.journal import Journal
from cmr_node.store.owned import OwnedFolder
from cmr_node.store.records import Kind, Pending, Record, arrival_of, read, spilled_to
from cmr_node.store.segment import Entry

logger = logging.getLogger(__name__)


def recover(
    files: Files, index: Register, open_journal: Callable[[Path], Journal]
) -> tuple[OwnedFolder, Journal]:
    """File what was left behind; gives a folder and an empty journal for this process.

    Raises
    ------
    StoreBroken
        The disk answered with an error.
    """
    own: tuple[OwnedFolder, Journal] | None = None
    try:
        files.sweep()
        for folder in OwnedFolder.claim_all(files.incoming):
            journal = open_journal(folder.path)
            count = _replay(files, index, folder, journal)
            if count:
                logger.warning("%d instances of a process that died are filed", count)
            if own is None:
                own = folder, journal
            else:
                journal.close()
                folder.remove()
        if own is None:
            folder = OwnedFolder.make(files.incoming)
            own = folder, open_journal(folder.path)
    except OSError as error:
        raise StoreBroken(f"{files.incoming}: {error}") from error
    return own


def _replay(files: Files, index: Register, folder: OwnedFolder, journal: Journal) -> int:
    """File and register the records of one journal; gives their number."""
    arrivals = (
        arrival
        for entry in journal.replay()
        if (arrival := _file(files, folder, entry)) is not None
    )
    count = 0
    while batch := list(islice(arrivals, BATCH)):
        register(index, batch)
        count += len(batch)
    journal.forget_replayed()
    folder.sweep()
    return count


def _file(files: Files, folder: OwnedFolder, entry: Entry) -> Arrival | None:
    """File one record; None if there is nothing to make known."""
    record = read(entry)
    if record is None:
        logger.warning("the last record of %s is torn; it was not acknowledged", folder.path.name)
        return None
    spilled = None
    if record.kind is Kind.WHOLE:
        uid = read_meta(record.body).sop_instance_uid
    else:
        spilled, uid = spilled_to(folder.path, record)
        if not spilled.exists():  # filed before, and its second name removed
            return _stored(files, uid, record)
    try:
        arrival = arrival_of(record) if spilled is None else files.read(spilled)
    except BadInstance as fault:
        # A version that took what this one does not: what was acknowledged is kept all the same,
        # and must not stop what lies behind it.
        logger.error("instance %s is kept, but not indexed: %s; see reindex", uid, fault)
        file_instance(files, folder, Pending(_unread(uid, record), entry, spilled), prove=True)
        return None
    arrival = replace(arrival, aside=record.aside)
    return file_instance(files, folder, Pending(arrival, entry, spilled), prove=True)


def _unread(uid: str, record: Record) -> Arrival:
    """What filing must know of an instance whose header cannot be read."""
    return Arrival(
        header=Header(uid, "", "", "", ""),
        digest=record.digest,
        size_bytes=0,
        received_at=record.received_at,
        calling_ae="",
        aside=record.aside,
    )


def _stored(files: Files, uid: str, record: Record) -> Arrival | None:
    for path in (files.path_of(uid), files.aside_path_of(uid, record.digest)):
        if path.exists():
            arrival = files.arrival(path)
            if arrival.digest == record.digest:
                return arrival
    logger.warning("instance %s was filed and has been removed since", uid)
    return None
