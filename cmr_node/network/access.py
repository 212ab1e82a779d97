"""Who may come in: called AE title exact, calling AE title and address on the list.

The promise kept here: an association is let in only for a peer that the settings list with
``sends = true``; everything else is refused with the A-ASSOCIATE-RJ fields of PS3.8 Table 9-21.
No socket here; a host name is looked up at each request, so that a changed address counts.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cmr_node.settings import Peer

logger = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an association is refused, as A-ASSOCIATE-RJ says it (PS3.8 Table 9-21).

    ``label`` is short and bounded, for metrics; ``reason`` is for the log.
    """

    result: int
    source: int
    diagnostic: int
    label: str
    reason: str


#: Rejected permanent, by the service user: (1, 1, diagnostic).
CALLING_AE_NOT_RECOGNISED, CALLED_AE_NOT_RECOGNISED = 3, 7


def too_many(limit: int) -> Rejection:
    """Rejected transient, by the provider (presentation related), local limit exceeded."""
    return Rejection(2, 3, 2, "local_limit", f"{limit} associations are open, no more are allowed")


def look_up(host: str) -> list[str]:
    """The addresses of a host name; none if it is not known at the moment."""
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None)]
    except OSError as error:
        logger.warning("peer host %s cannot be resolved: %s", host, error)
        return []


def normal(address: str) -> Address:
    """The address without scope; an IPv4 one if it comes mapped into IPv6 (::ffff:1.2.3.4)."""
    parsed = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return parsed.ipv4_mapped
    return parsed


class Access:
    """The list of those who may send.

    Parameters
    ----------
    called_ae
        Our own AE title.
    peers
        All peers of the settings; those with ``sends`` count.
    resolve
        Host name to addresses.
    """

    def __init__(self, called_ae: str, peers: Iterable[Peer], resolve: Resolve = look_up) -> None:
        self._called_ae = called_ae
        self._resolve = resolve
        senders = [peer for peer in peers if peer.sends]
        # An exact title wins over "*", so that logs and metrics name the right peer.
        self._senders = sorted(senders, key=lambda peer: peer.ae_title == "*")

    def knows(self, address: str) -> bool:
        """Whether any sender is listed at this address."""
        found = normal(address)
        return any(self._is_at(peer, found) for peer in self._senders)

    def admit(self, calling_ae: str, called_ae: str, address: str) -> Peer | Rejection:
        """The peer that asks, or why it is refused; AE titles count without outer spaces."""
        calling, called = calling_ae.strip(), called_ae.strip()
        if called != self._called_ae:
            reason = f"called AE title {called!r}, this node is {self._called_ae!r}"
            return Rejection(1, 1, CALLED_AE_NOT_RECOGNISED, "called_ae", reason)
        titled = [peer for peer in self._senders if peer.ae_title in (calling, "*")]
        found = normal(address)
        for peer in titled:
            if self._is_at(peer, found):
                return peer
        label = "address" if any(peer.ae_title != "*" for peer in titled) else "calling_ae"
        reason = f"no peer that may send is listed as {calling!r} at {found}"
        return Rejection(1, 1, CALLING_AE_NOT_RECOGNISED, label, reason)

    def _is_at(self, peer: Peer, address: Address) -> bool:
        try:
            return address in ipaddress.ip_network(peer.host, strict=False)
        except ValueError:
            return any(normal(found) == address for found in self._resolve(peer.host))
