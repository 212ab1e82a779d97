"""Which presentation contexts are accepted, and which are proposed.

Accepting: Verification, and every abstract syntax that is not known to be another service.  So
private SOP classes, retired ones and those younger than this software are stored too; the rule
is ``is_storage``.  Of the transfer syntaxes in a context the sender's first is taken, be it
private or unknown: a sender lists first what it would rather send (its own encoding, or the
lossy one it was told to use), and another choice would make it encode again.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.uid import UID, MediaStorageDirectoryStorage
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import (
    NonPatientObjectStorageServiceClass,
    ServiceClass,
    StorageServiceClass,
)
from pynetdicom.sop_class import uid_to_service_class

VERIFICATION = UID("1.2.840.10008.1.1")  # PS3.4 Annex A


def is_storage(abstract_syntax: str) -> bool:
    """Whether C-STORE is what this abstract syntax is for, as far as anybody can tell.

    In the Standard's UID registry: a SOP class that pynetdicom knows as storage or, not knowing
    it, with "Storage" (or, retired, nothing at all) as its name.  In neither: yes.
    """
    uid = UID(abstract_syntax)
    if uid.type not in ("", "SOP Class") or uid == MediaStorageDirectoryStorage:  # the DICOMDIR
        return False
    service = uid_to_service_class(uid)
    if service is not ServiceClass:
        return service in (StorageServiceClass, NonPatientObjectStorageServiceClass)
    return uid.type == "" or uid.name == "" or "Storage" in uid.name


def supported(proposed: Iterable[PresentationContext]) -> list[PresentationContext]:
    """What the node supports of what a peer proposes, each with the peer's transfer syntaxes."""
    contexts: dict[UID, PresentationContext] = {}
    for asked in proposed:
        uid = asked.abstract_syntax
        if uid is None or not (uid == VERIFICATION or is_storage(uid)):
            continue
        if uid not in contexts:
            contexts[uid] = PresentationContext()
            contexts[uid].abstract_syntax = uid
        for syntax in asked.transfer_syntax:
            contexts[uid].add_transfer_syntax(syntax)  # once each
    return list(contexts.values())
