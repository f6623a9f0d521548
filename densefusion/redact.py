"""Secrets out of texts: those of the settings, and what looks like one."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, SecretStr

_SHORTEST = 4  # characters; a shorter secret would take every text apart
_SEEN = 64 << 10  # characters of a text that are looked at
_HIDDEN = "***"
# Variables of the libraries that we use.
_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "OPENAI_API_KEY",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
)
_LIKELY = re.compile(
    r"(?i)"
    r"(?P<query>(?:signature(?!doesnotmatch)|credential|security-token|password|passwd|secret|"
    r"api[_-]?key|access[_-]?token)[\w.-]{0,20}['\"]?\s{0,3}[=:]\s{0,3}['\"]?)[^\s&'\",;}]+"
    r"|(?P<header>\bauthorization['\"]?\s*[:=]\s*['\"]?(?:(?:bearer|basic|token)\s+)?)[^\s'\"},]+"
    r"|(?P<bearer>\bbearer\s+)[\w.~+/=-]{8,}"
    r"|(?P<scheme>\b\w+://)[^/\s:@]*:[^/\s@]*@"
)
# librdkafka's options are secret as a whole, since some are; most are words such as "SASL_SSL".
_SECRET_OPTION = re.compile(r"password|secret|token|jaas|key\.pem|pem$|oauth")


class Redact:
    """Replaces secrets in a text by ``***``: `secrets` wherever they stand, percent-encoded too,
    and what a signed URL, a URL with a password, an Authorization header or ``password=`` shows.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        forms = (form for each in secrets for form in (each, quote(each, safe="")))
        self._secrets.update(each for each in forms if len(each) >= _SHORTEST)
        longest = sorted(self._secrets, key=len, reverse=True)  # one may begin with another
        if longest:
            self._known = re.compile("|".join(map(re.escape, longest)))

    def __call__(self, text: str) -> str:
        text = text[:_SEEN]
        if self._known is not None:
            text = self._known.sub(_HIDDEN, text)
        return _LIKELY.sub(_hide, text)


def _hide(found: re.Match[str]) -> str:
    kept = next(part for part in found.groups() if part is not None)
    return kept + _HIDDEN + ("@" if found["scheme"] is not None else "")


def secrets(settings: BaseModel) -> Iterator[str]:
    """Every secret that the settings hold, and those in the environment of libraries."""
    for name in _VARIABLES:
        value = os.environ.get(name, "")
        yield value
        if name.endswith("_HEADERS"):  # name=value, comma separated
            yield from (each.partition("=")[2].strip() for each in value.split(","))
    yield from _within(settings)


def _within(model: BaseModel) -> Iterator[str]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _within(value)
        elif isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, Path) and name.endswith("_file"):  # a file that holds a secret
            with contextlib.suppress(OSError):
                yield value.read_text("utf-8", "replace").strip()
        elif isinstance(value, dict):
            for key, each in value.items():
                if isinstance(each, SecretStr) and _SECRET_OPTION.search(str(key)):
                    yield each.get_secret_value()
