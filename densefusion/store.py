"""The object store: S3 by the `minio` client, from asyncio.

Every call is tried again with backoff for `retry_for` seconds, so that a store which is away for a
minute costs a minute; after that the worker stops with a `StoreError`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from minio.helpers import check_bucket_name
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from densefusion import store_access, tracing
from densefusion.errors import SettingsError, StoreError
from densefusion.settings import Store
from densefusion.store_metrics import StoreMetrics

log = logging.getLogger("densefusion.store")
T = TypeVar("T")
_ABSENT = {"NoSuchKey", "NoSuchObject"}  # no bucket is another matter: a wrong setting


class Missing(Exception):
    """There is no such object."""


class Conflict(Exception):
    """The object is not as the condition of a write has it."""


class ObjectStore:
    """One bucket. Calls from asyncio run on a pool of `connections` threads.

    Raises:
        SettingsError: no keys, no endpoint, or one (or a bucket's name) that cannot be.
    """

    def __init__(self, settings: Store) -> None:
        access, secret = store_access.keys(settings)
        if settings.endpoint is None:
            raise SettingsError("no object store: set DENSEFUSION_STORE__ENDPOINT")
        self._settings = settings
        self._closing = threading.Event()
        self._metrics = StoreMetrics()
        self.bucket = settings.bucket
        self._http = store_access.connections(settings)
        try:
            check_bucket_name(settings.bucket)
            # A given region spares the client one request at its first use.
            self._s3 = Minio(
                settings.endpoint,
                access,
                secret,
                secure=settings.secure,
                region=settings.region,
                http_client=self._http,
            )
        except ValueError as error:  # else every record would be thought at fault
            raise SettingsError(f"object store: {error}") from error
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="store")

    def close(self) -> None:
        """Give up whatever is still being tried."""
        self._closing.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.clear()

    def failing(self) -> str | None:
        """What is being tried again at this moment, or None."""
        return self._metrics.failing()

    async def get(self, key: str) -> bytes:
        """The object's bytes. Raises `Missing`, or `StoreError` after the retries."""
        return (await self._call(self._get, key))[0]

    async def get_tagged(self, key: str) -> tuple[bytes, str]:
        """The object's bytes and its ETag, for a later conditional write."""
        return await self._call(self._get, key)

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Write the object. Raises `StoreError` after the retries."""
        await self._call(self._put, key, data, content_type)

    async def put_if(self, key: str, data: bytes, etag: str | None) -> str:
        """Write the object only if its ETag is `etag`, or, for None, only if there is none yet.

        Returns the new ETag. Raises `Conflict`, or `StoreError` after the retries. A write whose
        answer was lost is tried again and meets itself as a `Conflict`: callers look what is there.
        """
        return await self._call(self._put_if, key, data, etag)

    async def reach(self) -> None:
        """Ask for an object that is not there: a wrong setting is told before there is work.

        A right that we lack is told with the work that needs it: no stage may read everything.

        Raises:
            StoreError: the store does not let us in, has no such bucket, or is away, for longer
                than the retries last.
        """

        def get(key: str) -> None:
            try:
                self._get(key)
            except Missing:
                pass
            except S3Error as error:
                if error.code != "AccessDenied":
                    raise

        await self._call(get, "nothing")

    def make_bucket(self) -> None:
        """Make the bucket if it is not there."""

        def make() -> None:
            try:
                if not self._s3.bucket_exists(self.bucket):
                    self._s3.make_bucket(self.bucket)
            except S3Error as error:
                if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise

        self._retry(make)

    def read(self, key: str) -> bytes:
        """`get`, for callers without a loop."""
        return self._retry(self._get, key)[0]

    def write(self, key: str, data: bytes) -> None:
        """`put`, for callers without a loop."""
        self._retry(self._put, key, data, "application/octet-stream")

    def delete(self, key: str) -> None:
        """Remove the object, if there is one."""
        self._retry(self._s3.remove_object, self.bucket, key)

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key under `prefix`, in order. Raises `StoreError`, at the first failure."""
        try:
            for item in self._s3.list_objects(self.bucket, prefix=prefix, recursive=True):
                if item.object_name and not item.is_dir:
                    yield item.object_name
        except _FAILURES as error:
            self._metrics.gave_up("keys", error)
            raise StoreError(store_access.explain(error, self._settings)) from error

    def _get(self, key: str) -> tuple[bytes, str]:
        try:
            response = self._s3.get_object(self.bucket, key)
        except S3Error as error:
            if error.code in _ABSENT:
                raise Missing(key) from error
            raise
        try:
            data = response.read()
            self._metrics.moved("get", data)
            return data, response.headers.get("etag", "").strip('"')
        finally:
            response.release_conn()

    def _put(self, key: str, data: bytes, content_type: str) -> None:
        self._send(key, data, {"Content-Type": content_type})

    def _put_if(self, key: str, data: bytes, etag: str | None) -> str:
        return self._send(
            key, data, {"If-None-Match": "*"} if etag is None else {"If-Match": f'"{etag}"'}
        )

    def _send(self, key: str, data: bytes, headers: dict[str, str]) -> str:
        """A PUT; the new ETag."""
        # The client offers no conditional write; signing a URL is local and costs no request.
        url = self._s3.presigned_put_object(self.bucket, key)
        # Without it a server may take a body that broke off for the whole: SeaweedFS puts an empty
        # object over a good one when the writer dies between head and body.
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        headers = {"Content-MD5": base64.b64encode(digest).decode(), **headers}
        response = self._http.request("PUT", url, body=data, headers=headers)
        if ("If-Match" in headers and response.status == 404) or response.status == 412:
            raise Conflict(key)
        if response.status != 200:
            raise _Answer(response.status, response.data[:300].decode("utf-8", "replace"))
        return response.headers.get("etag", "").strip('"')

    async def _call(self, work: Callable[..., T], *args: object) -> T:
        loop = asyncio.get_running_loop()
        name, key = work.__name__.strip("_"), str(args[0])
        with tracing.child(f"S3 {name}", {"aws.s3.bucket": self.bucket, "aws.s3.key": key},
                           client=True):  # fmt: skip
            return await loop.run_in_executor(self._threads, self._retry, work, *args)

    def _retry(self, work: Callable[..., T], *args: object) -> T:
        retrying = Retrying(
            stop=stop_after_delay(self._settings.retry_for) | stop_when_event_set(self._closing),
            sleep=sleep_using_event(self._closing),
            wait=wait_random_exponential(0.1, 5),
            retry=retry_if_exception(_may_pass),
            before_sleep=self._failed,
            reraise=True,
        )
        try:
            with self._metrics.operation(work.__name__, *args):
                return retrying(work, *args)
        except _FAILURES as error:
            self._metrics.gave_up(work.__name__, error)
            raise StoreError(store_access.explain(error, self._settings)) from error

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        work = getattr(state.fn, "__name__", "")
        self._metrics.failed(work, error)
        log.warning("object store fails, trying again", extra={
            "operation": work.strip("_"),
            "key": state.args[0] if state.args and isinstance(state.args[0], str) else None,
            "attempt": state.attempt_number, "wait_seconds": round(state.upcoming_sleep, 1),
            "error": repr(error),
        })  # fmt: skip


class _Answer(Exception):
    """An HTTP answer that is neither success nor a condition that failed."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"HTTP {status}: {body}")
        self.status = status


_FAILURES = (MinioException, urllib3.exceptions.HTTPError, _Answer, OSError)


def _may_pass(error: BaseException) -> bool:
    if store_access.is_final(error):
        return False
    if isinstance(error, _Answer):
        # 409: another conditional write is under way, and S3 says to try again. It may fail yet, so
        # that there would be nothing to look at.
        return error.status >= 500 or error.status in (409, 429)
    return isinstance(error, MinioException | urllib3.exceptions.HTTPError | OSError)
