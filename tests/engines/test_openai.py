"""The caption engine against a real HTTP server that answers by a script."""

from __future__ import annotations

import asyncio
import logging

import numpy as np
import pytest

from engines.captions import Captioned
from engines.captions.openai import OpenAI
from tests.engines.asking import KEY, ask, jpeg, task
from tests.engines.chat_server import Answer, Asked, ScriptedChatServer, completion, error, in_turn


async def test_a_picture_goes_out_and_a_caption_comes_back() -> None:
    async with ScriptedChatServer() as server:
        picture = jpeg(2000, 1000, "blue")
        (got,) = await ask(
            server, task(picture, "Was ist das? 図"), price_in=2.5, price_out=10, max_tokens=77
        )
    assert isinstance(got, Captioned)
    assert (got.text, got.finish, got.tokens_in, got.tokens_out) == ("A caption.", "stop", 1000, 50)
    assert got.price == pytest.approx(1000 * 2.5e-6 + 50 * 10e-6)
    assert 0 < got.seconds < 5
    (asked,) = server.asked
    assert asked.prompt == "Was ist das? 図"
    assert asked.picture.size == (1024, 512)
    assert np.abs(np.asarray(asked.picture).mean((0, 1)) - (0, 0, 255)).max() < 3
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert (asked.body["model"], asked.body["max_tokens"]) == ("m", 77)


async def test_without_a_price_or_a_usage_there_is_none() -> None:
    bare = completion()
    del bare["usage"]
    odd = completion() | {"usage": {"prompt_tokens": "many", "completion_tokens": 2**40}}
    script = in_turn([Answer(bare), Answer(odd), Answer(completion())])
    async with ScriptedChatServer(script) as server:
        for _ in range(2):
            (got,) = await ask(server, price_in=1, price_out=1)
            assert (got.tokens_in, got.tokens_out, got.price) == (None, None, None)
        (got,) = await ask(server, price_in=1)
        assert (got.tokens_in, got.price) == (1000, None)


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
async def test_a_base_url_may_end_in_several_ways(ending: str) -> None:
    async with ScriptedChatServer() as server:
        server.url += ending
        (got,) = await ask(server)
    assert got.text == "A caption."


async def test_a_base_url_needs_no_scheme() -> None:
    async with ScriptedChatServer() as server:
        server.url = server.url.removeprefix("http://")
        (got,) = await ask(server)
    assert got.text == "A caption."


@pytest.mark.parametrize("base_url", ["ftp://host/", "http://", ""])
def test_what_is_no_base_url(base_url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        OpenAI(base_url=base_url)


async def test_the_first_model_listed_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with ScriptedChatServer(models=["vlm-7b", "other"]) as server:
        engine = OpenAI(base_url=server.url)
        await engine.open()
        assert engine.name == "openai:vlm-7b"
        await engine.caption(task())
        await engine.close()
    assert server.asked[0].body["model"] == "vlm-7b"
    assert "Authorization" not in server.asked[0].headers
    (told,) = (vars(each) for each in caplog.records if each.msg == "caption model chosen")
    assert (told["listed"], told["model"]) == (2, "vlm-7b")


async def test_many_at_the_same_time_and_never_more_than_allowed() -> None:
    def script(asked: Asked) -> Answer:
        return Answer(completion(asked.prompt), delay=0.1)

    async with ScriptedChatServer(script) as server:
        tasks = [task(prompt=str(number)) for number in range(16)]
        got = await ask(server, *tasks, concurrency=4)
    assert [each.text for each in got] == [str(number) for number in range(16)]
    assert server.peak == 4
    assert len(server.connections) == 4


async def test_a_caption_cut_at_the_token_limit_says_so() -> None:
    async with ScriptedChatServer(lambda asked: Answer(completion("A cat on", "length"))) as server:
        (got,) = await ask(server)
    assert (got.text, got.finish) == ("A cat on", "length")


async def test_parameters_that_a_model_does_not_take_are_left_out_from_then_on() -> None:
    def script(asked: Asked) -> Answer:
        if "max_tokens" in asked.body:
            words = "Unsupported parameter. Use 'max_completion_tokens' instead."
            return Answer(error(words, "unsupported_parameter", "max_tokens"), status=400)
        if "temperature" in asked.body:
            words = "Unsupported value: 'temperature' does not support 0.2 with this model."
            return Answer(error(words), status=400)
        return Answer(completion())

    async with ScriptedChatServer(script) as server:
        engine = OpenAI(base_url=server.url, model="m", attempts=1, max_tokens=99)
        await engine.open()
        await asyncio.gather(*(engine.caption(task()) for _ in range(3)))
        before = len(server.asked)
        assert (await engine.caption(task())).text == "A caption."
        await engine.close()
    (last,) = server.asked[before:]
    assert last.body["max_completion_tokens"] == 99
    assert last.body.keys() == {"model", "messages", "max_completion_tokens"}


async def test_waiting_for_a_turn_is_no_part_of_a_requests_timeout() -> None:
    def script(asked: Asked) -> Answer:
        return Answer(completion(), delay=0.15)

    async with ScriptedChatServer(script) as server:
        tasks = [task() for _ in range(10)]
        got = await ask(server, *tasks, concurrency=1, attempts=1, timeout=1.0)
    assert [each.text for each in got] == ["A caption."] * 10
