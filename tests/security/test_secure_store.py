"""A real S3 server with TLS and policies: who is let in, to what, and what the others are told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from densefusion.errors import StoreError
from densefusion.settings import Store
from densefusion.store import ObjectStore
from tests.security.s3_server import SecureS3
from tests.security.store_rights import NEEDS, check

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def _other_ca(s3: SecureS3, folder: Path) -> Store:
    (folder / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    return s3.settings(ca=folder / "ca.pem")


REFUSED: dict[str, tuple[Callable[[SecureS3, Path], Store], str]] = {
    "another CA": (_other_ca, "nobody we trust.*DENSEFUSION_STORE__CA"),
    "the system's CAs": (lambda s3, _: s3.settings(ca=None), "nobody we trust"),
    "another host": (
        lambda s3, _: s3.settings(endpoint=s3.endpoint.replace("127.0.0.1", "localhost")),
        "not for localhost",
    ),
    "no TLS": (lambda s3, _: s3.settings(secure=False, ca=None), "DENSEFUSION_STORE__SECURE=true"),
    "wrong secret key": (
        lambda s3, _: s3.settings(secret_key=SecretStr("wrong")),
        "SignatureDoesNotMatch.*__SECRET_KEY",
    ),
    "unknown key": (
        lambda s3, _: s3.settings(access_key=SecretStr("nobody")),
        "InvalidAccessKeyId.*__ACCESS_KEY",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_is_not_let_in_is_told_why_at_once(s3: SecureS3, tmp_path: Path, case: str) -> None:
    make, told = REFUSED[case]
    store = ObjectStore(make(s3, tmp_path))
    calls = {
        "read": lambda: store.read("images/a"),
        "write": lambda: store.write("images/a", b""),
        "keys": lambda: list(store.keys("images/")),
        "reach": lambda: asyncio.run(store.reach()),
    }
    for name, call in calls.items():
        began = time.monotonic()
        with pytest.raises(StoreError, match=told) as refused:
            call()
        assert time.monotonic() - began < 5, name
        assert "\n" not in str(refused.value) and s3.endpoint.split(":")[1] in str(refused.value)
    store.close()


async def test_a_bucket_that_is_not_there_is_told(s3: SecureS3) -> None:
    store = ObjectStore(s3.settings(bucket="elsewhere", retry_for=0.5))
    with pytest.raises(StoreError, match=r"NoSuchBucket.*__BUCKET"):
        await store.reach()
    store.close()


def test_secrets_from_a_file(s3: SecureS3, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("open-sesame\n")
    settings = s3.settings(secret_key=SecretStr(""), secret_key_file=tmp_path / "secret")
    store = ObjectStore(settings)
    store.write("elsewhere/a", b"bytes")
    assert store.read("elsewhere/a") == b"bytes"
    store.close()


@pytest.mark.parametrize("policy", NEEDS)
def test_each_policy_allows_what_is_needed_and_nothing_else(s3: SecureS3, policy: str) -> None:
    admin = ObjectStore(s3.settings())
    check(admin, s3.user(policy), NEEDS[policy])
    admin.close()
