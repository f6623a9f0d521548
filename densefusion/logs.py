"""Logging: lines for people on a terminal, one JSON object a line elsewhere."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

Form = Literal["text", "json"]


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str, form: Form | None = None) -> None:
    """Log to standard error. Without `form`: text on a terminal, JSON elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    if (form or ("text" if sys.stderr.isatty() else "json")) == "json":
        handler.setFormatter(_Json())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Libraries that speak of every request.
    for name in ("urllib3", "asyncio", "aiohttp", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)
