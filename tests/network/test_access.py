"""Who may come in."""

from __future__ import annotations

import logging

import pytest

from cmr_node.network.access import Access, Rejection, too_many
from cmr_node.settings import LOOPBACK, Peer

PEERS = (
    Peer(name="ward", ae_title="*", host="10.1.0.0/16", sends=True),
    Peer(name="scanner", ae_title="MR1", host="10.1.2.3", sends=True),
    Peer(name="six", ae_title="MR6", host="2001:db8::/32", sends=True),
    Peer(name="named", ae_title="MR7", host="mr7.example", sends=True),
    Peer(name="pacs", ae_title="PACS", host="10.9.9.9", receives=("derived",)),
)
NAMES = {"mr7.example": ["10.7.7.7", "2001:db9::7"]}


@pytest.fixture
def access() -> Access:
    return Access("CMRNODE", PEERS, lambda host: NAMES.get(host, []))


@pytest.mark.parametrize(
    ("calling", "address", "name"),
    [
        ("MR1", "10.1.2.3", "scanner"),
        (" MR1 ", "10.1.2.3", "scanner"),
        ("MR1", "::ffff:10.1.2.3", "scanner"),
        ("MR1", "10.1.2.4", "ward"),
        ("OTHER", "10.1.255.255", "ward"),
        ("MR6", "2001:db8:1::9", "six"),
        ("MR6", "2001:db8:1::9%eth0", "six"),
        ("MR7", "10.7.7.7", "named"),
        ("MR7", "2001:db9::7", "named"),
    ],
)
def test_a_listed_peer_comes_in_under_its_own_name(
    access: Access, calling: str, address: str, name: str
) -> None:
    found = access.admit(calling, "CMRNODE", address)
    assert isinstance(found, Peer)
    assert found.name == name


@pytest.mark.parametrize(
    ("calling", "called", "address", "fields", "label"),
    [
        ("MR1", "cmrnode", "10.1.2.3", (1, 1, 7), "called_ae"),
        ("MR1", "CMRNODE2", "10.1.2.3", (1, 1, 7), "called_ae"),
        ("MR1", "", "10.1.2.3", (1, 1, 7), "called_ae"),
        ("MR1", "CMRNODE", "10.2.0.1", (1, 1, 3), "address"),
        ("mr6", "CMRNODE", "2001:db8::1", (1, 1, 3), "calling_ae"),
        ("MR7", "CMRNODE", "10.7.7.8", (1, 1, 3), "address"),
        ("PACS", "CMRNODE", "10.9.9.9", (1, 1, 3), "calling_ae"),
        ("*", "CMRNODE", "10.2.0.1", (1, 1, 3), "calling_ae"),
    ],
)
def test_anybody_else_is_rejected_for_good_with_the_reason(
    access: Access,
    calling: str,
    called: str,
    address: str,
    fields: tuple[int, int, int],
    label: str,
) -> None:
    found = access.admit(calling, called, address)
    assert isinstance(found, Rejection)
    assert (found.result, found.source, found.diagnostic) == fields
    assert found.label == label


def test_too_many_is_transient_with_local_limit_exceeded() -> None:
    found = too_many(20)
    assert (found.result, found.source, found.diagnostic) == (2, 3, 2)
    assert "20" in found.reason


def test_only_loopback_may_send_until_a_peer_is_listed() -> None:
    access = Access("CMRNODE", LOOPBACK)
    assert isinstance(access.admit("ANY", "CMRNODE", "127.0.0.1"), Peer)
    assert isinstance(access.admit("ANY", "CMRNODE", "::1"), Peer)
    assert isinstance(access.admit("ANY", "CMRNODE", "192.168.1.1"), Rejection)


def test_an_address_is_known_only_where_a_sender_is_listed(access: Access) -> None:
    assert access.knows("10.1.77.1")
    assert access.knows("10.7.7.7")
    assert not access.knows("10.9.9.9")


def test_a_host_that_cannot_be_resolved_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    lost = Peer(name="lost", ae_title="*", host="no-such-host.invalid", sends=True)
    with caplog.at_level(logging.WARNING):
        found = Access("CMRNODE", [lost]).admit("MR1", "CMRNODE", "127.0.0.1")
    assert isinstance(found, Rejection)
    assert "no-such-host.invalid" in caplog.text
