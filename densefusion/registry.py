"""The Schema Registry, by settings; what fails is a dependency that is away, and no record's fault.

The client's exceptions end here: a worker that took them for a record's would give up good records.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from confluent_kafka.schema_registry.error import SchemaRegistryError

from densefusion.diagnosis import tls_fault
from densefusion.errors import RegistryError, SettingsError
from densefusion.security import key_password, registry_options
from densefusion.settings import Kafka
from schemas.files import Schema
from schemas.registry import ConfluentRegistry

T = TypeVar("T")
_SETTINGS = "DENSEFUSION_KAFKA__REGISTRY"
_LOGIN = (401, 403)
_USER = re.compile(r"//[^/@]*@")


class Registry:
    """`schemas.codec.Registry` of these settings.

    Every call raises `RegistryError` where there is no answer, after some seconds of retries, or
    the server does not let us.

    Raises:
        SettingsError: the URL or a file cannot be.
    """

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        url = settings.schema_registry or ""
        self._url = _USER.sub("//", url)  # for messages
        try:
            self._registry = ConfluentRegistry(url, registry_options(settings.registry))
        except (ValueError, TypeError, OSError) as error:
            raise SettingsError(f"Schema Registry {self._url}: {error}") from error

    def register(self, subject: str, schema: Schema) -> int:
        return self._asked(lambda: self._registry.register(subject, schema))

    def schema(self, schema_id: int) -> Schema:
        """Raises LookupError where there is none of Avro's."""
        return self._asked(lambda: self._registry.schema(schema_id))

    def _asked(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except SchemaRegistryError as error:
            raise RegistryError(f"Schema Registry {self._url}: {_said(error)}") from error
        except LookupError:
            raise
        except Exception as error:  # of an HTTP library that is the client's own business
            said = self._tls() or error or type(error).__name__
            raise RegistryError(f"Schema Registry {self._url}: {said}") from error

    def _tls(self) -> str | None:
        url = urlsplit(self._url)
        if url.scheme != "https":
            return None
        login = self._settings.registry
        return tls_fault(
            url.hostname or "",
            url.port or 443,
            ca=login.ca,
            certificate=login.certificate,
            key=login.key,
            key_password=key_password(login),
            settings=_SETTINGS,
        )


def _said(error: SchemaRegistryError) -> str:
    said = f"HTTP {error.http_status_code}, {error.error_message}"
    if error.http_status_code in _LOGIN:
        return f"{said}: it does not accept our login; see {_SETTINGS}__USERNAME and __PASSWORD"
    return said
