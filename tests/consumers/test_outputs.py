"""What becomes of a record: encoded outputs, rejects, dead letters."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from consumers.outputs import Outputs, TooLarge
from consumers.source import Arrival, Headers
from consumers.stage import Emit, Rejected
from consumers.transaction import Outgoing
from densefusion import metrics
from schemas import SchemaError
from tests.consumers.messages import arrival, message
from tests.consumers.records import CODEC, image, url

HEADERS = [("run", b"r1"), ("secret", b"no"), ("traceparent", b"00-1"), ("run-not", b"x")]
CARRIED = [("run", b"r1"), ("traceparent", b"00-1")]


@pytest.fixture
def outputs() -> Outputs:
    return Outputs("curate", CODEC, "x.")


def test_emitted_records_are_encoded_and_carry_the_run(outputs: Outputs) -> None:
    emits = [Emit("images", "k\u00e4y", image(), "Image"), Emit("urls", "u", url(), "ImageUrl")]
    first, second = outputs.emitted(emits, arrival(("x.fetched", 0), 1, image(), HEADERS))
    assert (first.topic, first.key) == ("x.images", "k\u00e4y".encode())
    assert CODEC.decode("Image", first.value) == image()
    assert second.topic == "x.urls" and CODEC.decode("ImageUrl", second.value) == url()
    assert first.headers == second.headers == CARRIED


def test_emit_that_does_not_fit_its_schema(outputs: Outputs) -> None:
    with pytest.raises(SchemaError):
        outputs.emitted([Emit("images", "k", {}, "Image")], arrival(("x.fetched", 0), 1))


def test_reject_of_an_image(outputs: Outputs) -> None:
    rejected = Rejected("duplicate", "d" * 5000, duplicate_of="https://example.org/first")
    (out,) = outputs.rejected(rejected, arrival(("x.fetched", 0), 1, image(), HEADERS))
    assert (out.topic, out.key, out.headers) == ("x.rejects", b"key", CARRIED)
    value = CODEC.decode("Reject", out.value)
    assert value["reason"] == "duplicate" and value["stage"] == "curate"
    assert value["image_id"] == image()["image_id"] and value["url"] == image()["url"]
    assert value["duplicate_of"] == "https://example.org/first"
    assert len(value["detail"]) == 2000


def test_reject_of_a_url_has_no_image(outputs: Outputs) -> None:
    before = _rejects("http-404")
    (out,) = outputs.rejected(Rejected("http-404"), arrival(("x.urls", 0), 1, url(3)))
    value = CODEC.decode("Reject", out.value)
    assert (value["url_id"], value["image_id"], value["detail"]) == ("u3", None, "")
    assert _rejects("http-404") == before + 1


def test_reject_with_text_that_avro_cannot_hold(outputs: Outputs) -> None:
    """A reject must not fail: text from the web may hold a lone surrogate."""
    (out,) = outputs.rejected(Rejected("http-error", "a\ud800b"), arrival(("x.urls", 0), 1, url()))
    assert CODEC.decode("Reject", out.value)["reason"] == "http-error"


def test_dead_letter_is_the_message_as_it_came(outputs: Outputs) -> None:
    came = message("x.fetched", 3, 77, b"\x00garbage\xff", b"k", [("run", b"r1"), ("a", None)])
    dead = Arrival(("x.fetched", 3), {("x.fetched", 3): 78}, came, error=ValueError("why"))
    (out,) = outputs.dead_letter(ValueError("w" * 5000), dead)
    assert (out.topic, out.key, out.value) == ("x.dead-letters", b"k", b"\x00garbage\xff")
    headers = dict(out.headers)
    assert headers["run"] == b"r1" and headers["a"] is None
    assert headers["dead-letter-topic"] == b"x.fetched"
    assert headers["dead-letter-partition"] == b"3" and headers["dead-letter-offset"] == b"77"
    assert headers["dead-letter-stage"] == b"curate"
    exception = headers["dead-letter-exception"]
    assert isinstance(exception, bytes) and exception.startswith(b"ValueError('www")
    assert len(exception) == 2000


def test_dead_letter_of_nothing(outputs: Outputs) -> None:
    came = message("x.fetched", 0, 0, None, None)
    (out,) = outputs.dead_letter(ValueError(), Arrival(("x.fetched", 0), {}, came))
    assert (out.key, out.value) == (None, None)


def test_dead_letter_whose_error_utf8_cannot_hold(outputs: Outputs) -> None:
    class Odd(Exception):
        def __repr__(self) -> str:
            return "Odd(\ud800)"

    (out,) = outputs.dead_letter(Odd(), arrival(("x.fetched", 0), 0))
    assert b"Odd(" in dict(out.headers)["dead-letter-exception"]  # type: ignore[operator]


LIMIT = 1_000_000


def takes(out: Outgoing) -> bool:
    """Whether the client would send it."""
    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    try:
        producer.produce(out.topic, out.value, out.key, headers=out.headers or None)
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
        return False
    finally:
        producer.purge()
    return True


@pytest.mark.parametrize("below", range(0, 300, 50))
def test_what_no_message_can_hold_is_never_sent(outputs: Outputs, below: int) -> None:
    """The client refuses it, so that it could not be committed, now or after any restart."""
    wide = url() | {"alt_text": "x" * (LIMIT - 400 + below)}
    headers: Headers = [("run", b"r" * 100)]
    came = arrival(("x.urls", 0), 1, url(), headers)
    try:
        (out,) = outputs.emitted([Emit("urls", "u", wide, "ImageUrl")], came)
    except TooLarge:
        return
    assert takes(out)


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (100, LIMIT - 200, []),
        (100, LIMIT - 1200, [("run", b"r1")]),
        (100, 100, [("odd", b"x" * (LIMIT - 300)), ("run", b"r1")]),
        (100, 100, [("run", b"x" * (LIMIT - 300))]),
        (LIMIT - 300, 100, []),
    ],
    ids=["value", "value with a run", "header", "carried header", "key"],
)
def test_dead_letter_of_what_leaves_no_room_says_where_it_is(
    outputs: Outputs, key: int, value: int, headers: Headers
) -> None:
    came = message("x.urls", 3, 77, b"v" * value, b"k" * key, headers)
    dead = Arrival(("x.urls", 3), {("x.urls", 3): 78}, came, error=ValueError("why"))
    (out,) = outputs.dead_letter(ValueError("w" * 5000), dead)
    assert takes(out)
    found = dict(out.headers)
    assert out.value is None and found["dead-letter-size"] == str(value).encode()
    assert found["dead-letter-offset"] == b"77"
    assert found.get("run") in (None, b"r1")
    assert ("run" in found) == (("run", b"r1") in headers)


def test_outputs_are_counted(outputs: Outputs) -> None:
    counter = metrics.RECORDS_OUT.labels("curate", "x.counted")
    outputs.count([Outgoing("x.counted", b"", b"", [])] * 3)
    assert counter._value.get() == 3


def _rejects(reason: str) -> float:
    return metrics.REJECTS.labels("curate", reason)._value.get()
