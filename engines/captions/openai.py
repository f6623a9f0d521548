"""Captions from any server that speaks OpenAI's chat completions: vLLM, SGLang, llama.cpp, GPT.

Protocol: OpenAI's API reference, "Create chat completion" and "List models".
"""

from __future__ import annotations

import asyncio
import base64
import logging
from http import HTTPStatus
from time import monotonic
from typing import Any

from engines.captions.client import Client, Declined, Transient
from engines.captions.engine import Captioned, CaptionTask, Refused, Unavailable
from engines.captions.picture import for_model
from engines.captions.reply import (
    OURS,
    Complaint,
    Completion,
    Malformed,
    cleaned,
    completion,
    models,
)
from engines.errors import ImageError

log = logging.getLogger(__name__)

_INVALID = {400, 413, 415, 422}
_ADVICE = {
    401: "check the API key",
    402: "check the account's balance",
    403: "check the API key and what it may do",
    404: "check the base URL and the model's name",
    405: "check the base URL",
}
_MAX_NAME = 200


class OpenAI:
    """A `CaptionEngine` in front of an OpenAI-compatible server.

    Args:
        base_url: such as ``http://host:8000``, with ``/v1`` or without.
        model: None: the first that the server lists, at `open`.
        api_key: sent as a bearer token; never logged, never in a message.
        max_tokens: of one caption.
        concurrency: requests at the same time.
        timeout: seconds for one request.
        attempts: tries of one request where it may pass.
        image_side: longest side of the picture that is sent, in pixels.
        price_in, price_out: US dollars for a million tokens; without both, captions have no price.
        backoff: seconds before the second try at most, then doubling.

    Raises:
        ValueError: `base_url` or `api_key` cannot be one.
    """

    def __init__(
        self,
        *,
        base_url: str,
        model: str | None = None,
        api_key: str = "",
        max_tokens: int = 512,
        temperature: float = 0.2,
        concurrency: int = 32,
        timeout: float = 120.0,
        attempts: int = 5,
        image_side: int = 1024,
        price_in: float | None = None,
        price_out: float | None = None,
        backoff: float = 0.5,
    ) -> None:
        self._client = Client(
            base_url=base_url,
            api_key=api_key,
            concurrency=concurrency,
            timeout=timeout,
            attempts=attempts,
            backoff=backoff,
        )
        self._where = f"caption server {self._client.origin}"
        self._model = model or None
        self._parameters: dict[str, float] = {"max_tokens": max_tokens, "temperature": temperature}
        self._image_side = image_side
        self._prices = (price_in, price_out)
        self._served = 0
        self.saw_image = True
        self.name = self._name()

    def __repr__(self) -> str:
        return f"OpenAI({self._client.origin!r}, model={self._model!r})"

    async def open(self) -> None:
        """Connect, and learn the model's name where none was given.

        Raises:
            Unavailable: the server lists no model, or does not answer.
        """
        await self._client.open()
        if self._model is None:
            try:
                self._model = await self._first_model()
            except BaseException:
                await self.close()
                raise
            self.name = self._name()

    async def close(self) -> None:
        await self._client.close()

    async def caption(self, task: CaptionTask) -> Captioned:
        """Raises `Refused` for this image's fault, `Unavailable` for the server's."""
        started, served = monotonic(), self._served
        data = await task.load()
        try:
            content = await asyncio.to_thread(_content, task.prompt, data, self._image_side)
        except ImageError as error:
            raise Refused("caption-invalid", f"picture: {error}") from error
        try:
            got = await self._client.patiently(self._complete, content)
        except Transient as error:
            raise self._given_up(error, self._served - served) from error
        self._served += 1
        return Captioned(
            text=got.text,
            seconds=monotonic() - started,
            finish=got.finish,
            tokens_in=got.tokens_in,
            tokens_out=got.tokens_out,
            price=self._price(got),
        )

    async def _first_model(self) -> str:
        try:
            names = await self._client.patiently(self._models)
        except Transient as error:
            raise self._given_up(error, 0) from error
        except Declined as error:
            raise self._verdict(error) from error
        if not names:
            raise Unavailable(f"{self._where} lists no models: name the one to use")
        chosen = names[0]
        log.info("caption model chosen", extra={
            "server": self._where, "listed": len(names), "model": cleaned(chosen, _MAX_NAME)
        })  # fmt: skip
        return chosen

    async def _models(self) -> list[str]:
        body = await self._client.request("GET", "models")
        try:
            return models(body)
        except Malformed as error:
            raise Transient(f"no list of models: {error}") from error

    async def _complete(self, content: list[dict[str, Any]]) -> Completion:
        messages = [{"role": "user", "content": content}]
        while True:
            asked = {"model": self._model, "messages": messages, **self._parameters}
            try:
                return completion(await self._client.request("POST", "chat/completions", asked))
            except Malformed as error:
                raise Transient(f"no chat completion: {error}") from error
            except Declined as error:
                if not self._adapt(error.said, asked):
                    raise self._verdict(error) from error

    def _adapt(self, said: Complaint, asked: dict[str, Any]) -> bool:
        """Whether the server only minds a parameter, which it is spared from now on.

        OpenAI's reasoning models take ``max_completion_tokens`` and no temperature. This ends: what
        was `asked` loses one of the two each time.
        """
        if "max_tokens" in asked and said.rejects("max_tokens"):
            limit = self._parameters.pop("max_tokens", asked["max_tokens"])
            self._parameters["max_completion_tokens"] = limit
            return True
        if "temperature" in asked and said.rejects("temperature"):
            self._parameters.pop("temperature", None)
            return True
        return False

    def _verdict(self, error: Declined) -> Refused | Unavailable:
        """Whose fault it is that the server declines: the image's, or ours."""
        status, said = error.status, error.said
        if said.filtered:
            return Refused("caption-refused", said.words)
        if status in _INVALID and said.code not in OURS:
            return Refused("caption-invalid", f"HTTP {status}: {said.words}")
        advice = _ADVICE.get(status, "check the base URL, the API key and the model's name")
        return Unavailable(
            f"{self._where} answers {status} for model {self._model!r}: {advice}. {said.words}"
        )

    def _given_up(self, error: Transient, others: int) -> Refused | Unavailable:
        """What it means that no try helped, while `others` were captioned.

        A server that breaks at one image, again and again, and serves the others meanwhile, is not
        down; that image must not stop the stream each time it comes.
        """
        attempts = self._client.attempts
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR and others >= attempts:
            words = f"{error}; {attempts} times, while {others} others were captioned"
            return Refused("caption-invalid", words)
        return Unavailable(f"{self._where}: {error}; gave up after {attempts} attempts")

    def _price(self, got: Completion) -> float | None:
        price_in, price_out = self._prices
        if price_in is None or price_out is None:
            return None
        if got.tokens_in is None or got.tokens_out is None:
            return None
        return (got.tokens_in * price_in + got.tokens_out * price_out) / 1e6

    def _name(self) -> str:
        return f"openai:{cleaned(self._model or '?', _MAX_NAME)}"


def _content(prompt: str, data: bytes, side: int) -> list[dict[str, Any]]:
    """A user message's content: the prompt, and the picture as a data URL."""
    picture, mime = for_model(data, side)
    url = f"data:{mime};base64,{base64.b64encode(picture).decode('ascii')}"
    return [
        {"type": "text", "text": prompt},
        {"type": "image_url", "image_url": {"url": url}},
    ]
