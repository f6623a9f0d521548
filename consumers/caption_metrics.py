"""What captions cost, as metrics."""

from __future__ import annotations

from densefusion import metrics
from engines.captions.engine import Captioned


class CaptionMetrics:
    """Counts the captions of one engine.

    Args:
        engine: its name, as written into the records.
    """

    def __init__(self, engine: str) -> None:
        self._count = metrics.CAPTIONS.labels(engine)
        self._tokens_in = metrics.CAPTION_TOKENS.labels(engine, "in")
        self._tokens_out = metrics.CAPTION_TOKENS.labels(engine, "out")
        self._price = metrics.CAPTION_PRICE.labels(engine)
        self._words = metrics.CAPTION_WORDS.labels(engine)
        self._seconds = metrics.CAPTION_SECONDS.labels(engine)
        self._model = metrics.STEP_SECONDS.labels("fusion", "model")

    def captioned(self, captioned: Captioned) -> None:
        self._count.inc()
        self._tokens_in.inc(captioned.tokens_in or 0)
        self._tokens_out.inc(captioned.tokens_out or 0)
        self._price.inc(captioned.price or 0.0)
        self._words.observe(len(captioned.text.split()))
        self._seconds.observe(captioned.seconds)
        self._model.inc(captioned.seconds)
