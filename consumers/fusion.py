"""Fusion: an image and its priors become a caption."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any

from consumers import prompt
from consumers.caption_metrics import CaptionMetrics
from consumers.incomplete import Incomplete, Kept
from consumers.join_part import LatePrior
from consumers.stage import Emit, Record, Rejected
from densefusion import metrics, tracing
from densefusion.errors import CaptionServerError
from densefusion.logs import seldom
from densefusion.store import Missing, ObjectStore
from densefusion.topics import CAPTIONS
from engines.captions import Captioned, CaptionEngine, CaptionTask, Refused, Unavailable
from schemas import Codec, Framed, SchemaError

log = logging.getLogger("densefusion.fusion")
Place = tuple[str, int, int]  # image id, partition, offset


class Fusion:
    """Joined records to ``captions``, with whichever caption engine there is.

    Args:
        codec: knows the priors of the roster.
        incomplete: where captions that lack an expert are kept; with it, a late prior makes a new
            version of its image's caption.
    """

    name = "fusion"
    # Of every image, these are the server's fault, or that of a setting: a model without a context
    # long enough, another bucket.
    breaks_on = frozenset({"caption-invalid", "caption-empty", "image-gone"})

    def __init__(
        self,
        engine: CaptionEngine,
        store: ObjectStore,
        codec: Codec,
        incomplete: Incomplete | None = None,
    ) -> None:
        self._engine = engine
        self._store = store
        self._codec = codec
        self._incomplete = incomplete
        self._busy: dict[Place, asyncio.Future[None]] = {}
        self._seldom = seldom()

    async def open(self) -> None:
        try:
            await self._engine.open()
        except Unavailable as error:
            raise CaptionServerError(str(error)) from error

    async def close(self) -> None:
        await self._engine.close()

    def revoked(self, partitions: set[tuple[str, int]]) -> None: ...

    async def process(self, record: Record) -> Sequence[Emit]:
        """Raises `Rejected` where the engine refuses, `CaptionServerError` where it is down."""
        if self._incomplete is None:
            return [_emit(await self._first(record))]
        if isinstance(record, LatePrior):
            # What was handed out before it may not have begun yet, and goes first.
            await asyncio.sleep(0)
            prior = record.value
            place = (prior["image_id"], prior["partition"], prior["offset"])
            async with self._turn(place):
                return await self._again(self._incomplete, record, prior)
        async with self._turn((record.value["image_id"], record.partition, record.offset)):
            caption = await self._first(record)
            if any(name not in record.joined for name in record.missing):
                await self._incomplete.keep(caption)
            return [_emit(caption)]

    async def _first(self, record: Record) -> dict[str, Any]:
        """The caption of an image."""
        task = _Task(
            record.value,
            {name: partial(_value, prior) for name, prior in record.joined.items()},
            record.missing,
            self._store,
        )
        captioned = await self._caption(task)
        missing = dict(record.missing) | task.unreadable
        for name, why in missing.items():
            metrics.MISSING_PRIORS.labels(name).inc()
            if (more := self._seldom(name)) is not None:
                log.warning("caption without an expert", extra={
                    "image_id": record.value["image_id"], "partition": record.partition,
                    "offset": record.offset, "expert": name, "reason": why, "repeated": more,
                })  # fmt: skip
        return {
            "image_id": record.value["image_id"],
            "partition": record.partition,
            "offset": record.offset,
            "image": Framed(record.raw),
            "priors": [
                {"expert": name, "record": prior.raw}
                for name, prior in record.joined.items()
                if name not in task.unreadable
            ],
            "missing": [{"expert": name, "reason": why} for name, why in missing.items()],
        } | self._said(captioned)

    async def _again(
        self, incomplete: Incomplete, record: LatePrior, prior: Mapping[str, Any]
    ) -> Sequence[Emit]:
        """The next version of a caption, with a prior that came late; nothing, if it lacks none."""
        while prior["status"] == "ok":
            kept = await incomplete.find(record.expert, prior, record.raw)
            if kept is None:
                break
            try:
                captioned = await self._caption(self._task(kept))
            except Rejected as rejected:  # the first caption stands
                log.warning("not captioned again", extra={
                    "image_id": prior["image_id"], "expert": record.expert, "error": str(rejected),
                })  # fmt: skip
                break
            if await incomplete.update(kept):
                metrics.RECAPTIONS.labels(record.expert).inc()
                made = {"version": kept.version, "missing": kept.missing}
                return [_emit(kept.caption | made | self._said(captioned), ends=False)]
        metrics.LATE_PRIORS.labels(self.name).inc()
        return ()

    def _task(self, kept: Kept) -> _Task:
        """The task of a caption that is made again."""
        caption = kept.caption
        return _Task(
            caption["image"],
            {
                used["expert"]: partial(
                    self._codec.decode, f"Prior:{used['expert']}", used["record"]
                )
                for used in caption["priors"]
            },
            {each["expert"] for each in kept.missing},
            self._store,
        )

    async def _caption(self, task: _Task) -> Captioned:
        try:
            with tracing.child("caption", {"densefusion.engine": self._engine.name}):
                captioned = await self._engine.caption(task)
        except Refused as error:
            raise Rejected(error.reason, error.detail) from error
        except Missing as error:
            raise Rejected("image-gone", f"no object {error}") from error
        except Unavailable as error:
            raise CaptionServerError(str(error)) from error
        self._metrics.captioned(captioned)
        return captioned

    @cached_property
    def _metrics(self) -> CaptionMetrics:
        return CaptionMetrics(self._engine.name)  # which it may have learned while it was opened

    def _said(self, captioned: Captioned) -> dict[str, Any]:
        """The fields of a caption that come from the engine."""
        return {
            "text": captioned.text,
            "engine": self._engine.name,
            "saw_image": self._engine.saw_image,
            "prompt_version": prompt.VERSION,
            "finish": captioned.finish,
            "tokens_in": captioned.tokens_in,
            "tokens_out": captioned.tokens_out,
            "price": captioned.price,
            "seconds": captioned.seconds,
            "captioned_at": datetime.now(UTC),
        }

    @asynccontextmanager
    async def _turn(self, place: Place) -> AsyncIterator[None]:
        """One image's captions are made one after the other."""
        while (before := self._busy.get(place)) is not None:
            await asyncio.wait([before])
        done = self._busy[place] = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            del self._busy[place]
            done.set_result(None)


