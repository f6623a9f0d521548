"""Built engines in the object store, so that one machine builds and the others of its kind take.

    engines/<slot>/<digest of the manifest>.json   the manifest, written last
    engines/files/<SHA-256>                        the files it names, by what they hold

Two machines that build the same engine at the same time write different bytes: named by their
content, files never mix.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from densefusion.model_store import ModelStore
from densefusion.settings import Settings
from densefusion.store import Missing, ObjectStore
from engines.cache import MANIFEST, Cache, OnMismatch, parse_manifest, set_default_cache
from engines.catalogue import configure
from engines.catalogue.locate import set_remote
from engines.errors import EngineError

log = logging.getLogger("densefusion.engines")


class EngineStore:
    """An `engines.cache.Remote`. Its calls raise `StoreError` after the store's retries."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def fetch(self, slot: str, digest: str, folder: Path) -> bool:
        try:
            text = self._store.read(_manifest_key(slot, digest))
            _, files = parse_manifest(text)
            for name, content in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._store.read(_file_key(content)))
        except Missing:
            return False
        except EngineError as error:
            log.warning("shared engine not taken", extra={"engine": slot, "reason": str(error)})
            return False
        (folder / MANIFEST).write_bytes(text)
        return True

    def offer(self, slot: str, digest: str, folder: Path) -> None:
        with suppress(Missing, EngineError):
            parse_manifest(self._store.read(_manifest_key(slot, digest)))
            return
        text = (folder / MANIFEST).read_bytes()
        _, files = parse_manifest(text)
        for name, content in files.items():
            self._store.write(_file_key(content), (folder / name).read_bytes())
        self._store.write(_manifest_key(slot, digest), text)
        log.info("engine shared", extra={"engine": slot, "digest": digest})


def _manifest_key(slot: str, digest: str) -> str:
    return f"engines/{slot}/{digest}.json"


def _file_key(content: str) -> str:
    return f"engines/files/{content}"


def engine_cache(
    settings: Settings,
    *,
    on_mismatch: OnMismatch | None = None,
    share: bool | None = None,
    offer_found: bool = False,
) -> Cache:
    """The cache as the settings have it.

    Args:
        on_mismatch, share: in place of ``experts.engine_mismatch`` and ``experts.share_engines``.
        offer_found: see `Cache`.

    Raises:
        SettingsError: engines are shared, and there is no object store.
    """
    experts = settings.experts
    shared = experts.share_engines if share is None else share
    remote = EngineStore(ObjectStore(settings.store)) if shared else None
    return Cache(
        experts.engines, on_mismatch or experts.engine_mismatch, remote, offer_found=offer_found
    )


def set_up_engines(settings: Settings) -> None:
    """Tell the engines of this process where models and built engines are. Once, at its start.

    Raises:
        SettingsError: engines are shared, and there is no object store.
    """
    configure(extra=settings.experts.catalogue, folder=settings.experts.models)
    set_default_cache(engine_cache(settings))
    set_remote(ModelStore(ObjectStore(settings.store)) if settings.experts.share_engines else None)
