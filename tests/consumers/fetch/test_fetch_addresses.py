from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.fetch.addresses import AllowList, Hop, current_hop, guarded_socket, is_public


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808", "2a00::1"],
)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.31.0.1",
        "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.8",
        "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::8.8.8.8", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::a00:1", "64:ff9b:1::808:808", "100::1", "2001::1", "2001:db8::1",
        "2002:7f00:1::", "2002:808:808::", "3fff::1", "5f00::1", "fc00::1", "fd12::1", "fe80::1",
        "fe80::1%eth0", "2606:4700::1111%1", "fec0::1", "ff02::1",
        "localhost", "", "1.2.3", "nonsense",
    ],
)  # fmt: skip
def test_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_nat64_is_judged_by_what_it_embeds(ip: IPv4Address) -> None:
    embedded = IPv6Address(int(IPv6Address("64:ff9b::")) | int(ip))
    assert is_public(str(embedded)) == is_public(str(ip))


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(ip: IPv4Address | IPv6Address) -> None:
    if is_public(str(ip)) and not str(ip).startswith("64:ff9b::"):
        assert ip.is_global and not ip.is_multicast and not ip.is_private and not ip.is_loopback


def _info(address: str) -> tuple[object, ...]:
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80))


def test_without_a_hop_nothing_private_is_reachable() -> None:
    assert current_hop.get() is None
    with pytest.raises(PermissionError):
        guarded_socket(_info("127.0.0.1"))


def test_the_hop_learns_what_was_refused() -> None:
    hop = Hop(allowed=False)
    token = current_hop.set(hop)
    try:
        with pytest.raises(PermissionError):
            guarded_socket(_info("10.0.0.1"))
        guarded_socket(_info("8.8.8.8")).close()
    finally:
        current_hop.reset(token)
    assert hop.refused == ["10.0.0.1"]


def test_an_allowed_hop_may_go_anywhere() -> None:
    token = current_hop.set(Hop(allowed=True))
    try:
        guarded_socket(_info("127.0.0.1")).close()
    finally:
        current_hop.reset(token)


def test_allow_list() -> None:
    allow = AllowList([("Store.Internal", None), ("127.0.0.1", 8000)])
    assert allow.allows("store.internal", 1)
    assert allow.allows("store.internal.", 443)
    assert allow.allows("127.0.0.1", 8000)
    assert not allow.allows("127.0.0.1", 8001)
    assert not allow.allows("a.store.internal", 80)
