"""The stage fetch: a URL in, an image in the object store out.

Reject reasons, the whole list:

=====================  =============================================================  ======
reason                 the URL or what it led to                                      again?
=====================  =============================================================  ======
``malformed-url``      is not an http(s) URL with a plain host, or over 8 KiB
``private-address``    leads into a private network, and its host is not allowed
``dns``                has a host that no address is found for                        maybe
``connect``            has a host that takes no connection                            yes
``tls``                has no valid certificate, or speaks no TLS
``timeout``            does not come in time                                          yes
``incomplete``         broke off: connection reset, body shorter than declared        yes
``protocol``           does not speak HTTP as it should
``http-<status>``      answers that it is not to be had                               429, 5xx
``opt-out``            asks, by X-Robots-Tag, to be in no index and to train no model
``http-other``         answers a status that does not exist
``too-many-redirects`` leads on and on
``too-large``          is longer than ``fetch.max_bytes``, as sent or inflated
``content-encoding``   is compressed in a way that isn't read, or not properly
``empty``              has no bytes
``not-an-image``       is something else, whatever it is called
``unsupported-format`` is an image that isn't decoded: SVG, HEIF, JPEG XL, ...
``decompression-bomb`` has more than ``fetch.max_pixels``, or takes forever to decode
``too-small``          has a short edge under ``fetch.min_short_edge``
``truncated``          is an image that ends too early
``corrupt-image``      is an image that cannot be decoded
``unexpected``         made the HTTP client fail in a way nobody thought of (it is logged)
=====================  =============================================================  ======

"again?": tried up to ``fetch.attempts`` times. 5xx means 500, 502, 503 and 504.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Protocol

from PIL import Image

from consumers.fetch.body import decode_body
from consumers.fetch.fetch_metrics import Attempt, fetching, inspecting
from consumers.fetch.http import Download, HttpClient
from consumers.fetch.inspect import Inspected, inspect
from consumers.fetch.recent import Recent
from consumers.fetch.room import Room
from consumers.stage import Emit, Record, Rejected
from densefusion import tracing
from densefusion.settings import Fetch as Settings
from engines.cores import usable_cores
from schemas.names import MALFORMED

_RECENT_IDS = 65_536
_MAX_DETAIL = 300  # characters


class Store(Protocol):
    """Where image bytes go. `put` retries; its `DependencyError` stops the worker."""

    async def put(self, key: str, data: bytes, content_type: str) -> None: ...


class Fetch:
    """Consumes `ImageUrl`, emits `Image` on ``fetched``.

    Args:
        settings: limits and timeouts.
        store: the object store.
    """

    name = "fetch"

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._stored = Recent(_RECENT_IDS)
        self._pixels = Room(settings.memory)
        self._client: HttpClient | None = None
        self._decoders: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        self._client = HttpClient(self._settings)
        # Pillow has one limit a process, checked while it opens; ours is checked right after.
        Image.MAX_IMAGE_PIXELS = self._settings.max_pixels
        self._decoders = ThreadPoolExecutor(usable_cores(), thread_name_prefix="inspect")

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
        if self._decoders is not None:
            self._decoders.shutdown(wait=False, cancel_futures=True)

    def revoked(self, partitions: set[tuple[str, int]]) -> None:
        """Nothing here belongs to a partition."""

    async def process(self, record: Record) -> Sequence[Emit]:
        """Download, inspect, store.

        Raises:
            Rejected: see the table above.
            DependencyError: the object store does not answer, or no name server does.
        """
        with ExitStack() as held:
            return await self._process(record, held)

    async def _process(self, record: Record, held: ExitStack) -> Sequence[Emit]:
        source = record.value
        if (malformed := source["extra"].get(MALFORMED)) is not None:
            raise Rejected("malformed-url", malformed[:_MAX_DETAIL])
        try:
            with fetching(source["url"]) as attempt:
                data, image_id, image = await self._image(source["url"], attempt, held)
        except Rejected as reject:
            # Servers' words are in it: lone surrogates could not be encoded as Avro.
            reject.detail = reject.detail.encode("ascii", "backslashreplace").decode()[:_MAX_DETAIL]
            raise
        key = f"images/{image_id[:2]}/{image_id[2:4]}/{image_id}"
        if image_id not in self._stored:
            await self._store.put(key, data, image.mime)
            self._stored.add(image_id)
        value = {
            "image_id": image_id,
            "object_key": key,
            "width": image.width,
            "height": image.height,
            "mime": image.mime,
            "size": len(data),
            "phash": image.phash,
            "url_id": source["url_id"],
            "url": source["url"],
            "alt_text": source.get("alt_text"),
            "page_url": source.get("page_url"),
            "source": source.get("source", ""),
            "extra": source["extra"],
            "embedded": image.embedded,
            "published_at": source["published_at"],
            "fetched_at": datetime.now(UTC),
        }
        return [Emit("fetched", image_id, value, "Image")]

    async def _image(
        self, url: str, attempt: Attempt, held: ExitStack
    ) -> tuple[bytes, str, Inspected]:
        assert self._client is not None, "open() first"
        with tracing.child("GET", {"http.request.method": "GET"}, client=True):
            download = await self._client.get(url, held)
        attempt.downloaded(len(download.data))
        loop = asyncio.get_running_loop()
        with tracing.child("inspect"):
            return await loop.run_in_executor(self._decoders, self._examine, download)

    def _examine(self, download: Download) -> tuple[bytes, str, Inspected]:
        """Blocking: the image's bytes, their id, and what they show."""
        settings = self._settings
        with inspecting():
            data = decode_body(download.data, download.content_encoding, settings.max_bytes)
            image = inspect(
                data,
                max_pixels=settings.max_pixels,
                min_short_edge=settings.min_short_edge,
                room=self._pixels,
            )
        return data, hashlib.sha256(data).hexdigest(), image