class _Task(CaptionTask):
    """A task that decodes the priors, and builds the prompt, when its engine asks for them.

    Args:
        priors: for each expert, what reads its prior.
        without: experts whose priors hold no findings.

    Attributes:
        unreadable: experts whose priors turned out to be broken, and how.
    """

    def __init__(
        self,
        image: Mapping[str, Any],
        priors: Mapping[str, Callable[[], dict[str, Any]]],
        without: Iterable[str],
        store: ObjectStore,
    ) -> None:
        set_once = partial(object.__setattr__, self)  # a task is frozen
        set_once("image", image)
        set_once("load", partial(_load, store, image))
        set_once("_read", priors)
        set_once("_without", without)
        set_once("unreadable", {})

    unreadable: dict[str, str]
    _read: Mapping[str, Callable[[], dict[str, Any]]]
    _without: Iterable[str]

    @cached_property
    def priors(self) -> Mapping[str, Mapping[str, Any]]:
        found = {}
        for name, read in self._read.items():
            if name not in self._without:
                try:
                    found[name] = read()
                except SchemaError as error:
                    log.warning("prior unreadable", extra={
                        "image_id": self.image["image_id"], "expert": name, "error": str(error),
                    })  # fmt: skip
                    self.unreadable[name] = "its prior cannot be read"
        return found

    @cached_property
    def prompt(self) -> str:
        return prompt.build(self.image, self.priors)


def _value(prior: Record) -> dict[str, Any]:
    return prior.value


def _load(store: ObjectStore, image: Mapping[str, Any]) -> Awaitable[bytes]:
    return store.get(image["object_key"])


def _emit(caption: Mapping[str, Any], *, ends: bool = True) -> Emit:
    return Emit(CAPTIONS, caption["image_id"], caption, "Caption", ends)
