"""What a reject or a dead letter once was, to the byte."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from consumers.outputs import Outputs
from consumers.source import Arrival
from consumers.stage import Record, Rejected
from consumers.transaction import Outgoing
from densefusion.attempts import ATTEMPT, attempt
from densefusion.replay.origin import Origin, of_dead_letter, of_reject
from schemas import Codec
from tests.consumers.messages import message
from tests.consumers.records import url

CODEC = Codec()
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["run", "traceparent", "x", "dead-letter-topic", "dead-letter-stage"]),
        st.none() | st.binary(max_size=8),
    ),
    max_size=6,
)


def arrival(came: Message, value: dict[str, Any] | None = None) -> Arrival:
    place = (came.topic() or "", came.partition() or 0)
    record = None
    if value is not None:
        key = (came.key() or b"").decode("utf-8", "replace")
        record = Record(*place, came.offset() or 0, key, value, came.value() or b"")
    return Arrival(place, {place: (came.offset() or 0) + 1}, came, record)


def published(outgoing: Outgoing) -> Message:
    """The outgoing message as a consumer gets it."""
    return message(outgoing.topic, 1, 9, outgoing.value, outgoing.key, outgoing.headers)


def dead(came: Message, stage: str = "curate") -> Message:
    (out,) = Outputs(stage, CODEC, "p.").dead_letter(ValueError("why"), arrival(came))
    return published(out)


def rejected(came: Message, reason: str = "timeout") -> Message:
    (out,) = Outputs("fetch", CODEC, "p.").rejected(Rejected(reason), arrival(came, url()))
    return published(out)


def test_a_dead_letter_that_had_no_room_for_the_message_says_where_it_is() -> None:
    found = of_dead_letter(dead(message("p.fetched", 3, 77, b"v" * 999_900, b"k")))
    assert found.origin is None and found.problem is not None
    assert found.problem.endswith("too large to be kept; it was at p.fetched/3/77")


def test_a_header_of_the_message_itself_does_not_say_that_it_was_left_out() -> None:
    headers: list[tuple[str, str | bytes | None]] = [("dead-letter-size", b"1")]
    found = of_dead_letter(dead(message("p.fetched", 3, 77, b"v", b"k", headers)))
    assert found.origin is not None and found.origin.headers == headers


@given(value=st.binary(min_size=1, max_size=64), key=st.binary(min_size=1), headers=HEADERS)
def test_a_dead_letter_gives_back_the_message(
    value: bytes, key: bytes, headers: list[tuple[str, bytes | None]]
) -> None:
    found = of_dead_letter(dead(message("p.fetched", 3, 77, value, key, list(headers))))
    assert found.origin == Origin("p.fetched", 3, 77, key, value, headers)
    assert (found.stage, found.place) == ("curate", "p.dead-letters/1/9")
    assert found.reason == "ValueError('why')"


@given(value=st.binary(min_size=1), key=st.none() | st.binary(), headers=HEADERS)
def test_a_reject_gives_back_the_message(
    value: bytes, key: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    found = of_reject(rejected(message("p.urls", 3, 77, value, key, list(headers))), CODEC)
    assert found.origin == Origin("p.urls", 3, 77, key, value, headers)
    assert (found.stage, found.reason) == ("fetch", "timeout")
    assert found.subject == url()["url"]


def test_attempts_count_up_whatever_becomes_of_the_record() -> None:
    came = message("p.urls", 0, 1, b"v", b"k", [("run", b"r"), ("x", None)])
    for number in range(1, 5):
        for gone in (of_dead_letter(dead(came)), of_reject(rejected(came), CODEC)):
            assert gone.origin is not None and gone.origin.attempt == number
            assert (gone.origin.value, gone.origin.key) == (b"v", b"k")
        headers = gone.origin.next_headers()
        assert headers == [("run", b"r"), ("x", None), (ATTEMPT, str(number + 1).encode())]
        came = message("p.urls", 0, 10 * number, b"v", b"k", list(headers))


def test_a_reject_says_its_attempt_in_its_record_and_in_its_header() -> None:
    out = rejected(message("p.urls", 0, 1, b"v", b"k", [(ATTEMPT, b"3")]))
    assert CODEC.decode("Reject", out.value())["attempt"] == 3
    assert dict(out.headers() or [])[ATTEMPT] == b"3"


@pytest.mark.parametrize(
    ("value", "number"),
    [(b"2", 2), ("7", 7), (b"", 1), (None, 1), (b"-5", 1), (b"0", 1), (b"\xff", 1), (b"9" * 99, 1),
     ("\u0662", 1), (b"999999999", 1_000_000)],
)  # fmt: skip
def test_an_attempt_that_anybody_wrote(value: str | bytes | None, number: int) -> None:
    assert attempt([("run", b"r"), (ATTEMPT, value)]) == number


def test_no_headers_are_the_first_attempt() -> None:
    assert attempt(None) == attempt([]) == 1


def test_dead_letter_of_somebody_else() -> None:
    for headers in ([], [("dead-letter-topic", b"t"), ("dead-letter-partition", b"x")]):
        found = of_dead_letter(message("p.dead-letters", 0, 0, b"v", b"k", list(headers)))
        assert found.origin is None and found.problem == "its headers do not say where it was"


def test_a_reject_from_before_it_held_its_record() -> None:
    old = {"url_id": "u", "url": "https://e.org/", "stage": "fetch", "reason": "timeout",
           "rejected_at": datetime.now(UTC)}  # fmt: skip
    raw = CODEC.encode("Reject", old, "rejects")
    found = of_reject(message("p.rejects", 0, 0, raw), CODEC)
    assert found.origin is None and "older version" in (found.problem or "")
    assert found.reason == "timeout"


def test_a_reject_that_cannot_be_read() -> None:
    found = of_reject(message("p.rejects", 0, 0, b"garbage"), CODEC)
    assert found.origin is None and "cannot be read" in (found.problem or "")


def test_a_reject_stays_small() -> None:
    out = rejected(message("p.urls", 2, 5, b"v" * (300 << 10), b"k"))
    assert len(out.value() or b"") < 2000
    found = of_reject(out, CODEC)
    assert found.origin is None and "p.urls/2/5" in (found.problem or "")
    out = rejected(message("p.urls", 2, 5, b"v" * (200 << 10), b"k"))
    assert of_reject(out, CODEC).origin is not None


def test_identity_is_of_one_message() -> None:
    one = Origin("t", 1, 2, b"k", b"v", [])
    assert one.identity == Origin("t", 1, 2, b"k", b"v", [("a", b"b")]).identity
    others = [
        Origin("t", 1, 3, b"k", b"v", []),
        Origin("t", 2, 2, b"k", b"v", []),
        Origin("u", 1, 2, b"k", b"v", []),
        Origin("t", 1, 2, b"k", b"w", []),  # the topic was made anew
        Origin("t", 1, 2, b"k", None, []),
    ]
    assert len({each.identity for each in [one, *others]}) == 6
    assert len(one.identity) == 16
