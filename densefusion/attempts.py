"""How often a record has been tried: a header that `densefusion.replay` sets.

A record without it is at its first attempt. The header travels, so that what comes of a record that
was put back says so, and what fails again fails at a higher number.
"""

from __future__ import annotations

from collections.abc import Iterable

ATTEMPT = "replay-attempt"
_MAX = 1_000_000  # a record of ours never gets there; a header of anybody's may say anything


def attempt(headers: Iterable[tuple[str, str | bytes | None]] | None) -> int:
    """The number of a record's attempt; 1 where no header, or no number, says otherwise."""
    for name, value in headers or ():
        if name == ATTEMPT and value is not None:
            text = value if isinstance(value, str) else value.decode("ascii", "replace")
            if text.isascii() and text.isdecimal() and len(text) < 10:
                return min(max(1, int(text)), _MAX)
    return 1
