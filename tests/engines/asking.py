"""Asking a scripted chat server for captions, with the engine under test."""

from __future__ import annotations

import asyncio
import io
from typing import Any

from PIL import Image

from engines.captions import CaptionTask
from engines.captions.openai import OpenAI
from tests.engines.chat_server import ScriptedChatServer

KEY = "sk-very-secret-0123456789"


def jpeg(width: int = 64, height: int = 48, colour: str = "red", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "JPEG", **options)
    return out.getvalue()


def task(data: bytes | None = None, prompt: str = "Describe it.") -> CaptionTask:
    async def load() -> bytes:
        return jpeg() if data is None else data

    return CaptionTask(image={}, prompt=prompt, priors={}, load=load)


async def ask(server: ScriptedChatServer, *tasks: CaptionTask, **options: Any) -> list[Any]:
    """What became of each of the tasks (one by default), all given at the same time."""
    given: dict[str, Any] = {"model": "m", "api_key": KEY, "timeout": 5.0, "backoff": 0.001}
    engine = OpenAI(base_url=server.url, **given | options)
    await engine.open()
    try:
        asked = [engine.caption(each) for each in tasks or [task()]]
        return await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await engine.close()
