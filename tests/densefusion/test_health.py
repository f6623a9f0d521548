"""The server of `/metrics`, `/healthz` and `/readyz`."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import urllib3

from densefusion import health, metrics
from densefusion.errors import SettingsError, exit_code
from densefusion.health import Health, PortTaken


class Patient:
    """A worker of this test: what it says of itself is set by the test."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.is_stuck: str | None = None
        self.is_unready: str | None = None

    def stuck(self) -> str | None:
        return self.is_stuck

    def unready(self) -> str | None:
        return self.is_unready


@pytest.fixture
def server() -> Iterator[Health]:
    with Health(0, "127.0.0.1") as running:
        yield running


def get(server: Health, path: str, host: str = "127.0.0.1") -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", f"http://{host}:{server.port}{path}", timeout=5, retries=False)


def test_a_process_without_workers_yet_lives_and_is_not_ready(server: Health) -> None:
    assert get(server, "/healthz").status == 200
    answer = get(server, "/readyz")
    assert (answer.status, answer.json()) == (503, {"ok": False, "why": {"process": "starting"}})


def test_one_worker_that_is_not_well_makes_the_process_so(server: Health) -> None:
    fetch, fusion = Patient("fetch"), Patient("fusion")
    server.workers = [fetch, fusion]
    for path in ("/healthz", "/readyz"):
        answer = get(server, path)
        assert (answer.status, answer.json()) == (200, {"ok": True, "why": {}})
        assert answer.headers["Content-Type"] == "application/json"
    fusion.is_unready = "no broker is connected"
    answer = get(server, "/readyz")
    assert (answer.status, answer.json()["why"]) == (503, {"fusion": "no broker is connected"})
    assert get(server, "/healthz").status == 200
    fetch.is_stuck = "has not polled for 99 s"
    answer = get(server, "/healthz")
    assert (answer.status, answer.json()["why"]) == (503, {"fetch": "has not polled for 99 s"})


def test_a_check_costs_readiness_alone(server: Health) -> None:
    server.workers = [Patient("fetch")]
    server.checks = {"store": lambda: "object store: gone"}
    answer = get(server, "/readyz")
    assert (answer.status, answer.json()["why"]) == (503, {"store": "object store: gone"})
    assert get(server, "/healthz").status == 200


def test_metrics_are_served_and_nothing_else(server: Health) -> None:
    metrics.RECORDS_IN.labels("health")
    answer = get(server, "/metrics")
    assert answer.status == 200
    assert b'densefusion_records_in_total{stage="health"} 0.0' in answer.data
    assert get(server, "/").status == 404
    assert get(server, "/metrics/../settings").status == 404


def test_clients_that_say_nothing_hold_nobody_up(
    server: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health._Silent, "timeout", 0.5)
    address = ("127.0.0.1", server.port)
    silent = [socket.create_connection(address) for _ in range(10)]
    assert get(server, "/healthz").status == 200
    more = [socket.create_connection(address) for _ in range(health._AT_ONCE)]
    for each in (*silent, *more):  # there was no more room, or its time is over
        each.settimeout(5)
        assert each.recv(1) == b""
        each.close()
    assert get(server, "/healthz").status == 200


def test_ipv6() -> None:
    try:
        running = Health(0, "::1")
    except SettingsError:
        pytest.skip("this machine has no IPv6")
    with running:
        assert get(running, "/healthz", "[::1]").status == 200


def test_its_own_name_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda *_: pytest.fail("DNS may take its time"))
    with Health(0, "127.0.0.1"):
        pass


def test_a_port_that_is_taken_may_be_free_later(server: Health) -> None:
    """`up` starts such a worker again, with another port; a wrong setting would end it all."""
    with pytest.raises(PortTaken, match=f"127.0.0.1, port {server.port}: Addr") as taken:
        Health(server.port, "127.0.0.1")
    assert exit_code(taken.value) == 3


def test_an_address_that_is_not_ours_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1, port 0: "):
        Health(0, "192.0.2.1")
