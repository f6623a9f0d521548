"""How the tests are shared out among processes (`pytest -n 2`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

# They start brokers, and mostly wait: one after the other, beside all the others.
ON_BROKERS = ("tests/faults/", "tests/chaos/", "tests/security/", "tests/autoscaling/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest starts first."""
    items.sort(key=lambda item: not item.nodeid.startswith(ON_BROKERS))


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist there is nothing to share out
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """A file stays together, as its fixtures do; what starts brokers is all one piece."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "brokers" if nodeid.startswith(ON_BROKERS) else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes go by their length: two processes must give a test the same name, and whole
    pictures, or a compressor's time stamp, would be in it."""
    return f"{len(val)}-bytes" if isinstance(val, bytes) else None
