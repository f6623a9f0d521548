"""Captions that had to do without an expert: kept, so that they can be made again when it answers.

Each lies in the object store as ``incomplete/<image id>/<partition>-<offset>``: the first caption's
record, framed, with the priors that came late added at the end of its priors and counted in its
`version`, in the order in which they were used. So the object gives every version again, as it was:
a late prior that is read a second time, after a crash, makes the same version a second time.
Nothing removes these objects: give the prefix a lifecycle rule in the bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from densefusion.store import Conflict, Missing, ObjectStore
from schemas import Codec

PREFIX = "incomplete"


@dataclass(slots=True)
class Kept:
    """A caption that may be made again with one late prior more.

    Attributes:
        caption: the first one's record, with the late priors of this version and those before it.
        version: that it would have.
        missing: what is still missing in it.
    """

    caption: dict[str, Any]
    version: int
    missing: list[dict[str, Any]]
    _key: str
    _etag: str | None  # None: this prior is in the object already


class Incomplete:
    """The captions that are incomplete.

    Args:
        topic: full name of the topic of captions.
    """

    def __init__(self, store: ObjectStore, codec: Codec, topic: str) -> None:
        self._store = store
        self._codec = codec
        self._topic = topic

    async def keep(self, caption: Mapping[str, Any]) -> None:
        """Keep a first caption. Raises `densefusion.errors.StoreError`."""
        key = _key(caption["image_id"], caption["partition"], caption["offset"])
        await self._store.put(key, self._encode(caption), "application/octet-stream")

    async def find(self, expert: str, prior: Mapping[str, Any], raw: bytes) -> Kept | None:
        """The caption that lacks this prior; None where there is none, or it lacks it no longer.

        Args:
            prior, raw: the late prior, decoded and as it came.

        Raises:
            schemas.SchemaError: the object is none of ours.
            densefusion.errors.StoreError: the object store is down.
        """
        key = _key(prior["image_id"], prior["partition"], prior["offset"])
        try:
            data, etag = await self._store.get_tagged(key)
        except Missing:
            return None
        caption = self._codec.decode("Caption", data)
        priors = caption["priors"]
        first = len(priors) - caption["version"]
        late = [each["expert"] for each in priors[first:]]
        if expert in late:
            version = late.index(expert) + 1
            if priors[first + version - 1]["record"] != raw:
                return None  # it has answered, and this is another answer
            del priors[first + version :]
            return self._kept(caption, version, key, None)
        lacking = {each["expert"] for each in caption["missing"]}
        if expert not in lacking or any(each["expert"] == expert for each in priors):
            return None
        priors.append({"expert": expert, "record": raw})
        return self._kept(caption, len(late) + 1, key, etag)

    async def update(self, kept: Kept) -> bool:
        """Put the late prior into the object; False where somebody else wrote it meanwhile."""
        if kept._etag is None:
            return True
        data = self._encode(kept.caption | {"version": kept.version})
        try:
            await self._store.put_if(kept._key, data, kept._etag)
        except Conflict:
            return False
        return True

    def _kept(self, caption: dict[str, Any], version: int, key: str, etag: str | None) -> Kept:
        came = {each["expert"] for each in caption["priors"][-version:]}
        missing = [each for each in caption["missing"] if each["expert"] not in came]
        return Kept(caption, version, missing, key, etag)

    def _encode(self, caption: Mapping[str, Any]) -> bytes:
        return self._codec.encode("Caption", caption, self._topic)


def _key(image_id: str, partition: int, offset: int) -> str:
    return f"{PREFIX}/{image_id}/{partition}-{offset}"
