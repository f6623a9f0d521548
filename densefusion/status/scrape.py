"""Where the workers' metrics come from: from each worker, or from a Prometheus server."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlencode

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from densefusion.errors import DependencyError, SettingsError
from densefusion.status.reading import Reading

_PREFIX = "densefusion_"
_TIMEOUT = urllib3.Timeout(connect=1.0, read=3.0)
_LONG_TIMEOUT = urllib3.Timeout(connect=3.0, read=60.0)  # for what reads hours of samples
_LARGEST = 16 << 20  # bytes of one answer
_AT_ONCE = 16
# Sketches of Prometheus's own clients, which nobody here reads.
_SELECTOR = '{__name__=~"densefusion_.+",__name__!~".+_created"}'


Series = tuple[dict[str, str], dict[float, float]]  # labels; values by their time (Unix)


class MetricsAway(DependencyError):
    """The Prometheus server does not answer as it should."""


class Metrics(Protocol):
    """Something that can be read again and again."""

    def read(self) -> Reading: ...

    def before(self, seconds: float) -> Reading | None:
        """As it was so many seconds ago, or somewhat less, where somebody remembers."""


class Targets:
    """The workers of a file of targets (Prometheus's ``file_sd_configs``), each asked itself.

    The file is read anew each time, since workers come and go.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._http = urllib3.PoolManager(maxsize=2, timeout=_TIMEOUT, retries=False)

    def read(self) -> Reading:
        """A worker that does not answer is named in `Reading.down`.

        Raises:
            SettingsError: the file is there and is none of targets.
        """
        reading = Reading(time.monotonic())
        targets = dict(self._targets())
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="scrape") as pool:
            for target, answer in zip(targets, pool.map(self._scraped, targets), strict=True):
                if isinstance(answer, Exception):
                    reading.down[f"{targets[target]} {target}".strip()] = str(answer)
                    continue
                reading.up.add(target)
                for name, labels, value in answer:
                    reading.add(name, labels, target, value)
        return reading

    def before(self, seconds: float) -> Reading | None:
        return None

    def _targets(self) -> Iterator[tuple[str, str]]:
        """Addresses, and the workers' names where the file has them."""
        try:
            groups = json.loads(self._file.read_text("utf-8"))
            for group in groups:
                # Named by its slot, as `densefusion.workers` writes it: ocr-1.
                worker = str(group.get("labels", {}).get("worker", ""))
                for target in group["targets"]:
                    yield str(target), worker
        except FileNotFoundError:
            return
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise SettingsError(f"{self._file} is no file of targets: {error!r}") from error

    def _scraped(self, target: str) -> list[tuple[str, dict[str, str], float]] | Exception:
        try:
            text = _fetched(self._http, f"http://{target}/metrics").decode("utf-8", "replace")
            return [
                (sample.name, sample.labels, sample.value)
                for family in text_string_to_metric_families(text)
                if family.name.startswith(_PREFIX)
                for sample in family.samples
            ]
        except (urllib3.exceptions.HTTPError, MetricsAway, ValueError) as error:
            return error


class PrometheusServer:
    """A Prometheus server that scrapes the workers, wherever they are.

    Args:
        url: of the server, such as http://127.0.0.1:9090; http://user:password@... where it asks.

    Attributes:
        url: without user and password, for messages.
    """

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.rstrip("/").partition("://")
        login, _, place = rest.rpartition("@")
        self.url = f"{scheme}://{place}"
        self._http = urllib3.PoolManager(
            timeout=_TIMEOUT,
            retries=False,
            headers=urllib3.make_headers(basic_auth=unquote(login)) if login else None,
        )

    def read(self) -> Reading:
        """Raises `MetricsAway`."""
        reading = self._reading(_SELECTOR)
        for labels, value in self._query('up{job=~".*densefusion.*"}'):
            instance = labels.get("instance", "")
            if value != 1:
                reading.down[instance] = "down"
        return reading

    def before(self, seconds: float) -> Reading | None:
        for ago in (seconds, seconds / 2, seconds / 4):  # it may not run for that long
            reading = self._reading(f"{_SELECTOR} offset {ago:.0f}s")
            reading.at -= ago
            if reading.up:
                return reading
        return None

    def history(self, query: str, seconds: float, step: float) -> Iterator[Series]:
        """Each series of an expression over the last `seconds`, a value for each `step` of whole
        seconds. The steps of all queries are the same. Raises `MetricsAway`."""
        yield from self._series(f"({query})[{seconds:.0f}s:{step:.0f}s]", _LONG_TIMEOUT)

    def _reading(self, query: str) -> Reading:
        reading = Reading(time.monotonic())
        for labels, value in self._query(query):
            name = labels.pop("__name__")
            reading.add(name, labels, labels.get("instance", ""), value)
        return reading

    def _query(self, query: str) -> Iterator[tuple[dict[str, str], float]]:
        for labels, points in self._series(query, _TIMEOUT):
            for value in points.values():
                yield labels, value

    def _series(self, query: str, timeout: urllib3.Timeout) -> Iterator[Series]:
        url = f"{self.url}/api/v1/query?{urlencode({'query': query})}"
        try:
            answer: dict[str, Any] = json.loads(_fetched(self._http, url, timeout))
            for each in answer["data"]["result"]:
                points = each["values"] if "values" in each else [each["value"]]
                numbers = {float(at): float(value) for at, value in points}
                yield (
                    dict(each["metric"]),
                    {at: value for at, value in numbers.items() if not math.isnan(value)},
                )
        except (
            urllib3.exceptions.HTTPError, MetricsAway, ValueError, LookupError, TypeError,
        ) as error:  # fmt: skip
            raise MetricsAway(f"Prometheus at {self.url}: {error}") from error


def _fetched(http: urllib3.PoolManager, url: str, timeout: urllib3.Timeout = _TIMEOUT) -> bytes:
    """The body of an answer with status 200. Raises urllib3's errors, and `MetricsAway`."""
    response = http.request("GET", url, preload_content=False, redirect=False, timeout=timeout)
    try:
        body = response.read(_LARGEST + 1)
        if response.status != 200:
            raise MetricsAway(f"HTTP {response.status}: {body[:200].decode('utf-8', 'replace')}")
        if len(body) > _LARGEST:
            raise MetricsAway(f"more than {_LARGEST} bytes")
        return bytes(body)
    finally:
        response.release_conn()
