"""Makes a model's files be on this machine: looked at where they are installed, fetched from a hub.

A download goes on where it broke off (HTTP range requests), and takes its place only when its
SHA-256 is right. Source: RFC 9110, 14 (range requests) and 13.1.5 (If-Range).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import urllib3

from engines.catalogue.locate import locate, source_folder
from engines.catalogue.model import Hub, Model
from engines.errors import EngineError
from engines.manifest import sha256

HUGGING_FACE = "https://huggingface.co"
_BLOCK = 1 << 18
_TAG = ".etag"
_PARTIAL, _OK, _UNSATISFIABLE = 206, 200, 416
Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes that are there, and how many there will be."""


def pull(model: Model, folder: Path | None = None, progress: Progress | None = None) -> list[Path]:
    """The model's files, fetched where they are not there yet.

    Args:
        folder: where models from a hub are kept; None: `engines.catalogue.models_folder`.

    Raises:
        EngineError: a file is not to be had, or is not the one that the catalogue names.
    """
    if not isinstance(model.source, Hub):
        path = locate(model, folder)
        _hold(path, model.sha256)
        return [path]
    hub = model.source
    paths = []
    # Where nobody is to be reached, each file would wait for all of the tries.
    retries = urllib3.Retry(
        total=5, connect=2, backoff_factor=0.5, status_forcelist=[429, 500, 502, 503, 504]
    )
    with urllib3.PoolManager(retries=retries, timeout=urllib3.Timeout(10, read=60)) as http:
        for name, digest in hub.files.items():
            path = source_folder(hub, folder) / name
            if not path.is_file():
                # Hugging Face's token is nobody else's business.
                token = None if hub.endpoint else os.environ.get("HF_TOKEN")
                _fetch(http, address(hub, name), path, digest, progress, token)
            _hold(path, digest)
            paths.append(path)
    return paths


def address(hub: Hub, file: str) -> str:
    """URL of a file of the hub's revision."""
    endpoint = hub.endpoint or os.environ.get("HF_ENDPOINT") or HUGGING_FACE
    return f"{endpoint.rstrip('/')}/{hub.repo}/resolve/{quote(hub.revision, safe='')}/{quote(file)}"


def _fetch(
    http: urllib3.PoolManager,
    url: str,
    path: Path,
    digest: str | None,
    progress: Progress | None,
    token: str | None,
) -> None:
    part, tag = path.with_name(path.name + ".part"), path.with_name(path.name + _TAG)

    def told(at: int, of: int | None) -> None:
        if progress is not None:
            progress(path.name, at, of)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _download(http, url, part, tag, told, token)
            _keep(url, part, path, digest)
    except BlockingIOError as error:
        raise EngineError(f"{path}: another process fetches it; run it again after that") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise EngineError(f"{url}: {error}; run it again, it goes on where it broke off") from error


def _keep(url: str, part: Path, path: Path, digest: str | None) -> None:
    """Put a file that is whole in its place, or throw it away. Raises `EngineError`."""
    path.with_name(path.name + _TAG).unlink(missing_ok=True)
    if digest is not None and (found := sha256(part)) != digest:
        part.unlink()
        raise EngineError(f"{url}: SHA-256 is {found}, the catalogue says {digest}; thrown away")
    part.replace(path)


def _download(
    http: urllib3.PoolManager,
    url: str,
    part: Path,
    tag: Path,
    progress: Callable[[int, int | None], None],
    token: str | None,
) -> None:
    """The body of `url` into `part`, from where `part` ends, if it is of the same file still."""
    headers = {"Accept-Encoding": "identity"}  # else a range would be of the compressed bytes
    if token:
        headers["Authorization"] = f"Bearer {token}"
    at = part.stat().st_size if part.is_file() and tag.is_file() else 0
    if at:
        headers |= {"Range": f"bytes={at}-", "If-Range": tag.read_text("utf-8")}
    response = http.request("GET", url, headers=headers, preload_content=False)
    try:
        if response.status == _UNSATISFIABLE:  # all of it was there
            return
        if response.status not in (_OK, _PARTIAL):
            raise EngineError(f"{url}: HTTP {response.status}")
        if response.status == _OK:
            at = 0
        left = response.headers.get("Content-Length")
        of = at + int(left) if left else None
        tag.unlink(missing_ok=True)
        with part.open("ab" if at else "wb") as file:
            # A weak tag does not promise the same bytes.
            if (etag := response.headers.get("ETag", "")) and not etag.startswith("W/"):
                tag.write_text(etag, "utf-8")
            for block in response.stream(_BLOCK):
                file.write(block)
                at += len(block)
                progress(at, of)
            file.flush()
            os.fsync(file.fileno())
        if of is not None and at != of:
            raise urllib3.exceptions.ProtocolError(f"{at} of {of} bytes came")
    finally:
        response.release_conn()
        response.close()


def _hold(path: Path, digest: str | None) -> None:
    if digest is not None and (found := sha256(path)) != digest:
        raise EngineError(f"{path}: SHA-256 is {found}, the catalogue says {digest}")
