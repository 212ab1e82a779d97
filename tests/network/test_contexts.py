"""Which presentation contexts are accepted."""

from __future__ import annotations

import pynetdicom.sop_class as known
import pytest
from pynetdicom import AllStoragePresentationContexts, build_context
from pynetdicom.presentation import negotiate_as_acceptor

from cmr_node.network.contexts import is_storage, supported

JPEG2000, EXPLICIT, IMPLICIT = (
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
)


def test_every_storage_class_that_pynetdicom_knows_is_storage() -> None:
    assert all(is_storage(str(cx.abstract_syntax)) for cx in AllStoragePresentationContexts)


@pytest.mark.parametrize(
    "uid",
    [
        "1.3.12.2.1107.5.9.1",  # Siemens CSA Non-Image, private
        "2.25.1234567890",
        "1.2.840.10008.5.1.4.1.1.4.99",  # a class younger than this software
        "1.2.840.10008.5.1.1.29",  # retired: Hardcopy Grayscale Image Storage
        "1.2.840.10008.5.1.4.1.1.40",  # retired, nameless in the registry
    ],
)
def test_private_unknown_and_retired_storage_is_taken(uid: str) -> None:
    assert is_storage(uid)


@pytest.mark.parametrize(
    "uid",
    [
        known.PatientRootQueryRetrieveInformationModelFind,
        known.ModalityWorklistInformationFind,
        known.ModalityPerformedProcedureStep,
        known.StorageCommitmentPushModel,
        known.MediaStorageDirectoryStorage,
        known.BasicGrayscalePrintManagementMeta,
        known.UnifiedProcedureStepPush,
        "1.2.840.10008.1.9",  # retired: Basic Study Content Notification
        "1.2.840.10008.1.2.1",  # a transfer syntax
        "1.2.840.10008.3.1.1.1",  # an application context
    ],
)
def test_another_service_is_not_storage(uid: str) -> None:
    assert not is_storage(str(uid))


def test_of_each_context_the_senders_first_transfer_syntax_is_taken() -> None:
    proposed = [
        build_context("1.2.840.10008.5.1.4.1.1.4", [JPEG2000]),
        build_context("1.2.840.10008.5.1.4.1.1.4", [EXPLICIT, IMPLICIT]),
        build_context("1.2.840.10008.5.1.4.1.1.7", [IMPLICIT, EXPLICIT]),
        build_context("2.25.99", ["1.2.752.24.3.7.6", IMPLICIT]),
        build_context("2.25.98", ["2.25.97"]),
        build_context("1.2.840.10008.1.1", [IMPLICIT]),
        build_context("1.2.840.10008.5.1.4.31", [IMPLICIT]),
    ]
    for number, context in enumerate(proposed):
        context.context_id = 2 * number + 1
    results, _ = negotiate_as_acceptor(proposed, supported(proposed))
    assert [(cx.result, cx.transfer_syntax[0]) for cx in results] == [
        (0, JPEG2000),
        (0, EXPLICIT),
        (0, IMPLICIT),
        (0, "1.2.752.24.3.7.6"),
        (0, "2.25.97"),
        (0, IMPLICIT),
        (3, IMPLICIT),
    ]
