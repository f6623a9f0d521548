"""The names that queries may use: those of `densefusion.metrics`, and a few that are not ours."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.metrics import MetricWrapperBase

from densefusion import metrics

_ADDED = {"job", "instance"}  # by Prometheus, to all
# Of prometheus-client (process_*) and of Prometheus itself.
_FOREIGN = ("up", "process_cpu_seconds_total", "process_resident_memory_bytes")
_PARTS = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "gauge": ("",),
}


def defined() -> dict[str, set[str]]:
    """Every series name that `densefusion.metrics` can make, and its labels."""
    found: dict[str, set[str]] = {}
    for each in vars(metrics).values():
        if not isinstance(each, MetricWrapperBase):
            continue
        for part in _PARTS[each._type]:
            labels = {*each._labelnames, *_ADDED} | ({"le"} if part == "_bucket" else set())
            found[each._name.removesuffix("_total") + part] = labels
    return found


def labels_of(metric: str, recorded: Mapping[str, set[str]] | None = None) -> set[str]:
    """The labels of a metric. Raises `AssertionError` where nothing has that name."""
    if metric in _FOREIGN:
        return set(_ADDED)
    found = (recorded or {}).get(metric) or defined().get(metric)
    assert found is not None, f"no metric is called {metric}"
    return found
