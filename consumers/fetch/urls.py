"""From text to a URL that may be requested, or why not.

A list of URLs is hostile text. What passes here is an http or https URL with a plain host; where
that host leads is judged when connecting (`consumers.fetch.addresses`).
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv6Address
from urllib.parse import urljoin

from yarl import URL

from consumers.fetch.addresses import is_public
from consumers.stage import Rejected

MAX_URL_BYTES = 8192
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# The characters of RFC 3986. A URL of these alone is sent as it came: requoting it would break the
# signatures that image hosts put over path and query.
_AS_IT_CAME = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")  # as a last label: an IPv4 address (WHATWG URL, 3.5)
_CANONICAL_IPV4 = re.compile(r"(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}")


def parse_url(text: str, base: URL | None = None) -> URL:
    """Parse a URL; with `base`, a redirect's ``Location`` that may be relative to it.

    Returns:
        An absolute http(s) URL with host, without userinfo or fragment.

    Raises:
        Rejected: ``malformed-url``; ``private-address`` for a private IPv4 address in one of the
            spellings that only `inet_aton` knows (``0x7f.1``, ``2130706433``).
    """
    text = text.strip(" ")
    try:
        _check_text(text)
        if base is not None:
            text = urljoin(str(base), text)
        url = URL(text, encoded=_AS_IT_CAME.fullmatch(text) is not None)
        _check_parts(url)
    except ValueError as exc:  # includes UnicodeError: lone surrogates, IDNA failures
        raise Rejected("malformed-url", f"{exc}: {text[:120]!r}") from exc
    return url.with_fragment(None) if url.raw_fragment else url


def _check_text(text: str) -> None:
    if len(text.encode()) > MAX_URL_BYTES:
        raise ValueError(f"longer than {MAX_URL_BYTES} bytes")
    if _CONTROL.search(text):
        raise ValueError("control character")


def _check_parts(url: URL) -> None:
    if url.scheme not in ("http", "https"):
        raise ValueError("neither http nor https")
    if "@" in url.raw_authority:
        raise ValueError("user name in URL")
    if not url.raw_host:
        raise ValueError("no host")
    if url.port == 0:
        raise ValueError("port 0")
    _check_host(url.raw_host.lower(), bracketed="[" in url.raw_authority)


def _check_host(host: str, bracketed: bool) -> None:
    if bracketed or ":" in host:
        IPv6Address(host)
        return
    name = host.removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("not a host name")
    if _NUMBER.fullmatch(labels[-1]):
        _check_ipv4(host)


def _check_ipv4(host: str) -> None:
    """Let pass canonical addresses only; the others are known to resolvers, not to honest URLs."""
    if _CANONICAL_IPV4.fullmatch(host):
        return
    try:
        address = socket.inet_ntoa(socket.inet_aton(host.removesuffix(".")))
    except OSError:
        raise ValueError("not an IPv4 address") from None
    if not is_public(address):
        raise Rejected("private-address", f"{host[:80]} is {address}")
    raise ValueError("not a canonical IPv4 address")
