"""The URLs, published in batches by the producers' own code, no faster than the run wants them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from consumers.roster import make_codec
from densefusion import clients, topics
from densefusion.settings import Settings
from producers.publish import publish
from producers.rows import Row

_BATCH = 200
_PATIENCE = 180.0  # seconds for the brokers to take a batch


class Feed:
    """Publishes in a thread, from `with` on.

    Args:
        urls: all that there are.
        allowed: how many may be published by now.
        published: told how many are.
    """

    def __init__(
        self,
        settings: Settings,
        run: str,
        urls: list[str],
        allowed: Callable[[], int],
        published: Callable[[int], None],
    ) -> None:
        self._settings = settings
        self._run_id = run
        self._urls = urls
        self._allowed = allowed
        self._published = published
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._feed, name="feed", daemon=True)
        self.count = 0
        self.error: Exception | None = None

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def done(self) -> bool:
        """Whether nothing more will be published."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """After the batch in hand."""
        self._over.set()
        self._thread.join(_PATIENCE + 10)

    def _feed(self) -> None:
        try:
            self._batches()
        except Exception as error:
            self.error = error

    def _batches(self) -> None:
        kafka = self._settings.kafka
        codec, producer = make_codec(self._settings), clients.producer(kafka)
        while self.count < len(self._urls) and not self._over.is_set():
            batch = self._urls[self.count : min(self._allowed(), self.count + _BATCH)]
            if not batch:
                self._over.wait(0.1)
                continue
            publish(
                map(Row, batch), producer=producer, topic=kafka.prefix + topics.URLS, codec=codec,
                run=self._run_id, source="chaos", patience=_PATIENCE,
            )  # fmt: skip
            self.count += len(batch)
            self._published(self.count)
