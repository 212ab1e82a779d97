"""The receiving side of C-STORE on one association: fragments in, answers out, no socket.

The promise kept here: a C-STORE is answered with Success only after ``Reception.keep`` returned,
which is when the bytes survive a power cut.  Fragments are passed on as they come, so an object
costs no memory here whatever its size; after an early failure the rest of it is read and dropped,
and then the failure is answered.  One message at a time: no asynchronous operations window is
negotiated.  A C-ECHO-RQ goes to ``elsewhere``; any other message is a fault.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Literal, Protocol

from cmr_node.errors import (
    BadInstance,
    InconsistentInstance,
    NodeError,
    StoreBroken,
    StoreFull,
)
from cmr_node.network.status import Status
from cmr_node.network.wire import (
    COMMAND,
    COMMAND_LIMIT_BYTES,
    LAST,
    NO_DATA_SET,
    Command,
    Element,
    Field,
    Pdv,
    ProtocolFault,
    encode_command,
)

logger = logging.getLogger(__name__)

SameUidPolicy = Literal["warning", "success", "refuse"]
COMMENT_CHARACTERS = 64  # PS3.7 Annex E: Error Comment is one LO
REASON_CHARACTERS = 500
UID = re.compile(r"[0-9.]{1,64}")


class Reception(Protocol):
    """One instance that is being received."""

    def write(self, fragment: bytes | memoryview) -> None:
        """Take the next bytes of the data set; the buffer never changes afterwards."""

    def keep(self) -> Enum:
        """Return when the whole data set is durable: STORED, ALREADY or ASIDE by name."""

    def discard(self) -> None:
        """Forget what came."""


class Intake(Protocol):
    """The store's door."""

    def begin(
        self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, calling_ae: str
    ) -> Reception:
        """Begin to take one instance."""


#: Told for each answered C-STORE: status, size of the data set (bytes), time from command (s).
Answered = Callable[[Status, int, float], None]
#: Takes a C-ECHO-RQ: context id and command set.
Elsewhere = Callable[[int, bytes], None]


