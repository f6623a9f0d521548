"""What Grafana does to a query before it sends it: variables become text."""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


def substitute(expr: str, *, stage: str, interval: int, window: int, **more: str) -> str:
    """An expression that Prometheus can run.

    Args:
        stage: the variable of that name; `job` and `instance` are "All".
        interval: `$__rate_interval` in seconds.
        window: `$__range`, the time that the page shows, in seconds.

    Raises:
        KeyError: the expression has a variable that no page defines.
    """
    values: Mapping[str, str] = {
        "__rate_interval": f"{interval}s",
        "__range": f"{window}s",
        "job": ".+",
        "instance": ".+",
        "stage": stage,
        **more,
    }
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], expr)
