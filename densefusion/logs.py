"""Structured logs: an event with its fields, a JSON object a line, or a line for people.

The standard library's loggers; fields come by ``extra``::

    log.warning("dead letter", extra={"topic": "urls", "partition": 3, "offset": 17})

The event is a constant, so that it can be searched for; what varies is a field. ``docs/logs.md``
lists the events. Whatever a line holds is redacted and cut here, so that neither a secret nor a
whole payload gets into a log: see `Redact`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from densefusion.redact import Redact
from densefusion.seldom import Seldom

Form = Literal["auto", "json", "text"]

_LONGEST = 1000  # characters of a value
_TRACE = 8000  # of an exception's traceback: its end says what happened
_MOST = 64  # entries of a list or a mapping
# What the logging module itself puts into a record.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_REPETITIVE = ("densefusion.kafka", "densefusion.librdkafka", "opentelemetry.")
_COLOURS = {"warning": "33", "error": "31", "critical": "31;1"}


def set_up(
    level: str = "info",
    form: Form = "auto",
    *,
    secrets: Iterable[str] = (),
    summary_seconds: float = 30.0,
) -> None:
    """Log to standard error, from every logger of the process.

    Args:
        secrets: never to be seen in a line.
        summary_seconds: between two lines that sum up, and between two that would say the same.
    """
    global _summary_seconds, redacted
    _summary_seconds, redacted = summary_seconds, Redact(secrets)
    _bound.clear()
    handler = logging.StreamHandler(sys.stderr)
    terminal = sys.stderr.isatty()
    parts = _Parts(redacted)
    if form == "json" or (form == "auto" and not terminal):
        handler.setFormatter(_Json(parts))
    else:
        handler.setFormatter(_Text(parts, colours=terminal))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Libraries that speak of every request.
    for name in ("urllib3", "asyncio", "aiohttp", "PIL", "opentelemetry"):
        logging.getLogger(name).setLevel(logging.WARNING)
    handler.addFilter(_Repeats(summary_seconds))


def bind(**fields: Any) -> None:
    """Put fields, such as ``stage``, into every line of this process that does not set them."""
    _bound.update(fields)


def hide(secrets: Iterable[str]) -> None:
    """Further secrets, that became known later."""
    redacted.add(secrets)


def seldom() -> Seldom:
    """For events that would come again and again: see `Seldom`."""
    return Seldom(_summary_seconds)


_bound: dict[str, Any] = {}
_summary_seconds = 30.0
redacted = Redact([])  # a text without the secrets that are known so far


class _Parts:
    """A record's parts, safe to be written down."""

    def __init__(self, redact: Redact) -> None:
        self.redact = redact
        self._formatter = logging.Formatter()

    def of(self, record: logging.LogRecord) -> dict[str, Any]:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        parts: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": self._value(record.getMessage()),
        }
        given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        for name, value in {**_bound, **given}.items():
            if value is not None and name not in parts:
                parts[name] = self._value(value)
        if record.exc_info:
            text = self._formatter.formatException(record.exc_info)
            text = self.redact(text[-8 * _TRACE :])
            parts["exception"] = text if len(text) <= _TRACE else "…" + text[-_TRACE:]
        return parts

    def _value(self, value: Any, depth: int = 0) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"  # a payload, or a part of one
        if depth < 3 and isinstance(value, Mapping):
            some = list(value.items())[:_MOST]
            return {str(name)[:100]: self._value(each, depth + 1) for name, each in some}
        if depth < 3 and isinstance(value, list | tuple | set | frozenset):
            return [self._value(each, depth + 1) for each in list(value)[:_MOST]]
        text = self.redact(value if isinstance(value, str) else str(value))
        return text if len(text) <= _LONGEST else text[:_LONGEST] + f"… ({len(text)} characters)"


class _Json(logging.Formatter):
    def __init__(self, parts: _Parts) -> None:
        super().__init__()
        self.parts = parts

    def format(self, record: logging.LogRecord) -> str:
        line = json.dumps(self.parts.of(record), ensure_ascii=False)
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


class _Text(logging.Formatter):
    def __init__(self, parts: _Parts, *, colours: bool) -> None:
        super().__init__()
        self.parts = parts
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        parts = self.parts.of(record)
        time, level, logger, event = (parts.pop(n) for n in ("time", "level", "logger", "event"))
        exception = parts.pop("exception", None)
        said = " ".join(f"{name}={_plain(value)}" for name, value in parts.items())
        start = f"{level.upper():7}"
        if self._colours and level in _COLOURS:
            start = f"\x1b[{_COLOURS[level]}m{start}\x1b[0m"
        short = logger.removeprefix("densefusion.")
        line = f"{time[11:23]} {start} {short:12} {_escaped(event)}"
        if said:
            line += "  " + said
        if exception is not None:
            line += "".join("\n    " + _escaped(each) for each in exception.splitlines())
        return line


class _Repeats(logging.Filter):
    """Holds back a line of these loggers that says what was said a moment ago, but for its
    numbers: a broker, or a collector of traces, that is away is told at every attempt."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seldom = Seldom(seconds)

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(_REPETITIVE):
            return True
        said = f"{record.getMessage()} {getattr(record, 'error', '')}"
        key = (record.levelno, re.sub(r"\d+", "#", said))
        held = self._seldom(key)
        if held:
            record.repeated = held
        return held is not None


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = _escaped(text)
    return json.dumps(text, ensure_ascii=False) if " " in text and isinstance(value, str) else text


def _escaped(text: str) -> str:
    """Text from the web may hold what moves a terminal's cursor, or pretends to be a new line."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
