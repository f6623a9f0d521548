"""Which addresses may be connected to (SSRF protection).

The check sits in the socket factory, which is called with the very address that is connected to
next: for literal addresses and looked-up names, for each redirect, with no time between check and
use in which DNS could answer differently. A connection that is kept and used again belongs to the
same host and port that it was opened for.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

_V4_SPECIAL = (
    IPv4Network("192.88.99.0/24"),  # 6to4 relays, RFC 7526
    IPv4Network("192.0.0.0/24"),  # RFC 6890; older Pythons know parts of it only
)
_V6_GLOBAL = IPv6Network("2000::/3")  # the only block that IANA gives to the public Internet
_V6_SPECIAL = (
    IPv6Network("2001::/23"),  # protocol assignments; Teredo among them
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation, RFC 9637
)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052


def is_public(address: str) -> bool:
    """Whether an IP address, as text, is a unicast address of the public Internet.

    Addresses that embed an IPv4 one (IPv4-mapped, 6to4, Teredo) are not: no public name needs
    them. NAT64's well-known prefix is what DNS64 answers for every IPv4 host, so there the
    embedded address counts.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        return _is_public_v6(ip)
    return (
        ip.is_global
        and not (ip.is_multicast or ip.is_reserved)
        and not any(ip in network for network in _V4_SPECIAL)
    )


def _is_public_v6(ip: IPv6Address) -> bool:
    if ip in _NAT64:
        return is_public(str(IPv4Address(int(ip) & 0xFFFFFFFF)))
    return (
        ip in _V6_GLOBAL
        and ip.is_global
        and ip.scope_id is None
        and not any(ip in network for network in _V6_SPECIAL)
    )


class AllowList:
    """Hosts that may be anywhere, by name: ``host``, ``host:port``, ``[v6]:port``."""

    def __init__(self, hosts: Iterable[tuple[str, int | None]]) -> None:
        self._hosts = {(_canonical(host), port) for host, port in hosts}

    def allows(self, host: str, port: int) -> bool:
        name = _canonical(host)
        return (name, None) in self._hosts or (name, port) in self._hosts


def _canonical(host: str) -> str:
    return host.lower().removesuffix(".")


@dataclass(slots=True)
class Hop:
    """What one request may connect to, and which addresses it was refused."""

    allowed: bool
    refused: list[str] = field(default_factory=list)


# aiohttp's hook is told the address only. The name it was looked up for comes this way: tasks that
# connect on behalf of a request inherit its context. Without one, nothing private is reachable.
current_hop: ContextVar[Hop | None] = ContextVar("current_hop", default=None)


def guarded_socket(addr_info: tuple[Any, ...]) -> socket.socket:
    """A socket for the address about to be connected to (aiohttp's `socket_factory`).

    Raises:
        PermissionError: the address is not public, and the current hop's host is not allowed.
    """
    family, kind, protocol, _, address = addr_info
    hop = current_hop.get()
    if not (hop is not None and hop.allowed) and not is_public(address[0]):
        if hop is not None:
            hop.refused.append(str(address[0]))
        raise PermissionError(f"{address[0]} is not a public address")
    return socket.socket(family=family, type=kind, proto=protocol)
