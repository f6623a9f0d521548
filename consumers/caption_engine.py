"""Which caption engine the settings ask for."""

from __future__ import annotations

import os

from densefusion.errors import SettingsError
from densefusion.settings import Caption
from densefusion.settings_security import secret
from engines.captions import CaptionEngine


def caption_engine(settings: Caption) -> CaptionEngine:
    """`compose`, unless a model server is named.

    Raises:
        SettingsError: ``openai`` without a base URL, or with one that cannot be, or without the
            file of its key.
    """
    # Imported here: each brings what only it needs, and every worker imports this module.
    if settings.engine == "compose" or (settings.engine is None and settings.base_url is None):
        from engines.captions.compose import Compose

        return Compose()
    if settings.base_url is None:
        raise SettingsError(
            "the caption engine openai needs the server's URL: set DENSEFUSION_CAPTION__BASE_URL"
        )
    from engines.captions.openai import OpenAI

    try:
        key = secret(settings.api_key, settings.api_key_file) or os.environ.get(
            "OPENAI_API_KEY", ""
        )
        return OpenAI(
            base_url=settings.base_url,
            model=settings.model,
            api_key=key or os.environ.get("OPENAI_API_KEY", ""),
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            concurrency=settings.concurrency,
            timeout=settings.timeout,
            attempts=settings.attempts,
            image_side=settings.image_side,
            price_in=settings.price_in,
            price_out=settings.price_out,
        )
    except (ValueError, OSError) as error:
        raise SettingsError(f"caption engine: {error}") from error
