"""What was made of models, in the object store: exports, their cards, their tokenizers, other
precisions. One machine has torch and the hub; the workers take what it made.

    models/<name>/<version>.json     the files' names, and the SHA-256 of each; written last
    models/files/<SHA-256>           the files, by what they hold
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path

from densefusion.store import Missing, ObjectStore
from engines.catalogue import Model
from engines.errors import EngineError
from engines.manifest import sha256

log = logging.getLogger("densefusion.engines")


class ModelStore:
    """An `engines.catalogue.locate.Remote`. Its calls raise `StoreError` after the store's
    retries. A file is in memory as a whole on its way."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def fetch(self, model: Model, folder: Path) -> bool:
        """Put there what is shared of `model` and is not there yet; False: nothing is shared.

        Raises:
            EngineError: what is shared is broken.
        """
        try:
            files = _parse(self._store.read(_index_key(model)), model)
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                if not (folder / name).exists():
                    self._take(content, folder / name)
                    log.info("model file taken from where they are shared", extra={
                        "model": model.name, "file": name
                    })  # fmt: skip
        except Missing:
            return False
        return True

    def offer(self, model: Model, folder: Path) -> list[str]:
        """Share the files of `folder`; their names."""
        paths = [p for p in sorted(folder.glob("[!.]*")) if p.is_file()]
        files = {path.name: sha256(path) for path in paths}
        for path in paths:
            self._store.write(_file_key(files[path.name]), path.read_bytes())
        if files:
            self._store.write(_index_key(model), json.dumps({"files": files}).encode())
        return list(files)

    def _take(self, content: str, path: Path) -> None:
        """Under another name first: several workers of a machine may do this at the same time."""
        number, scratch = tempfile.mkstemp(prefix=".taken-", dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(self._store.read(_file_key(content)))
                file.flush()
                os.fsync(file.fileno())
            if (found := sha256(Path(scratch))) != content:
                raise EngineError(f"the shared {path.name} is broken: SHA-256 is {found}")
            Path(scratch).replace(path)
        finally:
            Path(scratch).unlink(missing_ok=True)


def _parse(data: bytes, model: Model) -> dict[str, str]:
    try:
        files = {str(name): str(digest) for name, digest in json.loads(data)["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"what is shared of {model.name} is broken: {error!r}") from error
    if any(Path(name).name != name or name.startswith(".") for name in files):
        raise EngineError(f"what is shared of {model.name} names files outside its folder")
    return files


def _index_key(model: Model) -> str:
    return f"models/{model.name}/{model.version}.json"


def _file_key(content: str) -> str:
    return f"models/files/{content}"
