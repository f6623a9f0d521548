"""The workers' metrics: from each of them, and from a Prometheus server; both may be away."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from densefusion.cli.status import _metrics
from densefusion.errors import SettingsError
from densefusion.servers import free_ports
from densefusion.settings import Settings
from densefusion.status.scrape import MetricsAway, PrometheusServer, Targets


class Served:
    """Answers by path, over HTTP on loopback; notes the queries of a Prometheus."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.queries: list[str] = []
        self.logins: list[str | None] = []
        self.vectors: dict[str, list[dict[str, object]]] = {}
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                served.logins.append(self.headers["Authorization"])
                body = served.bodies.get(url.path)
                if url.path == "/api/v1/query" and body is None:
                    (query,) = parse_qs(url.query)["query"]
                    served.queries.append(query)
                    result = served.vectors.get(query.rpartition(" offset ")[2], [])
                    answer = {"status": "success", "data": {"result": result}}
                    body = json.dumps(answer).encode()
                self.send_response(200 if body is not None else 404)
                self.end_headers()
                self.wfile.write(body or b"nothing here")

            def log_message(self, format: str, *arguments: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.close()


def exposed(records: int) -> bytes:
    """What a worker answers, by the library that it uses."""
    registry = CollectorRegistry()
    counter = Counter("densefusion_records_in_total", "Records.", ["stage"], registry=registry)
    counter.labels("fetch").inc(records)
    Counter("python_things_total", "Not ours.", registry=registry).inc(5)
    return generate_latest(registry)


def listed(file: Path, *addresses: str) -> Path:
    groups = [
        {"targets": [address], "labels": {"worker": f"fetch-{number}"}}
        for number, address in enumerate(addresses)
    ]
    file.write_text(json.dumps(groups), "utf-8")
    return file


def test_workers_are_asked_themselves(served: Served, tmp_path: Path) -> None:
    served.bodies["/metrics"] = exposed(7)
    (nobody,) = free_ports(1)
    file = listed(tmp_path / "targets.json", served.address, f"127.0.0.1:{nobody}")
    reading = Targets(file).read()
    assert reading.total("densefusion_records_in_total", "stage", "instance") == {
        ("fetch", served.address): 7
    }
    assert reading.up == {served.address}
    assert set(reading.series) <= {"densefusion_records_in_total", "densefusion_records_in_created"}
    ((name, why),) = reading.down.items()
    assert name == f"fetch-1 127.0.0.1:{nobody}" and "refused" in why


def test_the_file_is_read_anew(served: Served, tmp_path: Path) -> None:
    targets = Targets(tmp_path / "targets.json")
    assert targets.read().up == set(), "no worker runs yet"
    served.bodies["/metrics"] = exposed(1)
    listed(tmp_path / "targets.json", served.address)
    assert targets.read().up == {served.address}


@pytest.mark.parametrize("text", ["no json", "[1]", '{"targets": 1}', '[{"labels": {}}]'])
def test_a_file_that_is_none_of_targets(text: str, tmp_path: Path) -> None:
    (tmp_path / "targets.json").write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=r"targets\.json"):
        Targets(tmp_path / "targets.json").read()


@pytest.mark.parametrize("body", [b"<html>no metrics</html>", b"\xff\xfe{", b"densefusion_x"])
def test_what_answers_is_no_worker(body: bytes, served: Served, tmp_path: Path) -> None:
    served.bodies["/metrics"] = body
    reading = Targets(listed(tmp_path / "targets.json", served.address)).read()
    assert not reading.series
    assert reading.down or reading.up == {served.address}


def vector(records: float, instance: str = "w1") -> list[dict[str, object]]:
    metric = {
        "__name__": "densefusion_records_in_total", "stage": "fetch", "instance": instance,
        "job": "densefusion",
    }  # fmt: skip
    return [{"metric": metric, "value": [0, str(records)]}]


def test_prometheus_is_asked_for_everything_of_ours(served: Served) -> None:
    served.vectors['{__name__=~"densefusion_.+",__name__!~".+_created"}'] = vector(5)
    down = [{"metric": {"instance": "w2"}, "value": [0, "0"]}]
    served.vectors['up{job=~".*densefusion.*"}'] = down
    reading = PrometheusServer(f"http://{served.address}/").read()
    assert reading.total("densefusion_records_in_total", "stage") == {("fetch",): 5}
    assert (reading.up, set(reading.down)) == ({"w1"}, {"w2"})


def test_prometheus_that_has_not_run_for_long(served: Served) -> None:
    served.vectors["15s"] = vector(3)
    server = PrometheusServer(f"http://{served.address}")
    now = server.read().at
    earlier = server.before(60)
    assert earlier is not None
    assert now - earlier.at == pytest.approx(15, abs=1)
    served.vectors.clear()
    assert server.before(60) is None


@pytest.mark.parametrize("body", [b"", b"[]", b'{"status": "error"}', None])
def test_what_answers_is_no_prometheus(body: bytes | None, served: Served) -> None:
    served.bodies["/api/v1/query"] = body if body is not None else b"\0"
    with pytest.raises(MetricsAway, match=served.address):
        PrometheusServer(f"http://{served.address}").read()


def test_prometheus_is_away() -> None:
    (nobody,) = free_ports(1)
    with pytest.raises(MetricsAway, match="refused"):
        PrometheusServer(f"http://127.0.0.1:{nobody}").read()


def test_a_password_is_sent_and_never_said(served: Served, tmp_path: Path) -> None:
    url = f"http://ann:s%40cret@{served.address}"
    server, source = _metrics(Settings(data_dir=tmp_path), url, None)
    assert server is not None
    assert source == f"http://{served.address}"
    server.read()
    assert served.logins[-1] == f"Basic {b64encode(b'ann:s@cret').decode()}"
    served.bodies["/api/v1/query"] = b"[]"
    with pytest.raises(MetricsAway) as raised:
        server.read()
    assert "cret" not in str(raised.value)
