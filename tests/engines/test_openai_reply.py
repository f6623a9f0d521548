"""Reading what a chat server answers, however it is shaped."""

from __future__ import annotations

import contextlib
import json
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.captions import Refused
from engines.captions.reply import (
    MAX_TEXT,
    MAX_WORDS,
    Malformed,
    cleaned,
    complaint,
    completion,
    models,
    retry_after,
    without_thoughts,
)
from tests.engines.chat_server import completion as answer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
KEYS = ("choices", "message", "content", "refusal", "finish_reason", "usage", "prompt_tokens",
        "error", "code", "type", "param", "detail", "data", "id", "text")  # fmt: skip
SHAPED = st.recursive(
    JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@given(SHAPED.map(encoded) | st.binary())
def test_whatever_the_server_answers_is_understood_or_malformed(body: bytes) -> None:
    try:
        got = completion(body)
    except (Malformed, Refused):
        pass
    else:
        assert got.text.encode("utf-8")
    said = complaint(body)
    assert len(said.words) <= MAX_WORDS
    f"{said.code}{said.words}".encode()  # raises where half a surrogate is left
    with contextlib.suppress(Malformed):
        assert all(models(body))


@given(st.text(st.characters(exclude_categories=()), min_size=1))
def test_a_text_can_always_be_stored(text: str) -> None:
    got = cleaned(text)
    got.encode("utf-8")
    assert got == cleaned(got)
    assert not any(ord(each) < 32 and each not in "\n\t" for each in got)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("A cat.", "A cat."),
        ("<think>Hm.\nA cat?</think>\n\nA cat.", "\n\nA cat."),
        ("Hm. A cat?</think>A cat.", "A cat."),
        ("<think>Hm. A c", ""),
        ("A cat.<think>Or a dog?</think> On a mat.", "A cat. On a mat."),
        ("<THINK>a<think>b</think>c</think>d", "d"),
        ("<thinking>a</thinking>d", "d"),
        ("1 <thin 2 > 1", "1 <thin 2 > 1"),
    ],
)
def test_thoughts_are_left_out(text: str, kept: str) -> None:
    assert without_thoughts(text) == kept


@pytest.mark.parametrize("piece", ["<think>", "</think>", "<think></think>", "\x00", "<"])
def test_hostile_texts_cost_no_more_than_their_length(piece: str) -> None:
    body = encoded(answer(piece * (1_000_000 // len(piece)) + "end"))
    started = time.process_time()
    with contextlib.suppress(Refused):
        completion(body)
    assert time.process_time() - started < 5


def test_a_text_without_end_is_cut_and_says_so() -> None:
    got = completion(encoded(answer("word " * MAX_TEXT)))
    assert len(got.text) <= MAX_TEXT
    assert got.finish == "length"


def test_a_text_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "A "}, {"type": "other"}, {"type": "text", "text": "cat."}]
    assert completion(encoded(answer(parts))).text == "A cat."


def test_control_characters_and_half_surrogates_are_left_out() -> None:
    body = rb'{"choices": [{"message": {"content": "a\u0000b\ud83dc\r\nd\u001b[0m \ud83d\ude00"}}]}'
    assert completion(body).text == "abc\nd[0m 😀"


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("86400", 60.0),
        ("-1", 0.0),
        ("nan", 0.0),
        ("inf", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 99:99:99 GMT", 0.0),
    ],
)
def test_retry_after_is_read_and_bounded(asked: str, seconds: float) -> None:
    assert retry_after({"Retry-After": asked}) == seconds


def test_retry_after_may_be_a_date() -> None:
    soon = formatdate(time.time() + 30, usegmt=True)
    assert 25 < retry_after({"Retry-After": soon}) <= 30
    assert retry_after({}) == 0
