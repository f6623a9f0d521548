"""The object store: S3 by the `minio` client, from asyncio.

Every call is tried again with backoff for `retry_for` seconds, so that a store which is away for a
minute costs a minute; after that the worker stops with a `StoreError`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from minio.helpers import check_bucket_name
from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from densefusion.errors import SettingsError, StoreError
from densefusion.settings import Store

log = logging.getLogger("densefusion.store")
T = TypeVar("T")
_ABSENT = {"NoSuchKey", "NoSuchObject"}  # no bucket is another matter: a wrong setting
_FINAL = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidBucketName"}


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
        access = settings.access_key.get_secret_value() or os.environ.get("AWS_ACCESS_KEY_ID", "")
        secret = settings.secret_key.get_secret_value()
        secret = secret or os.environ.get("AWS_SECRET_ACCESS_KEY", "")
        if not access or not secret:
            raise SettingsError(
                "no keys for the object store: set DENSEFUSION_STORE__ACCESS_KEY and "
                "DENSEFUSION_STORE__SECRET_KEY (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
            )
        if settings.endpoint is None:
            raise SettingsError("no object store: set DENSEFUSION_STORE__ENDPOINT")
        self._settings = settings
        self._closing = threading.Event()
        self.bucket = settings.bucket
        self._http = urllib3.PoolManager(
            maxsize=settings.connections,
            timeout=urllib3.Timeout(connect=5, read=settings.timeout),
            retries=False,
        )
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
        """Every key under `prefix`, in order."""
        for item in self._s3.list_objects(self.bucket, prefix=prefix, recursive=True):
            if item.object_name and not item.is_dir:
                yield item.object_name

    def _get(self, key: str) -> tuple[bytes, str]:
        try:
            response = self._s3.get_object(self.bucket, key)
        except S3Error as error:
            if error.code in _ABSENT:
                raise Missing(key) from error
            raise
        try:
            return response.read(), response.headers.get("etag", "").strip('"')
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
        if ("If-Match" in headers and response.status == 404) or response.status in (409, 412):
            raise Conflict(key)
        if response.status != 200:
            raise _Answer(response.status, response.data[:300].decode("utf-8", "replace"))
        return response.headers.get("etag", "").strip('"')

    async def _call(self, work: Callable[..., T], *args: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._retry, work, *args)

    def _retry(self, work: Callable[..., T], *args: object) -> T:
        retrying = Retrying(
            stop=stop_after_delay(self._settings.retry_for) | stop_when_event_set(self._closing),
            sleep=sleep_using_event(self._closing),
            wait=wait_random_exponential(0.1, 5),
            retry=retry_if_exception(_may_pass),
            before_sleep=before_sleep_log(log, logging.WARNING),
            reraise=True,
        )
        try:
            return retrying(work, *args)
        except (S3Error, MinioException, urllib3.exceptions.HTTPError, _Answer, OSError) as error:
            where = f"object store {self._settings.endpoint}, bucket {self.bucket}"
            raise StoreError(f"{where}: {error}") from error


class _Answer(Exception):
    """An HTTP answer that is neither success nor a condition that failed."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"HTTP {status}: {body}")
        self.status = status


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, S3Error):
        return error.code not in _FINAL
    if isinstance(error, _Answer):
        return error.status >= 500 or error.status == 429
    return isinstance(error, MinioException | urllib3.exceptions.HTTPError | OSError)
