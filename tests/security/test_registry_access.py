"""The Schema Registry behind a password and TLS, or away: one line, and no record given up."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from densefusion.errors import RegistryError, SettingsError
from densefusion.settings import Kafka, Settings, environment
from deploy.kafka.secure import ADMIN
from schemas import Codec
from schemas.codec import CONFLUENT
from tests.schemas.registry_server import RegistryServer
from tests.schemas.test_registry import URL
from tests.security.conftest import Brokers

pytest.importorskip("confluent_kafka.schema_registry")  # the extra `registry`
from densefusion.registry import Registry

CA = trustme.CA()


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    file.write_bytes(CA.cert_pem.bytes())
    return file


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    """On TLS, for a user with a password."""
    running = RegistryServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("127.0.0.1").configure_cert(context)
    plain = running._server
    plain.socket = context.wrap_socket(plain.socket, server_side=True)
    running.url = running.url.replace("http:", "https:")
    expected = "Basic " + base64.b64encode(b"us:pass:word").decode()

    class Guarded(plain.RequestHandlerClass):  # type: ignore[misc,name-defined]
        def _answer(self, body: dict[str, Any]) -> None:
            if self.headers["Authorization"] == expected:
                super()._answer(body)
                return
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

    plain.RequestHandlerClass = Guarded
    with running:
        yield running


def settings(url: str, **login: Any) -> Kafka:
    return Kafka(bootstrap="b:1", schema_registry=url, registry=login)  # type: ignore[arg-type]


def test_by_password_over_tls(server: RegistryServer, ca: Path) -> None:
    kafka = settings(server.url, username="us", password=SecretStr("pass:word"), ca=ca)
    raw = Codec(Registry(kafka)).encode("ImageUrl", URL, "urls")
    assert Codec(Registry(kafka)).decode("ImageUrl", raw) == URL


@pytest.mark.parametrize(
    ("login", "told"),
    [
        ({"username": "us", "password": "wrong"}, "does not accept our login.*__PASSWORD"),
        ({}, "does not accept our login"),
        ({"ca": None}, "nobody we trust.*DENSEFUSION_KAFKA__REGISTRY__CA"),
    ],
)
def test_who_is_not_let_in(
    server: RegistryServer, ca: Path, login: dict[str, Any], told: str
) -> None:
    registry = Registry(settings(server.url, **{"ca": ca, **login}))
    with pytest.raises(RegistryError, match=told):
        Codec(registry).encode("ImageUrl", URL, "urls")
    with pytest.raises(RegistryError, match=told):
        Codec(registry).decode("ImageUrl", CONFLUENT + b"\0\0\0\1body")


def nobody() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}"


def test_one_that_is_away_is_no_fault_of_the_record() -> None:
    """Neither a `SchemaError` nor anything else that would make a dead letter of it."""
    url = nobody()
    began = time.monotonic()
    with pytest.raises(RegistryError, match=url) as away:
        Codec(Registry(settings(url))).encode("ImageUrl", URL, "urls")
    assert time.monotonic() - began < 10 and "\n" not in str(away.value)


def test_what_cannot_be_is_a_setting_at_fault(ca: Path) -> None:
    for wrong in ({"certificate": ca, "key": ca}, {}):
        url = "https://127.0.0.1:1" if wrong else "no url"
        with pytest.raises(SettingsError, match="Schema Registry"):
            Registry(settings(url, **wrong))


@pytest.mark.integration
def test_the_command_ends_with_one_line(brokers: Brokers, tmp_path: Path) -> None:
    from consumers.roster import make_topics

    (tmp_path / "urls.txt").write_text("http://example.com/a.jpg\n")
    url = nobody()
    kafka = brokers.password(ADMIN).model_copy(update={"prefix": "registry."})
    base = Settings()
    store = base.store.model_copy(update={"endpoint": "127.0.0.1:1"})
    ours = base.model_copy(update={"kafka": kafka, "store": store})
    make_topics(ours).create(["urls"])
    process = subprocess.run(
        [sys.executable, "-m", "densefusion", "produce", "urls.txt"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | environment(ours) | {"DENSEFUSION_KAFKA__SCHEMA_REGISTRY": url},
    )  # fmt: skip
    assert process.returncode == 3, process.stderr
    assert "Traceback" not in process.stderr
    assert [url in line for line in process.stderr.splitlines()].count(True) == 1, process.stderr
