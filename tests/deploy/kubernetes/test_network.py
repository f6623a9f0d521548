"""The chart's network policies: what a pod can reach, worked out as Kubernetes does."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.deploy.kubernetes.rendered import of_kind, workloads

pytestmark = pytest.mark.parametrize("name", ["cpu", "gpu"])

PUBLIC = ["1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450:4001::200e"]
PRIVATE = [
    "10.0.0.1",
    "10.96.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
]


def policies(name: str, stage: str) -> list[dict[str, Any]]:
    labels = workloads(name)[stage]["spec"]["template"]["metadata"]["labels"]
    found = [
        policy["spec"]
        for policy in of_kind(name, "NetworkPolicy").values()
        if policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    ]
    assert found
    return found


def reaches(name: str, stage: str, address: str, port: int) -> bool:
    """Whether a rule by address lets the stage out to it; rules by pod are another matter."""
    for policy in policies(name, stage):
        for rule in policy.get("egress", []):
            if port not in [each["port"] for each in rule["ports"]]:
                continue
            for peer in rule["to"]:
                block = peer.get("ipBlock")
                if (
                    block is None
                    or ip_address(address).version != ip_network(block["cidr"]).version
                ):
                    continue
                if ip_address(address) in ip_network(block["cidr"]) and not any(
                    ip_address(address) in ip_network(each) for each in block.get("except", [])
                ):
                    return True
    return False


def test_everything_is_closed_first(name: str) -> None:
    for stage in workloads(name):
        types = {kind for policy in policies(name, stage) for kind in policy["policyTypes"]}
        assert types == {"Ingress", "Egress"}, stage
        for policy in policies(name, stage):
            for rule in [*policy.get("ingress", []), *policy.get("egress", [])]:
                peers = rule.get("from") or rule.get("to")
                assert peers and rule["ports"], "an empty list would be everybody"
                assert {} not in peers


def test_only_fetch_goes_out_and_to_public_addresses_only(name: str) -> None:
    for stage in workloads(name):
        for port in (80, 443):
            for address in PUBLIC:
                assert reaches(name, stage, address, port) is (stage == "fetch"), (stage, address)
            for address in PRIVATE:
                assert not reaches(name, stage, address, port), (stage, address)
        assert not reaches(name, stage, PUBLIC[0], 22), stage


def test_exceptions_lie_within_their_range(name: str) -> None:
    """Kubernetes refuses a policy where they do not."""
    for policy in of_kind(name, "NetworkPolicy").values():
        for rule in policy["spec"].get("egress", []):
            for block in (peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer):
                for each in block["except"]:
                    inner, outer = ip_network(each), ip_network(block["cidr"])
                    assert inner.version == outer.version and inner != outer
                    assert inner.subnet_of(outer)  # type: ignore[arg-type]


def test_only_prometheus_comes_in(name: str) -> None:
    for stage in workloads(name):
        rules = [rule for policy in policies(name, stage) for rule in policy.get("ingress", [])]
        assert [each["ports"] for each in rules] == [[{"port": 9100, "protocol": "TCP"}]], stage
