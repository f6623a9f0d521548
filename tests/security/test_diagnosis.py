"""Failures of TLS are told apart, and a client of Kafka's tells them in seconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from densefusion import clients
from densefusion.diagnosis import speaks_tls, tls_fault
from densefusion.errors import Refused
from densefusion.settings import Kafka
from densefusion.topics import Topics
from deploy.kafka.secure import write_pair
from tests.security.tls_server import TlsServer

OURS, OTHERS = trustme.CA(), trustme.CA()
NOW = datetime.now(UTC)


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    file.write_bytes(OURS.cert_pem.bytes())
    return file


def issued(**times: Any) -> trustme.LeafCert:
    return OURS.issue_cert("127.0.0.1", **times)


CASES = [
    (
        issued(not_before=NOW - timedelta(days=9), not_after=NOW - timedelta(days=1)),
        "its certificate has expired",
    ),
    (
        issued(not_before=NOW + timedelta(days=1), not_after=NOW + timedelta(days=9)),
        "its certificate is not valid yet",
    ),
    (OURS.issue_cert("elsewhere.example"), r"its certificate is not for 127\.0\.0\.1"),
    (OTHERS.issue_cert("127.0.0.1"), r"nobody we trust .*__CA"),
    (None, "hangs up on TLS"),
]
NAMES = ["expired", "not yet", "another host", "another CA", "plain text"]


@pytest.mark.parametrize(("certificate", "told"), CASES, ids=NAMES)
def test_what_is_wrong(certificate: trustme.LeafCert | None, told: str, ca: Path) -> None:
    with TlsServer(certificate) as server:
        security = {"protocol": "SSL", "ca": ca}
        kafka = Kafka(bootstrap=f"127.0.0.1:{server.port}", security=security)  # type: ignore[arg-type]
        began = time.monotonic()
        with pytest.raises(Refused, match=rf"127\.0\.0\.1:{server.port}.*{told}"):
            Topics(kafka, clients.common(kafka)).describe(["urls"])
        assert time.monotonic() - began < 8


def test_all_is_well(ca: Path) -> None:
    with TlsServer(issued()) as server:
        assert tls_fault("127.0.0.1", server.port, ca=ca) is None
        assert speaks_tls("127.0.0.1", server.port)


def test_nobody_is_there(ca: Path) -> None:
    with TlsServer(issued()) as server:
        port = server.port
    assert tls_fault("127.0.0.1", port, ca=ca) is None
    assert not speaks_tls("127.0.0.1", port)


@pytest.mark.parametrize("who", ["nobody", "a stranger", "a friend"])
def test_certificates_of_our_own(ca: Path, tmp_path: Path, who: str) -> None:
    given: dict[str, Any] = {}
    if who != "nobody":
        authority = OURS if who == "a friend" else OTHERS
        leaf = authority.issue_cert("us@client.invalid")
        write_pair(tmp_path, "us", leaf, password="open sesame")
        given = {"certificate": tmp_path / "us.pem", "key": tmp_path / "us.key"}
        wrong = tls_fault("127.0.0.1", 1, **given, key_password="wrong")
        assert wrong is not None and "do not fit together" in wrong
        given["key_password"] = "open sesame"
    with TlsServer(issued(), ca=str(ca)) as server:
        fault = tls_fault("127.0.0.1", server.port, ca=ca, **given)
    if who == "a friend":
        assert fault is None
    else:
        told = (
            "asks for a client's certificate" if who == "nobody" else "not accept our certificate"
        )
        assert fault is not None and told in fault
