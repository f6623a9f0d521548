"""Prometheus's HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import urllib3

_SECONDS = 30.0
_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")
Floats = npt.NDArray[np.float64]


class QueryFailed(Exception):
    """Prometheus refuses a query, or does not answer."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values over time (Unix seconds); an instant query's has one."""

    labels: dict[str, str]
    times: Floats
    values: Floats

    def name(self, form: str) -> str:
        """Grafana's legend: `form` with its ``{{label}}`` filled in."""
        return _LABEL.sub(lambda found: self.labels.get(found[1], ""), form).strip() or "value"


class Prometheus:
    """Queries over one window of time.

    Args:
        url: such as ``http://127.0.0.1:9090``.
        start, end: Unix seconds.
        step: seconds between the points of a line.
    """

    def __init__(self, url: str, start: float, end: float, step: float) -> None:
        self._url = url.rstrip("/")
        self._http = urllib3.PoolManager(timeout=_SECONDS, retries=False)
        self.start, self.end, self.step = start, end, step

    def over_time(self, expr: str) -> list[Series]:
        """Raises `QueryFailed`."""
        window = {"start": self.start, "end": self.end, "step": self.step}
        return self._ask("query_range", {"query": expr, **window})

    def now(self, expr: str) -> list[Series]:
        """At the window's end. Raises `QueryFailed`."""
        return self._ask("query", {"query": expr, "time": self.end})

    def _ask(self, verb: str, fields: dict[str, Any]) -> list[Series]:
        try:
            answer = self._http.request(
                "POST", f"{self._url}/api/v1/{verb}", fields=fields, encode_multipart=False
            )
            found = answer.json()
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise QueryFailed(f"{self._url}: {error}") from error
        if found.get("status") != "success":
            raise QueryFailed(f"{found.get('error')}\n{fields['query']}")
        return [_series(each) for each in found["data"]["result"]]


def _series(found: dict[str, Any]) -> Series:
    points = np.array(found.get("values") or [found["value"]], dtype=np.float64)
    return Series(found["metric"], points[:, 0], points[:, 1])
