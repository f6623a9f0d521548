"""Whether names cannot be looked up at all, or only those of some hosts.

A dead zone makes rejects. A dead resolver would make a reject of every URL of the list, so it has
to stop the worker like any other server that is away.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

_HOSTS = 5  # that fail in a row, all different
_MOST = 1000
# Of different operators. Any answer will do, "no such name" as well (a network of one's own).
_KNOWN = ("example.com", "iana.org", "a.root-servers.net")
_AGAIN_SECONDS = 5.0


class Lookups:
    """What became of the latest lookups.

    Args:
        answers: asks for a name; whether there was any answer.
    """

    def __init__(self, answers: Callable[[str], Awaitable[bool]]) -> None:
        self._answers = answers
        self._failing: set[str] = set()
        self._good = float("-inf")  # when a known name was last answered

    def answered(self) -> None:
        """A host has an address, or surely none."""
        self._failing.clear()

    def failed(self, host: str) -> None:
        """There was no answer about a host, for now."""
        if len(self._failing) < _MOST:
            self._failing.add(host)

    async def are_broken(self) -> bool:
        """Whether it is the resolver: hosts fail one after the other, and known names do, too."""
        if len(self._failing) < _HOSTS or time.monotonic() - self._good < _AGAIN_SECONDS:
            return False
        for name in _KNOWN:
            if await self._answers(name):
                self._good = time.monotonic()
                return False
        return len(self._failing) >= _HOSTS  # unless one was answered meanwhile
