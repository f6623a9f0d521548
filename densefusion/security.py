"""The security settings in the words of each client library."""

from __future__ import annotations

from typing import Any

from densefusion.errors import SettingsError
from densefusion.settings_security import KafkaSecurity, Login, secret


def kafka_options(security: KafkaSecurity) -> dict[str, Any]:
    """librdkafka's options. Raises `SettingsError` where a secret's file cannot be read."""
    options: dict[str, Any] = {"security.protocol": security.protocol}
    if security.tls:
        # A certificate that is somebody else's is none.
        options["ssl.endpoint.identification.algorithm"] = "https"
        options |= _tls(security)
    if security.sasl:
        options |= {
            "sasl.mechanism": security.mechanism,
            "sasl.username": security.username,
            "sasl.password": _secret(security, "password"),
        }
    return options


def registry_options(security: Login) -> dict[str, Any]:
    """Those of `SchemaRegistryClient`. Raises as `kafka_options`."""
    options = _tls(security)
    if security.username is not None:
        options["basic.auth.user.info"] = f"{security.username}:{_secret(security, 'password')}"
    return options


def key_password(security: Login) -> str:
    """Of our own certificate's key, or "". Raises as `kafka_options`."""
    return _secret(security, "key_password")


def _tls(security: Login) -> dict[str, Any]:
    """Files, in the names that both libraries have for them."""
    files = {
        "ssl.ca.location": security.ca,
        "ssl.certificate.location": security.certificate,
        "ssl.key.location": security.key,
    }
    options = {name: str(file) for name, file in files.items() if file is not None}
    if word := key_password(security):
        options["ssl.key.password"] = word
    return options


def _secret(security: Login, name: str) -> str:
    file = getattr(security, f"{name}_file")
    try:
        return secret(getattr(security, name), file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name}_file {file}: {error}") from error
