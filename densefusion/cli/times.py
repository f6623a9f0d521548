"""Points in time, as they are written on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from densefusion.errors import SettingsError

_AGE = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def milliseconds(text: str, option: str, now: datetime | None = None) -> int:
    """Milliseconds since 1970, UTC, of ``2025-03-01``, ``2025-03-01T12:30`` or ``6h`` (ago).

    Raises:
        SettingsError: it is none of these.
    """
    if age := _AGE.fullmatch(text.strip()):
        back = timedelta(**{_UNITS[age[2]]: int(age[1])})
        return int(((now or datetime.now(UTC)) - back).timestamp() * 1000)
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise SettingsError(
            f"{option} {text}: say a time such as 2025-03-01T12:30 (UTC unless it says otherwise), "
            "or an age such as 90m, 6h or 2d"
        ) from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return int(when.timestamp() * 1000)
