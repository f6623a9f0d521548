"""Getting into the object store: keys, TLS, and what to do where it does not let us."""

from __future__ import annotations

import os
import re

import urllib3
from minio.error import S3Error

from densefusion.diagnosis import tls_fault
from densefusion.errors import SettingsError
from densefusion.settings_security import secret
from densefusion.settings_store import Store

_SETTINGS = "DENSEFUSION_STORE"
_XML = re.compile(r"<Code>(?P<code>\w+)</Code>.*?<Message>(?P<message>[^<]*)", re.DOTALL)
_ADVICE = {
    "InvalidAccessKeyId": f"it does not know our key: see {_SETTINGS}__ACCESS_KEY",
    "SignatureDoesNotMatch": f"the secret key is not that of our access key: see "
    f"{_SETTINGS}__SECRET_KEY",
    "AccessDenied": "the secret key is wrong, or the key lacks a right: deploy/s3 has "
    "what each stage needs",
    "NoSuchBucket": f"make the bucket, or see {_SETTINGS}__BUCKET",
    "RequestTimeTooSkewed": "this machine's clock is off",
    "AuthorizationHeaderMalformed": f"see {_SETTINGS}__REGION",
}
# Trying again does not help. A bucket may be made yet.
FINAL = {*_ADVICE, "InvalidBucketName"} - {"NoSuchBucket"}
_PLAIN_TO_TLS = "HTTP request to an HTTPS server"  # Go's servers: MinIO, SeaweedFS
_NO_TLS = ("CERTIFICATE", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "ALERT")


def keys(settings: Store) -> tuple[str, str]:
    """Access key and secret key.

    Raises:
        SettingsError: there are none, or their file cannot be read.
    """
    try:
        access = secret(settings.access_key, settings.access_key_file)
        key = secret(settings.secret_key, settings.secret_key_file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"keys for the object store: {error}") from error
    access = access or os.environ.get("AWS_ACCESS_KEY_ID", "")
    key = key or os.environ.get("AWS_SECRET_ACCESS_KEY", "")
    if not access or not key:
        raise SettingsError(
            f"no keys for the object store: set {_SETTINGS}__ACCESS_KEY and {_SETTINGS}"
            "__SECRET_KEY (or their _FILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
        )
    return access, key


def connections(settings: Store) -> urllib3.PoolManager:
    """Connections to the store, of which each answer is waited for `timeout` seconds.

    Raises:
        SettingsError: `ca` holds no certificates.
    """
    pool = urllib3.PoolManager(
        maxsize=settings.connections,
        timeout=urllib3.Timeout(connect=5, read=settings.timeout),
        retries=False,
        ca_certs=None if settings.ca is None else str(settings.ca),
    )
    if settings.ca is not None and "-----BEGIN" not in settings.ca.read_text("ascii", "replace"):
        raise SettingsError(f"{_SETTINGS}__CA: {settings.ca} is not a PEM file")
    return pool


def is_final(error: BaseException) -> bool:
    """Whether the store, or TLS, says no for good."""
    if isinstance(error, S3Error):
        return error.code in FINAL
    if isinstance(error, urllib3.exceptions.SSLError):
        return any(word in str(error) for word in _NO_TLS)
    return _PLAIN_TO_TLS in str(error)


def explain(error: BaseException, settings: Store) -> str:
    """One line: which store, what it says, and what to do about it."""
    where = f"object store {settings.endpoint}, bucket {settings.bucket}"
    if isinstance(error, urllib3.exceptions.SSLError) and (fault := _tls(settings)) is not None:
        return f"{where}: {fault}"
    if _PLAIN_TO_TLS in str(error):
        return f"{where}: it speaks TLS, and we do not: set {_SETTINGS}__SECURE=true"
    said = f"{error.code}: {error.message}" if isinstance(error, S3Error) else str(error)
    if (found := _XML.search(said)) is not None:
        said = f"{found['code']}: {found['message']}"
    advice = _ADVICE.get(said.partition(":")[0])
    return f"{where}: {said}" + (f"; {advice}" if advice else "")


def _tls(settings: Store) -> str | None:
    host, _, port = (settings.endpoint or "").rpartition(":")
    if not host or not port.isdecimal():
        host, port = settings.endpoint or "", "443"
    return tls_fault(host.strip("[]"), int(port), ca=settings.ca, settings=_SETTINGS)
