"""PromQL that the dashboards share.

Every selector carries the variables `job` and `instance`, and every rate is taken over
`$__rate_interval`, which Grafana keeps at four scrapes or more.
"""

from __future__ import annotations

OVER = "$__rate_interval"
_SCOPE = 'job=~"$job", instance=~"$instance"'


def metric(name: str, *matchers: str) -> str:
    """A selector of `densefusion_<name>` within the job and instances chosen on the page."""
    return f"densefusion_{name}{{{', '.join((_SCOPE, *matchers))}}}"


def process(name: str) -> str:
    """A selector of a metric that prometheus-client adds by itself (``process_<name>``)."""
    return f"process_{name}{{{_SCOPE}}}"


def rate(name: str, *matchers: str, by: str = "") -> str:
    """Increase a second, summed over everything but the labels `by`."""
    return f"{_sum(by)}(rate({metric(name, *matchers)}[{OVER}]))"


def increase(name: str, *matchers: str, by: str = "") -> str:
    """Increase over the whole range of time on the page, summed likewise."""
    return f"{_sum(by)}(increase({metric(name, *matchers)}[$__range]))"


def quantile(share: float, name: str, *matchers: str, by: str = "") -> str:
    """A quantile of a histogram, for each value of `by`."""
    inner = rate(f"{name}_bucket", *matchers, by=", ".join(filter(None, ("le", by))))
    return f"histogram_quantile({share}, {inner})"


def mean(name: str, *matchers: str, by: str = "") -> str:
    """The mean of a histogram's observations, for each value of `by`."""
    return f"{rate(f'{name}_sum', *matchers, by=by)} / {rate(f'{name}_count', *matchers, by=by)}"


def total(name: str, *matchers: str, by: str = "") -> str:
    """A gauge, summed."""
    return f"{_sum(by)}({metric(name, *matchers)})"


def highest(name: str, *matchers: str, by: str = "") -> str:
    """A gauge, its highest value."""
    return f"{_sum(by, 'max')}({metric(name, *matchers)})"


def waiting(*matchers: str, by: str = "stage") -> str:
    """Records that wait in front of a stage: of the topics it reads, the one furthest behind.

    A transaction ends with a marker that no consumer ever gets, so an idle partition still reports
    a lag of one: it is taken off.
    """
    lag = f"clamp_min({metric('consumer_lag_records', *matchers)} - 1, 0)"
    return f"{_sum(by, 'max')}(sum by (stage, topic) ({lag}))"


def drain(*matchers: str, by: str = "stage") -> str:
    """Seconds until a stage has worked off what waits, at the rate it has now, if no more came."""
    inner = f"{waiting(*matchers)} / {rate('records_in_total', *matchers, by='stage')}"
    return inner if by == "stage" else f"{_sum(by, 'max')}({inner})"


def cpu(*matchers: str, by: str = "stage") -> str:
    """Cores kept busy. A process that works for several stages counts for each with its share."""
    ready = metric("worker_ready", *matchers)
    share = (
        f"(0 * {ready} + 1) / on (job, instance) group_left () "
        f"count by (job, instance) ({metric('worker_ready')})"
    )
    used = f"rate({process('cpu_seconds_total')}[{OVER}])"
    return f"{_sum(by)}({share} * on (job, instance) group_left () {used})"


def _sum(by: str, operation: str = "sum") -> str:
    return f"{operation} by ({by}) " if by else operation
