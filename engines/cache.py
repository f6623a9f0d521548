"""The cache of built engines: found by what they depend on, built once, never seen half.

    <folder>/<slot>/<digest of the manifest>/manifest.json   and the engine's own files
    <folder>/<slot>.lock

A slot is a model on a provider in a precision. Its entries may lie side by side: for two kinds of
GPU, for two batch sizes.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Literal, Protocol

from engines.errors import EngineError
from engines.manifest import Manifest, sha256

log = logging.getLogger("densefusion.engines")

MANIFEST = "manifest.json"
_LOOK_SECONDS = 0.1  # between two looks at a lock that is held
_KEPT = 8  # entries of a slot; the oldest go when another is built
OnMismatch = Literal["rebuild", "refuse"]


def cache_folder() -> Path:
    """Where engines are kept if nothing is said: in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "densefusion", "engines")


class Remote(Protocol):
    """Where engines are shared among machines. Both calls are made under the slot's lock."""

    def fetch(self, slot: str, digest: str, folder: Path) -> bool:
        """Put the files of that entry into the empty `folder`; False: it is not there."""

    def offer(self, slot: str, digest: str, folder: Path) -> None:
        """Take a copy of an entry that was built here, unless it has one."""


class Cache:
    """Engines on disk. Many processes may use one folder at the same time.

    Args:
        folder: None: `cache_folder`.
        on_mismatch: what `entry` does where no engine fits: build one, which may take minutes, or
            refuse. A worker whose engines are built ahead refuses.
        remote: asked before one is built, and given what is built.
        offer_found: give the remote what was built here before, too: without it, or while it was
            away.
        patience: seconds that one process waits for another that builds the same.
    """

    def __init__(
        self,
        folder: Path | None = None,
        on_mismatch: OnMismatch = "rebuild",
        remote: Remote | None = None,
        *,
        offer_found: bool = False,
        patience: float = 3600.0,
    ) -> None:
        self.folder = folder or cache_folder()
        self._on_mismatch = on_mismatch
        self._remote = remote
        self._offer_found = offer_found
        self._patience = patience

    def entry(self, slot: str, wanted: Manifest, build: Callable[[Path], None]) -> Path:
        """The folder of the engine that fits `wanted`: from here, from the remote, or built.

        Args:
            slot: such as ``efficientnet-lite0-tensorrt-fp16``.
            build: puts the engine's files into the empty folder it is given.

        Raises:
            EngineError: it is refused (the message names each field that differs, old -> new), or
                another process builds it for too long, or the folder cannot be written; or what
                `build` raised.
        """
        try:
            return self._entry(slot, wanted, build)
        except OSError as error:
            raise EngineError(f"{slot} cannot be kept in {self.folder}: {error}") from error

    def _entry(self, slot: str, wanted: Manifest, build: Callable[[Path], None]) -> Path:
        place = self.folder / slot / wanted.digest()
        offers = self._offer_found and self._remote is not None
        if not offers and place.exists() and self._fault(place, wanted) is None:
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        with self._lock(slot):
            # Another process may have built it while this one waited.
            fault = self._fault(place, wanted) if place.exists() else self._miss(slot, wanted)
            if fault is None:
                if offers and self._remote is not None:
                    self._remote.offer(slot, place.name, place)
                return place
            if self._fetched(slot, place, wanted):
                log.info(
                    "engine taken from where they are shared",
                    extra={"engine": slot, "reason": fault},
                )
                return place
            if self._on_mismatch == "refuse":
                raise EngineError(
                    f"engine {slot} in {self.folder}: {fault}. It may not be built here: run "
                    "`densefusion engines build`, or let a worker build it "
                    "(DENSEFUSION_EXPERTS__ENGINE_MISMATCH=rebuild)"
                )
            log.warning("building an engine", extra={"engine": slot, "reason": fault})
            with self._scratch(place) as scratch:
                build(scratch)
                write_manifest(scratch, wanted)
                self._place(scratch, place)
            if self._remote is not None:
                self._remote.offer(slot, place.name, place)
            self._prune(place)
        return place

    def entries(self) -> Iterator[tuple[str, Path, str | None]]:
        """Slot, folder, and what is wrong (None: nothing) of every entry."""
        for place in sorted(self.folder.glob("*/*/")):
            if not place.name.startswith("."):
                yield place.parent.name, place, self._fault(place, None)

    def _fault(self, place: Path, wanted: Manifest | None) -> str | None:
        """What is wrong with an entry; None: nothing."""
        try:
            found, files = read_manifest(place)
        except EngineError as error:
            return f"broken entry {place.name}: {error}"
        if wanted is not None and (differs := found.differences(wanted)):
            return f"differs in {'; '.join(differs)}"
        for name, digest in files.items():
            try:
                if sha256(place / name) != digest:
                    return f"broken entry {place.name}: {name} is not what was built"
            except EngineError as error:
                return f"broken entry {place.name}: {error}"
        return None

    def _miss(self, slot: str, wanted: Manifest) -> str:
        """Why none of the entries that there are fits: of the nearest, the fields that differ."""
        nearest: list[str] | None = None
        for place in (self.folder / slot).glob("[!.]*/"):
            try:
                differs = read_manifest(place)[0].differences(wanted)
            except EngineError:
                continue
            if nearest is None or len(differs) < len(nearest):
                nearest = differs
        return "none is built" if nearest is None else f"differs in {'; '.join(nearest)}"

    def _fetched(self, slot: str, place: Path, wanted: Manifest) -> bool:
        """Whether the remote had it, whole. What it sends is checked as any entry is."""
        if self._remote is None:
            return False
        with self._scratch(place) as scratch:
            if not self._remote.fetch(slot, place.name, scratch):
                return False
            if (fault := self._fault(scratch, wanted)) is not None:
                log.warning("shared engine not taken", extra={"engine": slot, "reason": fault})
                return False
            self._place(scratch, place)
        return True

    @contextmanager
    def _scratch(self, place: Path) -> Iterator[Path]:
        """Beside the entry's place, to be renamed into it: it is there whole or not at all."""
        scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=place.parent))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _place(self, scratch: Path, place: Path) -> None:
        if place.exists():  # broken, or it would have been taken
            aside = Path(tempfile.mkdtemp(prefix=".broken-", dir=place.parent))
            place.rename(aside / place.name)
            shutil.rmtree(aside, ignore_errors=True)
        scratch.rename(place)

    def _prune(self, newest: Path) -> None:
        """Of the slot, all but the newest entries, and what builders that died have left."""
        for left in newest.parent.glob(".*/"):
            shutil.rmtree(left, ignore_errors=True)  # the lock is held: nobody builds here
        old = [place for place in newest.parent.glob("[!.]*/") if place != newest]
        old.sort(key=lambda place: place.stat().st_mtime, reverse=True)
        for place in old[_KEPT - 1 :]:
            shutil.rmtree(place, ignore_errors=True)

    @contextmanager
    def _lock(self, slot: str) -> Iterator[None]:
        """One builder of a slot at a time; the kernel gives the lock back however it ends."""
        with (self.folder / f"{slot}.lock").open("w") as file:
            self._acquire(file.fileno(), slot)
            yield

    def _acquire(self, lock: int, slot: str) -> None:
        until, told = time.monotonic() + self._patience, False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                pass
            if time.monotonic() >= until:
                raise EngineError(
                    f"engine {slot} in {self.folder}: another process has been building it for "
                    f"{self._patience:.0f} s"
                )
            if not told:
                log.info("waiting for another process to build an engine", extra={"engine": slot})
                told = True
            time.sleep(_LOOK_SECONDS)


