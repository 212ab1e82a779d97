"""What the tests of the store share: instances by number, an index in memory, an intake."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cmr_node.settings import Storage
from cmr_node.store.arrival import Arrival
from cmr_node.store.files import Files, Kept
from cmr_node.store.intake import Intake
from cmr_node.store.reception import Reception
from tests.samples import data_set_bytes, mr, uid

MEBI = 1 << 20
_TEMPLATE = mr(rows=40, columns=40)
_TEMPLATE_BYTES = data_set_bytes(_TEMPLATE)
CLASS, SYNTAX = str(_TEMPLATE.SOPClassUID), str(_TEMPLATE.file_meta.TransferSyntaxUID)


def instance_uid(number: object) -> str:
    """The UID of an instance, as long as the template's."""
    wanted = len(_TEMPLATE.SOPInstanceUID)
    return uid("instance", number)[:wanted].ljust(wanted, "1")


def instance_bytes(number: object, content: int = 0, extra: int = 0) -> bytes:
    """The data set of an instance: another ``content`` has other pixels, ``extra`` adds bytes."""
    data = _TEMPLATE_BYTES.replace(_TEMPLATE.SOPInstanceUID.encode(), instance_uid(number).encode())
    data = data[:-2] + content.to_bytes(2, "little")
    if extra:  # after the pixel data: data set trailing padding
        data += b"\xfc\xff\xfc\xffOB\0\0" + extra.to_bytes(4, "little")
        data += (hashlib.sha256(data).digest() * (extra // 32 + 1))[:extra]
    return data


def digest_of(data: bytes) -> str:
    """SHA-256, hex."""
    return hashlib.sha256(data).hexdigest()


class MemoryIndex:
    """An index that can be told to fail; what is known already is passed over."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Arrival] = {}
        self.calls = 0
        self.fail: Callable[[Sequence[Arrival]], None] = lambda arrivals: None
        self._lock = threading.Lock()

    def register(self, arrivals: Sequence[Arrival]) -> None:
        with self._lock:
            self.calls += 1
            self.fail(arrivals)
            for arrival in arrivals:
                self.rows.setdefault((arrival.header.sop_instance_uid, arrival.digest), arrival)


def storage(root: Path, **given: Any) -> Storage:
    """Settings without marks, so that the test machine's disk does not matter."""
    return Storage(root=root, **({"soft_free_bytes": 0, "hard_free_bytes": 0} | given))


def open_intake(root: Path, index: Any, **given: Any) -> Intake:
    """An intake with a small journal."""
    wanted = {"segment_bytes": MEBI, "segments": 3, "patience_s": 5.0} | given
    return Intake(wanted.pop("storage", storage(root)), index, **wanted)


def begin(intake: Intake, number: object) -> Reception:
    return intake.begin(CLASS, instance_uid(number), SYNTAX, "SCANNER")


def keep(intake: Intake, number: object, content: int = 0, extra: int = 0) -> Kept:
    """Send one instance, in two fragments."""
    reception = begin(intake, number)
    data = memoryview(instance_bytes(number, content, extra))
    reception.write(data[:700])
    reception.write(data[700:])
    return reception.keep()


def stored_bytes(files: Files, number: object) -> bytes:
    """The data set in the file of an instance, found without the code under test."""
    content = files.path_of(instance_uid(number)).read_bytes()
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


def wait_until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Poll until ``true`` or fail."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.01)
