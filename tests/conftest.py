"""How the tests are shared out among processes (`pytest -n 2 --dist loadgroup`)."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
# They start brokers, and mostly wait: one after the other, beside all the others.
ON_BROKERS = {"faults", "chaos", "security", "autoscaling"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What has servers of its own starts first; a file stays together, as its fixtures do."""
    for item in items:
        where = item.path.relative_to(HERE)
        group = "brokers" if where.parts[0] in ON_BROKERS else where.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.path.relative_to(HERE).parts[0] not in ON_BROKERS)