_default: list[Cache] = []


def default_cache() -> Cache:
    """The cache of sessions that are given none."""
    return _default[0] if _default else Cache()


def set_default_cache(cache: Cache) -> None:
    """Once, when a process starts."""
    _default[:] = [cache]


def write_manifest(place: Path, manifest: Manifest) -> None:
    """Close an entry: what it depends on, and the SHA-256 of each of its files; all on disk."""
    files = {}
    for path in sorted(path for path in place.rglob("*") if path.is_file()):
        files[path.relative_to(place).as_posix()] = sha256(path)
        _sync(path)
    text = json.dumps({"manifest": asdict(manifest), "files": files}, indent=2)
    (place / MANIFEST).write_text(text + "\n", "utf-8")
    _sync(place / MANIFEST)


def read_manifest(place: Path) -> tuple[Manifest, dict[str, str]]:
    """An entry's manifest, and the SHA-256 of its files. Raises `EngineError`."""
    try:
        data = (place / MANIFEST).read_bytes()
    except OSError as error:
        raise EngineError(f"{MANIFEST} cannot be read: {error}") from error
    return parse_manifest(data)


def parse_manifest(data: bytes) -> tuple[Manifest, dict[str, str]]:
    """From the bytes of a manifest's file. Raises `EngineError`."""
    try:
        entry = json.loads(data)
        files = {str(name): str(digest) for name, digest in entry["files"].items()}
        found = Manifest.parse(entry["manifest"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"{MANIFEST} holds no manifest: {error!r}") from error
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
        raise EngineError(f"{MANIFEST} names files outside its folder")
    return found, files


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
