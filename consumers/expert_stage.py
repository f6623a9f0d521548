"""The stage that an expert runs in: bytes from the object store, decoded, to findings, to a prior.

Every image gets an answer: findings, or ``failed`` with the reason. So the join never waits for an
expert that lives.

Pixels are decoded and prepared in a pool of threads, beside the model's own, while others are
fetched and others again are in the model.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np

from consumers.byte_budget import ByteBudget
from consumers.expert import Expert, Prepares, Sighting
from consumers.stage import Emit, Record
from densefusion import metrics, topics, tracing
from densefusion.errors import DependencyError
from densefusion.store import Missing, ObjectStore
from engines import images
from engines.decoders import Decode
from engines.errors import ImageError
from engines.session import usable_cores
from schemas import Codec, SchemaError

log = logging.getLogger("densefusion.expert")
T = TypeVar("T")
_REASON = 500
# A broker takes a million bytes in one message (librdkafka's message.max.bytes), headers included.
_LARGEST = 900_000


class ExpertStage:
    """Runs one expert on every image of the topic that it follows.

    Args:
        codec: knows the expert's priors.
        prefix: put before every topic's name.
        decode: bytes to pixels, from many threads at once.
        memory: bytes of pictures, as they came and decoded, that are held at the same time, with
            what decoding them takes. (A picture that is larger is done alone.)
        requested: the execution provider that the settings ask for.
        precision: of the expert's model, where it does not say itself.
    """

    def __init__(
        self,
        expert: Expert,
        store: ObjectStore,
        codec: Codec,
        prefix: str = "",
        *,
        decode: Decode = images.decode,
        memory: int = 512 << 20,
        requested: str = "cpu",
        precision: str = "fp32",
    ) -> None:
        self.name = expert.name
        self._expert = expert
        self._prepare = expert.prepare if isinstance(expert, Prepares) else None
        self._store = store
        self._codec = codec
        self._prefix = prefix
        self._decode = decode
        self._memory = ByteBudget(memory)
        self._requested = requested
        self._precision = precision
        self._loading = metrics.STEP_SECONDS.labels(self.name, "load")
        self._decoding = metrics.STEP_SECONDS.labels(self.name, "decode")
        self._decoders = ThreadPoolExecutor(usable_cores(), thread_name_prefix="decode")

    async def open(self) -> None:
        await self._expert.open()
        # The provider that really runs; an expert without a model of its own has none.
        expert = self._expert
        ran = {"requested": "none", "provider": "none", "precision": "none"}
        if (provider := getattr(expert, "provider", None)) is not None:
            precision = getattr(expert, "precision", self._precision)
            ran = {"requested": self._requested, "provider": provider, "precision": precision}
        metrics.ENGINE_INFO.labels(expert=self.name, model=expert.model, **ran).set(1)
        log.info("engine opened", extra={
            "expert": self.name, "model": expert.model, **ran, "model_version": expert.model_version
        })  # fmt: skip

    async def close(self) -> None:
        await self._expert.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        started = time.monotonic()
        value = record.value
        followed = value if self._expert.follows != topics.IMAGES else None
        prior = self._prior(record)
        try:
            with ExitStack() as held:
                pixels = await self._pixels(value, held)
                started = time.monotonic()
                with tracing.child("find", {"densefusion.model": self._expert.model}):
                    found = await self._expert.find(Sighting(value, pixels, followed))
            if found is None:
                raise TypeError("the expert answered None")
            prior |= {"findings": found, "lines": list(self._expert.describe(found))}
        except DependencyError:
            raise
        except Missing:
            prior |= _failed("the image's bytes are not in the object store")
        except ImageError as error:
            prior |= _failed(str(error))
        except Exception as error:  # an expert's failure is an answer too
            log.warning("expert failed", exc_info=True, extra=self._of(prior, repr(error)))
            prior |= _failed(repr(error))
        prior["seconds"] = time.monotonic() - started
        return [
            Emit(
                topics.priors(self.name),
                value["image_id"],
                self._encoded(prior),
                f"Prior:{self.name}",
            )
        ]

    async def _pixels(self, value: Mapping[str, Any], held: ExitStack) -> np.ndarray | None:
        """The image's pixels, prepared; `held` has the memory that they take."""
        if self._expert.pixels == 0:
            return None
        key = value["object_key"]
        if "width" in value:
            is_jpeg = value["mime"] == "image/jpeg"
            size = self._size(value["width"], value["height"], is_jpeg) + value["size"]
            loan = held.enter_context(await self._memory.lend(size))
            data = await self._load(key)
        else:  # a prior does not say how large the image is
            data = await self._load(key)
            size = await self._in_pool(self._size_of, data)
            loan = held.enter_context(await self._memory.lend(size))
        with tracing.child("decode"):
            pixels = await self._in_pool(self._prepared, data)
        loan.resize(pixels.nbytes)
        return pixels

    async def _load(self, key: str) -> bytes:
        started = time.monotonic()
        data = await self._store.get(key)
        self._loading.inc(time.monotonic() - started)
        return data

    async def _in_pool(self, work: Callable[[bytes], T], data: bytes) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._decoders, work, data)

    def _prepared(self, data: bytes) -> np.ndarray:
        started = time.monotonic()
        pixels = self._decode(data, min_side=self._expert.pixels)
        if self._prepare is not None:
            pixels = self._prepare(pixels)
        self._decoding.inc(time.monotonic() - started)
        return pixels

    def _size(self, width: int, height: int, is_jpeg: bool) -> int:
        """Bytes while it is decoded; afterwards there are the pixels alone."""
        return images.decoded_bytes(
            width, height, min_side=self._expert.pixels, jpeg=is_jpeg
        ) + images.working_bytes(width, height, jpeg=is_jpeg)

    def _size_of(self, data: bytes) -> int:
        picture = images.open_header(data)
        return self._size(*picture.size, picture.format == "JPEG") + len(data)

    def _encoded(self, prior: dict[str, Any]) -> bytes:
        """The prior as bytes; findings that cannot be sent become a failure that says why."""
        name, topic = f"Prior:{self.name}", self._prefix + topics.priors(self.name)
        try:
            encoded = self._codec.encode(name, prior, topic)
        except SchemaError as error:
            if prior["findings"] is None:
                raise
            log.warning("findings cannot be sent", extra=self._of(prior, str(error)))
            return self._codec.encode(name, prior | _failed(str(error)), topic)
        if len(encoded) <= _LARGEST:
            return encoded
        reason = f"findings of {len(encoded)} bytes; a message takes {_LARGEST}"
        log.warning("findings cannot be sent", extra=self._of(prior, reason))
        return self._codec.encode(name, prior | _failed(reason), topic)

    def _of(self, prior: Mapping[str, Any], error: str) -> dict[str, Any]:
        """Fields of a log line: which image, where it lies on the topic of images."""
        where = {name: prior[name] for name in ("image_id", "partition", "offset")}
        return {"expert": self.name, **where, "error": error}

    def _prior(self, record: Record) -> dict[str, Any]:
        """All but findings and lines."""
        expert = self._expert
        partition, offset = _position(record)
        return {
            "image_id": record.value["image_id"],
            "partition": partition,
            "offset": offset,
            "object_key": record.value["object_key"],
            "expert": expert.name,
            "model": expert.model,
            "model_version": expert.model_version,
            "status": "ok",
            "reason": None,
            "title": expert.title,
            "made_at": datetime.now(UTC),
        }


def _failed(reason: str) -> dict[str, Any]:
    """What a prior says of a failure."""
    plain = reason[:_REASON].encode("utf-8", "replace").decode()  # Avro has no lone surrogates
    return {"status": "failed", "reason": plain, "findings": None, "lines": []}


def _position(record: Record) -> tuple[int, int]:
    """Where the image is on the topic ``images``; a prior that is followed carries it on."""
    value: Mapping[str, Any] = record.value
    if "expert" in value:
        return value["partition"], value["offset"]
    return record.partition, record.offset
