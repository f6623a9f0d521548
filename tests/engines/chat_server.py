"""A scripted chat server: OpenAI's chat completions over real HTTP, answering by a script.

It reads each request as a model server does, down to the picture's pixels, and answers with what
the script says for it: no model is behind it.
"""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web
from PIL import Image


@dataclass(slots=True)
class Asked:
    """One request for a completion, as the server understood it."""

    body: dict[str, Any]
    headers: dict[str, str]
    prompt: str
    mime: str
    sent: bytes
    picture: Image.Image


@dataclass(slots=True)
class Answer:
    """What to answer: `body` as JSON, or bytes as they are, after `delay` seconds."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


Script = Callable[[Asked], Answer]


def completion(text: Any = "A caption.", finish: str = "stop", **message: Any) -> dict[str, Any]:
    """The body of a chat completion."""
    said = {"role": "assistant", "content": text, **message}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "scripted",
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050},
    }


def error(message: str, code: Any = None, param: str | None = None, kind: str = "") -> Any:
    """The body of an error."""
    return {"error": {"message": message, "type": kind or None, "param": param, "code": code}}


def in_turn(answers: Iterable[Answer]) -> Script:
    """The answers one after the other; then completions."""
    rest = iter(answers)
    return lambda asked: next(rest, Answer(completion()))


class ScriptedChatServer:
    """``async with ScriptedChatServer(script) as server``: listens at `server.url`.

    Attributes:
        asked: every request for a completion, in order of arrival.
        peak: the most that were being answered at the same time.
        connections: the TCP connections that carried them.
        listings: requests for the list of models.
    """

    def __init__(
        self, script: Script = lambda asked: Answer(completion()), models: Any = ("scripted",)
    ) -> None:
        self._script = script
        self._models = models
        self._now = 0
        self.asked: list[Asked] = []
        self.peak = 0
        self.connections: set[Any] = set()
        self.listings = 0
        self.url = ""

    async def __aenter__(self) -> ScriptedChatServer:
        app = web.Application(client_max_size=32 << 20)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self._now += 1
        self.peak = max(self.peak, self._now)
        self.connections.add(request.transport)
        try:
            asked = read(await request.json(), dict(request.headers))
            self.asked.append(asked)
            answer = self._script(asked)
            await asyncio.sleep(answer.delay)
        finally:
            self._now -= 1
        return _response(answer)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self.listings += 1
        if isinstance(self._models, Answer):
            return _response(self._models)
        listed = [{"id": name, "object": "model"} for name in self._models]
        return web.json_response({"object": "list", "data": listed})


def read(body: dict[str, Any], headers: dict[str, str]) -> Asked:
    """Raises KeyError, ValueError or OSError where this is no question about one picture."""
    (message,) = body["messages"]
    text, picture = message["content"]
    head, _, data = picture["image_url"]["url"].partition(";base64,")
    sent = base64.b64decode(data, validate=True)
    opened = Image.open(io.BytesIO(sent))
    opened.load()
    return Asked(body, headers, text["text"], head.removeprefix("data:"), sent, opened)


def _response(answer: Answer) -> web.Response:
    if isinstance(answer.body, bytes):
        return web.Response(body=answer.body, status=answer.status, headers=answer.headers)
    return web.json_response(answer.body, status=answer.status, headers=answer.headers)
