"""The door out: C-STORE and C-ECHO to a peer.

The promise kept here: ``send`` says of every file exactly once what became of it, and says
DELIVERED only of what the peer answered for.  An association that breaks costs the instance on
its way, which is to be sent again; what was answered before stands.

    several associations at once take from one list of files
    one that breaks is asked for anew, unless ``BREAKS_IN_A_ROW`` brought no answer at all
    what is left when none can be had is to be sent again

A rejected association is no verdict on an instance, be it "permanent" or not: a title that a
PACS does not know today is entered tomorrow.  So it means RETRY, and the clock of the delivery
ends it.  A SOP class the peer takes in no transfer syntax means REFUSED, as does a file that is
not readable; ``status`` says what each answer means.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import ImplicitVRLittleEndian

from cmr_node.errors import BadInstance, PeerRefused, PeerUnreachable
from cmr_node.network.contexts import VERIFICATION
from cmr_node.network.outgoing import Outgoing, Route, choose, data_set, look_at, routes
from cmr_node.network.requestor import Address, Proposed, Requested
from cmr_node.network.status import Meaning, Status, describe, meaning_of
from cmr_node.settings import Deliver, Peer

logger = logging.getLogger(__name__)

BREAKS_IN_A_ROW = 3
FAULT = "fault in the node, see its log"
ENOUGH_FOR_ANOTHER = 4  # files that make a further association worth its negotiation


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file; ``status`` is None where the peer did not answer for it.

    ``class_taken`` is what the negotiation said of its SOP class; None where it came to none.
    """

    path: Path
    sop_instance_uid: str
    meaning: Meaning
    status: int | None
    comment: str
    sop_class_uid: str = ""
    class_taken: bool | None = None

    @property
    def delivered(self) -> bool:
        """Whether the peer has it."""
        return self.meaning is Meaning.DELIVERED


@dataclass(frozen=True, slots=True)
class Echo:
    """The answer to a C-ECHO, or why there was none."""

    ok: bool
    seconds: float
    reason: str


def echo(peer: Peer, calling_ae: str, settings: Deliver) -> Echo:
    """Ask the peer whether it is there; raises nothing."""
    begun = time.monotonic()
    try:
        association = Requested(
            _address(peer, calling_ae),
            [Proposed(VERIFICATION, (str(ImplicitVRLittleEndian),))],
            settings.connect_timeout,
            settings.response_timeout,
        )
        if not association.accepted:
            association.release()
            return Echo(False, time.monotonic() - begun, "the peer does not take Verification")
        status = association.echo(1)
        association.release()
    except (PeerRefused, PeerUnreachable) as error:
        return Echo(False, time.monotonic() - begun, str(error))
    return Echo(status == Status.SUCCESS, time.monotonic() - begun, describe(status))


def send(
    peer: Peer, files: Iterable[Path], calling_ae: str, settings: Deliver
) -> Iterator[Outcome]:
    """C-STORE the files to the peer; gives an outcome for each, as they come.

    Closing the iterator early ends the associations after the instances on their way.
    """
    readable: list[Outgoing] = []
    for path in files:
        try:
            readable.append(look_at(path))
        except BadInstance as error:
            yield Outcome(path, "", Meaning.REFUSED, None, str(error))
        except OSError as error:
            yield Outcome(path, "", Meaning.RETRY, None, f"cannot be read: {error}")
    for route in routes(readable):
        yield from _Transfer(_address(peer, calling_ae), route, settings).outcomes()


def _address(peer: Peer, calling_ae: str) -> Address:
    return Address(peer.host, peer.port, peer.ae_title, calling_ae)


class _Transfer:
    """The files of one route over several associations."""

    def __init__(self, address: Address, route: Route, settings: Deliver) -> None:
        self._address, self._route, self._settings = address, route, settings
        self._waiting = deque(route.files)
        self._done: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._let_others = threading.Event()
        self._why_left = "not sent"

    def outcomes(self) -> Iterator[Outcome]:
        """One outcome per file."""
        worthwhile = -(-len(self._route.files) // ENOUGH_FOR_ANOTHER)
        threads = [
            threading.Thread(
                target=self._run, args=(number,), name=f"deliver-{number}", daemon=True
            )
            for number in range(min(self._settings.associations, worthwhile))
        ]
        for thread in threads:
            thread.start()
        try:
            running = len(threads)
            while running:
                outcome = self._done.get()
                if outcome is None:
                    running -= 1
                else:
                    yield outcome
            for file in self._waiting:
                yield _outcome(file, Meaning.RETRY, None, self._why_left)
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    def _run(self, number: int) -> None:
        breaks = 0
        try:
            if number:
                # A peer that is gone, or has room for one only, is not asked several times.
                self._let_others.wait()
            while self._waiting and not self._stopped.is_set() and breaks < BREAKS_IN_A_ROW:
                breaks = 0 if self._one_association() else breaks + 1
        except (PeerRefused, PeerUnreachable) as error:
            self._why_left = str(error)
            logger.warning("no association: %s", error)
        except Exception:
            self._why_left = FAULT
            logger.exception("sending to %s failed", self._address)
        finally:
            if not number and not self._let_others.is_set():
                self._stopped.set()
            self._let_others.set()
            self._done.put(None)

    def _one_association(self) -> bool:
        """Send until nothing waits or the association breaks; whether any answer came."""
        association = Requested(
            self._address,
            self._route.contexts,
            self._settings.connect_timeout,
            self._settings.response_timeout,
        )
        self._let_others.set()
        answered = False
        while not self._stopped.is_set():
            try:
                file = self._waiting.popleft()
            except IndexError:
                break
            try:
                self._done.put(self._one_file(association, file))
                answered = True
            except PeerUnreachable as error:
                self._done.put(_outcome(file, Meaning.RETRY, None, str(error)))
                self._why_left = str(error)
                return answered
            except BaseException:
                self._done.put(_outcome(file, Meaning.RETRY, None, FAULT))
                association.abort()
                raise
        association.release()
        return True

    def _one_file(self, association: Requested, file: Outgoing) -> Outcome:
        try:
            chosen = choose(file, self._route.contexts, association.accepted)
        except PeerRefused as error:
            return _outcome(file, Meaning.REFUSED, None, str(error), class_taken=False)
        try:
            size_bytes, pieces = data_set(file, chosen.transfer_syntax_uid)
        except BadInstance as error:
            return _outcome(file, Meaning.REFUSED, None, str(error))
        except OSError as error:
            return _outcome(file, Meaning.RETRY, None, f"cannot be read: {error}")
        status, comment = association.store(
            chosen.context_id, file.sop_class_uid, file.sop_instance_uid, size_bytes, pieces
        )
        words = f"{describe(status)}: {comment}" if comment else describe(status)
        return _outcome(file, meaning_of(status), status, words, class_taken=True)


def _outcome(
    file: Outgoing,
    meaning: Meaning,
    status: int | None,
    comment: str,
    class_taken: bool | None = None,
) -> Outcome:
    return Outcome(
        file.path,
        file.sop_instance_uid,
        meaning,
        status,
        comment,
        file.sop_class_uid,
        class_taken,
    )