class StoreService:
    """C-STORE on one association.

    Parameters
    ----------
    intake
        Where the instances go.
    transfer_syntaxes
        Transfer syntax UID of each accepted presentation context.
    calling_ae
        AE title of the sender.
    same_uid_other_content
        Answer for a known SOP Instance UID with other content.
    answered
        Told for each answer.
    elsewhere
        Takes C-ECHO-RQs.
    """

    def __init__(
        self,
        intake: Intake,
        transfer_syntaxes: Mapping[int, str],
        calling_ae: str,
        same_uid_other_content: SameUidPolicy,
        answered: Answered,
        elsewhere: Elsewhere,
    ) -> None:
        self._intake = intake
        self._transfer_syntaxes = transfer_syntaxes
        self._calling_ae = calling_ae
        self._answered = answered
        self._elsewhere = elsewhere
        self._aside = {
            "warning": Status.DATA_SET_DOES_NOT_MATCH_WARNING,
            "success": Status.SUCCESS,
            "refuse": Status.DUPLICATE_SOP_INSTANCE,
        }[same_uid_other_content]
        self._command_set = bytearray()
        self._context_id: int | None = None  # of the message in progress
        self._store: _Store | None = None  # a C-STORE whose data set is coming

    @property
    def busy(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._context_id is not None

    def take(self, pdv: Pdv) -> tuple[int, bytes] | None:
        """Take one presentation data value; gives context id and command set of an answer.

        Raises
        ------
        ProtocolFault
            The fragments make no message; the association cannot go on.
        """
        context_id, control, fragment = pdv
        if context_id not in self._transfer_syntaxes:
            raise ProtocolFault(f"presentation context {context_id} was not accepted")
        if self._context_id is None:
            if not control & COMMAND:
                raise ProtocolFault("a data set without a command set")
            self._context_id = context_id
        elif self._context_id != context_id:
            raise ProtocolFault(
                f"a fragment of context {context_id} inside a message of {self._context_id}"
            )
        if control & COMMAND:
            return self._take_command(context_id, control, fragment)
        return self._take_data(context_id, control, fragment)

    def lost(self) -> None:
        """The association is over; what came of an object in progress is forgotten."""
        if self._store is not None:
            logger.warning(
                "instance %s from %s broken off after %d bytes",
                self._store.shown_uid,
                self._calling_ae,
                self._store.size_bytes,
            )
            self._store.drop()
        self._store = self._context_id = None

    def _take_command(
        self, context_id: int, control: int, fragment: memoryview
    ) -> tuple[int, bytes] | None:
        if self._store is not None:
            raise ProtocolFault("a command set before the end of a data set")
        self._command_set += fragment
        if len(self._command_set) > COMMAND_LIMIT_BYTES:
            raise ProtocolFault(f"a command set of more than {COMMAND_LIMIT_BYTES} bytes")
        if not control & LAST:
            return None
        encoded = bytes(self._command_set)
        self._command_set.clear()
        command = Command(encoded)
        if command.field == Field.C_ECHO_RQ and not command.has_data_set:
            self._context_id = None
            self._elsewhere(context_id, encoded)
            return None
        if command.field != Field.C_STORE_RQ:
            raise ProtocolFault(f"message 0x{command.field:04X}; served are C-STORE and C-ECHO")
        self._store = _Store(command)
        if not command.has_data_set:
            self._store.fail(Status.CANNOT_UNDERSTAND, "C-STORE-RQ without a data set")
            return self._answer(context_id, self._store)
        self._store.begin(self._intake, self._transfer_syntaxes[context_id], self._calling_ae)
        return None

    def _take_data(
        self, context_id: int, control: int, fragment: memoryview
    ) -> tuple[int, bytes] | None:
        if self._store is None:
            raise ProtocolFault("a data set before the end of its command set")
        self._store.write(fragment)
        return self._answer(context_id, self._store) if control & LAST else None

    def _answer(self, context_id: int, store: _Store) -> tuple[int, bytes]:
        self._store = self._context_id = None
        status, comment = store.end(self._aside)
        self._answered(status, store.size_bytes, time.monotonic() - store.begun_at)
        if comment:
            logger.warning(
                "instance %s from %s answered 0x%04X: %s",
                store.shown_uid,
                self._calling_ae,
                status,
                comment,
            )
        return context_id, store.response(status, comment)


class _Store:
    """One C-STORE from its command set to its answer."""

    def __init__(self, command: Command) -> None:
        self.begun_at = time.monotonic()
        self.size_bytes = 0
        self.message_id = command.number(Element.MESSAGE_ID)
        self.sop_class_uid = command.text(Element.AFFECTED_SOP_CLASS_UID)
        self.sop_instance_uid = command.text(Element.AFFECTED_SOP_INSTANCE_UID)
        # For the log: what is no UID is escaped, or it could forge a line.
        uid = self.sop_instance_uid
        self.shown_uid = uid if UID.fullmatch(uid) else ascii(uid[:COMMENT_CHARACTERS])
        self._reception: Reception | None = None
        self._failure: tuple[Status, str] | None = None

    def fail(self, status: Status, reason: str) -> None:
        """Answer ``status`` in the end; nothing more is passed on."""
        self._failure = (status, reason)

    def begin(self, intake: Intake, transfer_syntax_uid: str, calling_ae: str) -> None:
        """Open the reception, unless the command names no instance."""
        for uid in (self.sop_class_uid, self.sop_instance_uid):
            if not UID.fullmatch(uid):
                self.fail(Status.INVALID_SOP_INSTANCE, "a UID is 1 to 64 of 0-9 and .")
                return
        try:
            self._reception = intake.begin(
                self.sop_class_uid, self.sop_instance_uid, transfer_syntax_uid, calling_ae
            )
        except Exception as error:  # noqa: BLE001 - recorded and answered
            self._record(error)

    def write(self, fragment: memoryview) -> None:
        """Pass the fragment on; drop it after a failure."""
        self.size_bytes += len(fragment)
        if self._failure is not None or self._reception is None:
            return
        try:
            self._reception.write(fragment)
        except Exception as error:  # noqa: BLE001 - recorded and answered
            self._record(error)
            self.drop()

    def drop(self) -> None:
        """Discard what the reception holds."""
        reception, self._reception = self._reception, None
        if reception is None:
            return
        try:
            reception.discard()
        except Exception:
            logger.exception("what came of instance %s not discarded", self.shown_uid)

    def end(self, aside: Status) -> tuple[Status, str]:
        """The status to answer, and the reason of a failure."""
        if self._failure is None and self._reception is not None:
            try:
                kept = self._reception.keep()
            except Exception as error:  # noqa: BLE001 - recorded and answered
                self._record(error)
                self.drop()
            else:
                if kept.name == "ASIDE":
                    return aside, "known SOP Instance UID with other content, kept aside"
                return Status.SUCCESS, ""
        return self._failure or (Status.PROCESSING_FAILURE, "nothing was received")

    def response(self, status: Status, comment: str) -> bytes:
        """The command set of the C-STORE-RSP (PS3.7 Table 9.3-2)."""
        values: dict[Element, int | str] = {
            Element.COMMAND_FIELD: Field.C_STORE_RSP,
            Element.MESSAGE_ID_BEING_RESPONDED_TO: self.message_id,
            Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
            Element.STATUS: status,
        }
        if UID.fullmatch(self.sop_class_uid):
            values[Element.AFFECTED_SOP_CLASS_UID] = self.sop_class_uid
        if UID.fullmatch(self.sop_instance_uid):
            values[Element.AFFECTED_SOP_INSTANCE_UID] = self.sop_instance_uid
        if comment and status is not Status.SUCCESS:
            values[Element.ERROR_COMMENT] = comment[:COMMENT_CHARACTERS].strip()
        return encode_command(values)

    def _record(self, error: Exception) -> None:
        status = _status_of(error)
        if not isinstance(error, NodeError):
            logger.error("instance %s", self.shown_uid, exc_info=error)
        self.fail(status, _reason(error))


def _status_of(error: Exception) -> Status:
    """The status that tells the sender whether another attempt makes sense."""
    match error:
        case StoreFull() | StoreBroken() | OSError():
            return Status.OUT_OF_RESOURCES
        case InconsistentInstance():
            return Status.DATA_SET_DOES_NOT_MATCH
        case BadInstance():
            return Status.CANNOT_UNDERSTAND
        case _:
            return Status.PROCESSING_FAILURE


def _reason(error: Exception) -> str:
    """The reason in printable ASCII without backslash; the log has it whole, the peer its start.

    Only the node's own errors speak to the peer: they hold no patient's name.
    """
    text = str(error) if isinstance(error, NodeError) else "fault in the node, see its log"
    plain = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text)
    return plain[:REASON_CHARACTERS].strip() or type(error).__name__
