"""Rows onto the topic of URLs, each exactly as often as its list has it.

Bad rows are published too, with the reason as the extra column `MALFORMED`, so that every row of
a list ends as a caption or as a reject.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from densefusion import tracing
from densefusion.errors import BrokerError
from producers.progress import Reporter
from producers.rows import EXTRA_BYTES, BadRow, Row, cap, url_id
from schemas import Codec
from schemas.names import MALFORMED

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_NO_URL = "the row has no URL"
_PATIENCE_SECONDS = 60.0
_REPORT_SECONDS = 0.25

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """How many records were delivered, and how many of them are malformed rows."""

    count: int
    bad: int


def record(row: Row | BadRow, source: str = "") -> dict[str, Any]:
    """The `ImageUrl` of a row; `source` is for a row that names none."""
    if isinstance(row, BadRow):
        row = Row(row.text, source=row.source, extra={MALFORMED: row.detail})
    elif not row.url.strip():
        row = Row("", row.alt_text, row.page_url, row.source, {**row.extra, MALFORMED: _NO_URL})
    return {
        "url_id": url_id(row.url),
        "url": row.url.strip(),
        "alt_text": row.alt_text,
        "page_url": row.page_url,
        "source": cap(row.source or source, EXTRA_BYTES),
        "extra": {name: cap(text, EXTRA_BYTES) for name, text in row.extra.items()},
        "published_at": datetime.now(UTC),
    }


def publish(
    rows: Iterable[Row | BadRow],
    *,
    producer: Producer,
    topic: str,
    codec: Codec,
    run: str | None = None,
    source: str = "",
    progress: Reporter | None = None,
    patience: float = _PATIENCE_SECONDS,
) -> Published:
    """Publishes the rows and waits until the brokers have them all.

    Whatever ends it early (Ctrl-C, a list that breaks off), what was handed over is flushed first.

    Args:
        producer: idempotent.
        run: put into the header ``run``.
        source: for rows that name none.
        patience: seconds without any delivery, with records waiting, until it gives up.

    Raises:
        BrokerError: a record was not delivered, or the brokers do not answer.
        SourceError: from `rows`.
    """
    outbox = _Outbox(producer, topic, run, patience)
    count = bad = 0
    reported = time.monotonic()
    try:
        for row in rows:
            value = record(row, source)
            outbox.put(value["url_id"], codec.encode("ImageUrl", value, topic))
            count += 1
            bad += MALFORMED in value["extra"]
            if progress is not None and time.monotonic() - reported >= _REPORT_SECONDS:
                reported = time.monotonic()
                progress.update(count, bad)
        outbox.flush()
    except BrokerError:
        raise
    except BaseException:
        left = outbox.flush_quietly()
        log.warning("publishing broken off", extra={"rows": count, "not_delivered": left})
        raise
    if progress is not None:
        progress.update(count, bad)
    return Published(count, bad)


class _Outbox:
    """Hands records to the producer, and keeps an eye on their delivery."""

    def __init__(self, producer: Producer, topic: str, run: str | None, patience: float) -> None:
        self._producer = producer
        self._topic = topic
        self._headers: list[tuple[str, str | bytes | None]] = (
            [("run", run.encode())] if run is not None else []
        )
        self._patience = patience
        self._waiting = 0
        self._failed = 0
        self._why = ""
        self._moved = time.monotonic()

    def put(self, key: str, value: bytes) -> None:
        """Takes one record; waits while the producer's queue is full."""
        if not self._waiting:
            self._moved = time.monotonic()
        headers, delivered = self._headers, self._delivered
        if (span := tracing.sending(self._topic, key)) is not None:
            headers = tracing.with_span(headers, span)
            delivered = partial(self._ended, span)
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    key=key.encode(),
                    value=value,
                    headers=headers,
                    on_delivery=delivered,
                )
                break
            except BufferError:
                self._producer.poll(0.1)
                self._check()
            except KafkaException as error:
                raise BrokerError(f"cannot publish to {self._topic}: {_said(error)}") from error
        self._waiting += 1
        self._producer.poll(0)
        self._check()

    def flush(self) -> None:
        """Waits for every delivery. Raises BrokerError if one fails or none comes for long."""
        while self._waiting:
            self._producer.flush(0.5)
            self._check()
        self._check()

    def flush_quietly(self) -> int:
        """As `flush`, without raising; the number of records that were not delivered."""
        try:
            self.flush()
        except BrokerError as error:
            log.error("publishing failed", extra={"error": str(error)})
        return self._waiting + self._failed

    def _ended(self, span: Span, error: KafkaError | None, message: Message) -> None:
        if error is None:
            span.end()  # else it was never sent
        self._delivered(error, message)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._waiting -= 1
        if error is None:
            self._moved = time.monotonic()
        else:
            self._failed += 1
            self._why = self._why or error.str()

    def _check(self) -> None:
        if self._failed:
            raise BrokerError(
                f"{self._failed} records could not be delivered to {self._topic}: {self._why}"
            )
        silent = time.monotonic() - self._moved
        if self._waiting and silent > self._patience:
            raise BrokerError(
                f"{self._waiting} records wait for {self._topic}, and the brokers have taken none "
                f"for {silent:.0f} s"
            )


def _said(error: KafkaException) -> str:
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(first)
