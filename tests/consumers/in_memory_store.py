"""The object store's calls from asyncio, in memory, with its conditions and its errors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from densefusion.store import Conflict, Missing


class InMemoryStore:
    """Objects by key. `before_put_if` is called before every conditional write, to interfere."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.writes: list[str] = []
        self.before_put_if: Callable[[str], None] | None = None
        self.failure: Exception | None = None

    async def get(self, key: str) -> bytes:
        return (await self.get_tagged(key))[0]

    async def get_tagged(self, key: str) -> tuple[bytes, str]:
        self._fail()
        if key not in self.objects:
            raise Missing(key)
        return self.objects[key], _etag(self.objects[key])

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        self._fail()
        self._write(key, data)

    async def put_if(self, key: str, data: bytes, etag: str | None) -> str:
        self._fail()
        if self.before_put_if is not None:
            self.before_put_if(key)
        held = self.objects.get(key)
        if etag != (None if held is None else _etag(held)):
            raise Conflict(key)
        self._write(key, data)
        return _etag(data)

    def _write(self, key: str, data: bytes) -> None:
        self.objects[key] = bytes(data)
        self.writes.append(key)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


def _etag(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()
