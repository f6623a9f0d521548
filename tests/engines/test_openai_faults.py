"""What the caption engine makes of a server's faults, and of an image's."""

from __future__ import annotations

import asyncio
import io
import logging
import traceback
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engines.captions import Captioned, Refused, Unavailable
from engines.captions.openai import OpenAI
from tests.engines.asking import KEY, ask, task
from tests.engines.chat_server import Answer, Asked, ScriptedChatServer, completion, error, in_turn


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        ([], "name the one to use"),
        (Answer(error("no", "invalid_api_key"), status=401), "check the API key"),
        (Answer(b"<html>", status=200), "<html>"),
        (Answer({"data": 5}), "data"),
        (Answer(b"", status=503), "503"),
    ],
)
async def test_no_model_to_take(listing: Any, words: str) -> None:
    async with ScriptedChatServer(models=listing) as server:
        engine = OpenAI(base_url=server.url, attempts=2, backoff=0.001)
        with pytest.raises(Unavailable, match=words):
            await engine.open()


async def test_a_request_that_waits_to_be_tried_again_holds_up_no_other() -> None:
    def script(asked: Asked) -> Answer:
        sick = asked.prompt == "sick" and len(server.asked) == 1
        return Answer(status=503, headers={"Retry-After": "1"}) if sick else Answer(completion())

    async with ScriptedChatServer(script) as server:
        tasks = [task(prompt="sick"), *(task(prompt="well") for _ in range(3))]
        got = await ask(server, *tasks, concurrency=1)
    assert [each.text for each in got] == ["A caption."] * 4
    assert [asked.prompt for asked in server.asked] == ["sick", "well", "well", "well", "sick"]


async def test_retry_after_is_honoured() -> None:
    busy = Answer(error("slow down"), status=429, headers={"Retry-After": "0.4"})
    async with ScriptedChatServer(in_turn([busy])) as server:
        (got,) = await ask(server)
    assert got.seconds >= 0.4
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(error("later"), status=status) for status in (408, 409, 425, 429)),
        *(Answer(b"<h1>Bad gateway", status=status) for status in (500, 502, 503, 504, 529)),
        Answer(b"{"),
        Answer(b""),
        Answer(b"\xff\xfe\x00"),
        Answer(b"[" * 100_000),
        Answer({"choices": [{}]}),
        Answer({"error": {"message": "upstream", "code": 502}}),
        Answer(b" " * (5 << 20)),
        Answer(completion(), headers={"Content-Encoding": "gzip"}),
        Answer(completion(), delay=1.0),
    ],
)
async def test_what_may_pass_is_tried_again(answer: Answer) -> None:
    async with ScriptedChatServer(in_turn([answer, answer])) as server:
        (got,) = await ask(server, attempts=3, timeout=0.4 if answer.delay else 5.0)
    assert isinstance(got, Captioned)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(error("CUDA is lost"), status=500), "HTTP 500: CUDA is lost"),
        (Answer(b"{"), "no chat completion: {"),
        (Answer(completion(), delay=0.5), "no answer within 0.2 s"),
    ],
)
async def test_what_does_not_pass_makes_the_server_unavailable(answer: Answer, words: str) -> None:
    async with ScriptedChatServer(lambda asked: answer) as server:
        (got,) = await ask(server, attempts=3, timeout=0.2 if answer.delay else 5.0)
    assert isinstance(got, Unavailable)
    assert str(got) == f"caption server {server.url}: {words}; gave up after 3 attempts"
    assert len(server.asked) == 3


async def test_no_server_is_unavailable() -> None:
    async with ScriptedChatServer() as server:
        pass
    (got,) = await ask(server, attempts=2)
    assert isinstance(got, Unavailable)
    assert server.url in str(got)
    assert "after 2 attempts" in str(got)


async def test_a_server_that_declines_before_it_has_read_the_picture() -> None:
    async def decline(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlong"
        )
        await writer.drain()
        writer.close()

    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (2000, 2000, 3), dtype=np.uint8))
    out = io.BytesIO()
    noise.save(out, "JPEG", quality=95)
    async with await asyncio.start_server(decline, "127.0.0.1", 0) as proxy:
        server = ScriptedChatServer()
        server.url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        (got,) = await ask(server, task(out.getvalue()), image_side=2000, attempts=2)
    assert isinstance(got, Refused)
    assert got.detail == "HTTP 413: long"


