from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError
from rich.console import Console

from densefusion.errors import BrokerError, SourceError
from producers import progress
from producers.publish import Published, publish, record
from producers.rows import BadRow, Row, url_id
from producers.sources import Source
from schemas import Codec

OnDelivery = Callable[[KafkaError | None, Any], None]


class MemoryProducer:
    """Stands for `confluent_kafka.Producer`: a queue of `room` records, delivered when polled."""

    def __init__(
        self, room: int = 10, failure: KafkaError | None = None, deaf: bool = False
    ) -> None:
        self.room, self.failure, self.deaf = room, failure, deaf
        self.queue: list[tuple[str, bytes, bytes, list, OnDelivery]] = []
        self.sent: list[tuple[str, bytes, bytes, list]] = []

    def produce(
        self, topic: str, *, key: bytes, value: bytes, headers: list, on_delivery: OnDelivery
    ) -> None:
        if len(self.queue) >= self.room:
            raise BufferError("Local: Queue full")
        self.queue.append((topic, key, value, headers, on_delivery))

    def poll(self, timeout: float) -> int:
        if timeout:
            self._deliver()
        return 0

    def flush(self, timeout: float) -> int:
        self._deliver()
        return len(self.queue)

    def _deliver(self) -> None:
        while self.queue and not self.deaf:
            *sent, on_delivery = self.queue.pop(0)
            if self.failure is None:
                self.sent.append(tuple(sent))
            on_delivery(self.failure, None)


def put(rows: Any, producer: MemoryProducer, **options: Any) -> Published:
    return publish(rows, producer=producer, topic="urls", codec=Codec(), **options)  # type: ignore[arg-type]


def test_rows_arrive_in_order_with_key_and_header() -> None:
    producer = MemoryProducer(room=3)
    rows = [Row(f" http://a/{n} ", "alt", "http://p", "list", {"n": str(n)}) for n in range(20)]
    assert put(rows, producer, run="r1") == Published(20, 0)
    values = [Codec().decode("ImageUrl", value) for _, _, value, _ in producer.sent]
    assert [value["url"] for value in values] == [f"http://a/{n}" for n in range(20)]
    topic, key, _, headers = producer.sent[0]
    assert (topic, key, headers) == ("urls", url_id("http://a/0").encode(), [("run", b"r1")])
    assert values[3]["extra"] == {"n": "3"} and values[3]["alt_text"] == "alt"


def test_bad_and_empty_rows_are_published_with_their_reason() -> None:
    producer = MemoryProducer()
    rows = [BadRow("broken", "{oops", "l"), Row("", "alt", extra={"a": "b"}), Row("http://a")]
    assert put(rows, producer, source="given") == Published(3, 2)
    bad, empty, good = [Codec().decode("ImageUrl", value) for _, _, value, _ in producer.sent]
    assert (bad["url"], bad["extra"], bad["source"]) == ("{oops", {"malformed": "broken"}, "l")
    assert empty["url"] == "" and empty["alt_text"] == "alt"
    assert empty["extra"] == {"a": "b", "malformed": "the row has no URL"}
    assert good["source"] == "given" and good["extra"] == {}


def test_the_largest_record_fits_a_kafka_message() -> None:
    huge = Row(
        "u" * 8192,
        "ü" * 16384,
        "p" * 8192,
        "s" * 9999,
        {f"{n:0128}": "x" * 2048 for n in range(32)},
    )
    assert len(Codec().encode("ImageUrl", record(huge), "urls")) < 500_000


def test_a_failed_delivery_is_raised() -> None:
    failure = KafkaError(KafkaError._MSG_TIMED_OUT)
    with pytest.raises(BrokerError, match=r"could not be delivered to urls.*timed out"):
        put([Row("http://a")] * 5, MemoryProducer(failure=failure))


@pytest.mark.parametrize("count", [2, 20])
def test_silent_brokers_are_given_up(count: int) -> None:
    with pytest.raises(BrokerError, match="taken none"):
        put([Row("http://a")] * count, MemoryProducer(deaf=True), patience=0.2)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SourceError])
def test_what_was_handed_over_is_flushed_when_it_ends_early(error: type[BaseException]) -> None:
    def rows() -> Iterator[Row]:
        yield Row("http://a")
        yield Row("http://b")
        raise error

    producer = MemoryProducer()
    with pytest.raises(error):
        put(rows(), producer)
    assert len(producer.sent) == 2


def test_progress_without_a_terminal_is_lines() -> None:
    sink = io.StringIO()
    console = Console(file=sink, force_terminal=False, width=100)
    source = Source("", iter([]), total=3)
    with progress.shown(source, console) as reporter:
        put([Row("http://a"), BadRow("x"), Row("http://b")], MemoryProducer(), progress=reporter)
    assert "3 URLs of 3" in sink.getvalue() and "1 malformed" in sink.getvalue()
    assert "\x1b" not in sink.getvalue()


def test_progress_on_a_terminal_is_a_bar() -> None:
    sink = io.StringIO()
    console = Console(file=sink, force_terminal=True, width=100)
    for source in (
        Source("", iter([]), total=3),
        Source("", iter([]), size=9),
        Source("", iter([])),
    ):
        with progress.shown(source, console) as reporter:
            reporter.update(3, 0)
    assert "3 URLs" in sink.getvalue()
