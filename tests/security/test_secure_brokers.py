"""Real brokers with TLS and passwords: who is let in, and what those are told who are not."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from densefusion import clients
from densefusion.errors import Refused, exit_code
from densefusion.settings import Kafka, Settings, environment
from densefusion.topics import Topics
from deploy.kafka.secure import ADMIN, write_pair
from tests.security.conftest import Brokers

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
Make = Callable[[Brokers, Path], Kafka]
SECONDS = 8.0  # until it is told; a few on a machine that does nothing else


def _stranger(brokers: Brokers, folder: Path) -> Kafka:
    write_pair(folder, "stranger", trustme.CA().issue_cert("who@client.invalid"))
    pair = {"certificate": folder / "stranger.pem", "key": folder / "stranger.key"}
    return brokers.certificate(ADMIN, **pair)


def _other_ca(brokers: Brokers, folder: Path) -> Kafka:
    (folder / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    return brokers.password(ADMIN, ca=folder / "ca.pem")


REFUSED: dict[str, tuple[Make, str]] = {
    "wrong password": (
        lambda brokers, _: brokers.password(ADMIN, password="wrong"),
        r"refuses the user admin \(SCRAM-SHA-512\).*__PASSWORD",
    ),
    "wrong password, PLAIN": (
        lambda brokers, _: brokers.password(ADMIN, password="wrong", mechanism="PLAIN"),
        r"refuses the user admin \(PLAIN\)",
    ),
    "unknown user": (
        lambda brokers, _: brokers.password(ADMIN, username="nobody"),
        "refuses the user nobody",
    ),
    "another mechanism": (
        lambda brokers, _: brokers.password(ADMIN, mechanism="SCRAM-SHA-256"),
        "supported mechanisms: SCRAM-SHA-512,PLAIN",
    ),
    "another CA": (_other_ca, "nobody we trust .*__CA"),
    "no TLS": (
        lambda brokers, _: Kafka(bootstrap=brokers.cluster.bootstrap),
        "speaks TLS, and we do not.*__PROTOCOL",
    ),
    "no TLS, but a password": (
        lambda brokers, _: brokers.password(ADMIN, protocol="SASL_PLAINTEXT", ca=None),
        "speaks TLS, and we do not",
    ),
    "no login": (
        lambda brokers, _: Kafka(
            bootstrap=brokers.cluster.bootstrap,
            security={"protocol": "SSL", "ca": brokers.secured.ca},  # type: ignore[arg-type]
        ),
        "may want a username and password",
    ),
    "no certificate": (
        lambda brokers, _: brokers.certificate(ADMIN, certificate=None, key=None),
        "asks for a client's certificate.*__CERTIFICATE",
    ),
    "a stranger's certificate": (_stranger, "does not accept our certificate"),
    "no right": (
        lambda brokers, _: brokers.password("limited"),
        "topic urls: .*authorization failed.*docs/security.md",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_is_not_let_in_is_told_why(brokers: Brokers, tmp_path: Path, case: str) -> None:
    make, told = REFUSED[case]
    kafka = make(brokers, tmp_path)
    began = time.monotonic()
    with pytest.raises(Refused, match=told) as refused:
        Topics(kafka, clients.common(kafka)).describe(["urls"])
    assert time.monotonic() - began < SECONDS
    assert "\n" not in str(refused.value) and exit_code(refused.value) == 3
    if "right" not in case:
        assert "127.0.0.1:" in str(refused.value)  # which broker


@pytest.mark.parametrize("how", ["SCRAM-SHA-512", "PLAIN", "certificate", "encrypted key"])
def test_who_is_let_in(brokers: Brokers, tmp_path: Path, how: str) -> None:
    if how == "certificate":
        kafka = brokers.certificate(ADMIN)
    elif how == "encrypted key":
        kafka = brokers.certificate(ADMIN, **_encrypted(brokers, tmp_path))
    else:
        kafka = brokers.password(ADMIN, mechanism=how)
    assert Topics(kafka, clients.common(kafka)).describe(["no-such-topic"]) == {}


def _encrypted(brokers: Brokers, folder: Path) -> dict[str, Any]:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    _, plain = brokers.secured.certificate(ADMIN)
    key = load_pem_private_key(plain.read_bytes(), None)
    (folder / "key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"sesame"))
    )
    (folder / "word").write_text("sesame\n")
    return {"key": folder / "key", "key_password_file": folder / "word"}


COMMANDS = [["topics", "create"], ["status", "--json"], ["produce", "{list}"], ["worker", "fetch"]]


async def test_every_command_ends_with_one_line(brokers: Brokers, tmp_path: Path) -> None:
    urls = tmp_path / "urls.txt"
    urls.write_text("http://example.com/a.jpg\n")
    kafka = brokers.password(ADMIN, password="wrong")
    store = {"endpoint": "127.0.0.1:1", "access_key": SecretStr("a"), "secret_key": SecretStr("s")}
    base = Settings()
    settings = base.model_copy(
        update={"kafka": kafka, "store": base.store.model_copy(update=store)}
    )

    async def run(arguments: list[str]) -> None:
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "densefusion",
            *(each.replace("{list}", str(urls)) for each in arguments),
            env=os.environ | environment(settings), cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 60)
        said = err.decode()
        told = [line for line in said.splitlines() if "refuses the user admin" in line]
        assert process.returncode == 3, (arguments, out, said)
        assert len(told) == 1 and "Traceback" not in said and "kafka error" not in said, said
        assert time.monotonic() - began < 45  # four of them start at once, on whatever machine

    await asyncio.gather(*(run(arguments) for arguments in COMMANDS))