async def test_one_image_that_breaks_the_server_is_refused_while_others_are_served() -> None:
    def script(asked: Asked) -> Answer:
        broken = Answer(error("bug"), status=500, headers={"Retry-After": "0.3"})
        return broken if asked.prompt == "bad" else Answer(completion())

    async with ScriptedChatServer(script) as server:
        tasks = [task(prompt="bad"), *(task() for _ in range(8))]
        bad, *good = await ask(server, *tasks, attempts=3)
    assert all(isinstance(each, Captioned) for each in good)
    assert isinstance(bad, Refused)
    assert bad.reason == "caption-invalid"
    assert "HTTP 500: bug; 3 times, while 8 others" in bad.detail


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (Answer(error("Wrong key", "invalid_api_key"), status=401), "check the API key"),
        (Answer(error("Not yours"), status=403), "check the API key"),
        (Answer({"detail": "Not Found"}, status=404), "check the base URL and the model's name"),
        (Answer(error("The model does not exist", "model_not_found"), status=404), "model's name"),
        (Answer(error("No such model", "model_not_found"), status=400), "model's name"),
        (Answer(error("Pay first", "insufficient_quota"), status=429), "Pay first"),
        (Answer(b"", status=302, headers={"Location": "/login"}), "check the base URL"),
    ],
)
async def test_what_only_a_person_can_mend_stops_at_once(answer: Answer, advice: str) -> None:
    async with ScriptedChatServer(lambda asked: answer) as server:
        (got,) = await ask(server)
    assert isinstance(got, Unavailable)
    assert advice in str(got)
    assert server.url in str(got)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "reason", "detail"),
    [
        (Answer(error("too long"), status=400), "caption-invalid", "HTTP 400: too long"),
        (Answer(error("too big"), status=413), "caption-invalid", "HTTP 413: too big"),
        (Answer({"detail": "what?"}, status=422), "caption-invalid", "HTTP 422: what?"),
        (Answer({"object": "error", "message": "no", "code": 400}, status=400),
         "caption-invalid", "HTTP 400: no"),
        (Answer(error("unsafe", "content_filter"), status=400), "caption-refused", "unsafe"),
        (Answer(error("policy", "content_policy_violation"), status=400),
         "caption-refused", "policy"),
        (Answer(error("flagged", 403, kind="content_filter"), status=403),
         "caption-refused", "flagged"),
        (Answer(completion("I", "content_filter")), "caption-refused", "content_filter"),
        (Answer(completion(None, refusal="I can't help.")), "caption-refused", "I can't help."),
        (Answer(completion("")), "caption-empty", "no text; finish reason stop"),
        (Answer(completion(None)), "caption-empty", "no text; finish reason stop"),
        (Answer(completion(" \n\x00 ")), "caption-empty", "no text; finish reason stop"),
        (Answer(completion("<think>Let me", "length")), "caption-empty",
         "no text; finish reason length"),
        (Answer({"choices": []}), "caption-empty", "no choices"),
    ],
)  # fmt: skip
async def test_what_is_the_images_fault_is_refused(
    answer: Answer, reason: str, detail: str
) -> None:
    async with ScriptedChatServer(lambda asked: answer) as server:
        (got,) = await ask(server)
    assert isinstance(got, Refused)
    assert (got.reason, got.detail) == (reason, detail)
    assert len(server.asked) == 1


async def test_bytes_that_are_no_picture_are_refused_and_never_sent() -> None:
    async with ScriptedChatServer() as server:
        (got,) = await ask(server, task(b"<html>"))
    assert isinstance(got, Refused)
    assert got.reason == "caption-invalid"
    assert server.asked == []


async def test_a_context_that_is_too_long_is_not_taken_for_an_unknown_parameter() -> None:
    words = "'max_tokens' or 'max_completion_tokens' is too large: 512."
    async with ScriptedChatServer(lambda asked: Answer(error(words), status=400)) as server:
        (got,) = await ask(server)
    assert isinstance(got, Refused)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(error(f"Incorrect API key: {KEY}", "invalid_api_key"), status=401),
        Answer(error("x" * 285 + KEY), status=400),
        Answer(error(f"{KEY} is over its limit"), status=429),
        Answer(KEY.encode()),
    ],
)
async def test_the_key_is_in_no_message_and_no_log(
    answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with ScriptedChatServer(lambda asked: answer) as server:
        (got,) = await ask(server, attempts=2, api_key=f"{KEY}\n")
        assert server.asked[0].headers["Authorization"] == f"Bearer {KEY}"
        told = [vars(record) for record in caplog.records]
        shown = f"{got!r} {got} {getattr(got, 'detail', '')} {told}"
        assert isinstance(got, Refused | Unavailable)
        assert "sk-very" not in shown
        assert "sk-very" not in repr(OpenAI(base_url=server.url, api_key=KEY))


def test_a_key_that_no_header_can_hold_is_refused_unseen() -> None:
    with pytest.raises(ValueError, match="API key") as raised:
        OpenAI(base_url="http://host", api_key="sk-very\nsecret")
    assert "sk-very" not in str(raised.value)


async def test_a_password_in_the_base_url_is_in_no_message() -> None:
    async with ScriptedChatServer(lambda asked: Answer(status=404)) as server:
        server.url = server.url.replace("//", "//user:hunter2@")
        (got,) = await ask(server, api_key="")
        assert server.asked[0].headers["Authorization"].startswith("Basic ")
    assert isinstance(got, Unavailable)
    assert "hunter2" not in str(got)


async def test_a_key_in_the_base_urls_query_is_in_no_message() -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(garbage, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        engine = OpenAI(base_url=f"http://127.0.0.1:{port}/v1?key={KEY}", attempts=1)
        with pytest.raises(Unavailable, match="Bad status line") as raised:
            await engine.open()
    shown = "".join(traceback.format_exception(raised.value))
    assert KEY not in shown
