"""Built engines through an object store on a real port."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from densefusion.engine_store import EngineStore, engine_cache
from densefusion.errors import SettingsError, StoreError
from densefusion.settings import Experts, Settings, Store
from densefusion.store import ObjectStore
from engines.cache import Cache
from engines.errors import EngineError
from engines.manifest import Manifest
from tests.densefusion.s3_server import S3Server

SLOT = "cat-finder-tensorrt-fp16"
BUILT = Manifest("ab", "tensorrt", "fp16", "image:1x3", "", "1.32.0", "11.0.0", "13.0", "sm_90")


@pytest.fixture
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        yield running


def settings(server: S3Server, **changes: object) -> Store:
    given = {
        "endpoint": server.endpoint, "bucket": "pictures", "retry_for": 1,
        "access_key": SecretStr("a"), "secret_key": SecretStr("s"), **changes,
    }  # fmt: skip
    return Store(**given)


@pytest.fixture
def remote(server: S3Server) -> Iterator[EngineStore]:
    store = ObjectStore(settings(server))
    yield EngineStore(store)
    store.close()


class Builder:
    def __init__(self) -> None:
        self.builds = 0

    def __call__(self, folder: Path) -> None:
        self.builds += 1
        (folder / "engines").mkdir()
        (folder / "engines" / "a.engine").write_text(f"engine {self.builds}")


def test_one_machine_builds_for_the_others(
    remote: EngineStore, server: S3Server, tmp_path: Path
) -> None:
    build = Builder()
    Cache(tmp_path / "a", remote=remote).entry(SLOT, BUILT, build)
    place = Cache(tmp_path / "b", "refuse", remote).entry(SLOT, BUILT, build)
    assert build.builds == 1
    assert (place / "engines" / "a.engine").read_text() == "engine 1"
    assert f"pictures/engines/{SLOT}/{BUILT.digest()}.json" in server.objects
    # What lies in the cache is not asked for again.
    server.requests.clear()
    Cache(tmp_path / "b", remote=remote).entry(SLOT, BUILT, build)
    assert server.requests == []


def test_what_was_built_alone_can_be_shared_later(
    remote: EngineStore, server: S3Server, tmp_path: Path
) -> None:
    """Built without sharing, or while the store was away: building ahead again puts it there."""
    build = Builder()
    Cache(tmp_path / "a").entry(SLOT, BUILT, build)
    Cache(tmp_path / "a", remote=remote, offer_found=True).entry(SLOT, BUILT, build)
    Cache(tmp_path / "b", "refuse", remote).entry(SLOT, BUILT, build)
    assert build.builds == 1
    server.requests.clear()
    Cache(tmp_path / "a", remote=remote, offer_found=True).entry(SLOT, BUILT, build)
    assert [each for each in server.requests if each.startswith("PUT")] == []


def test_another_gpu_builds_its_own(remote: EngineStore, tmp_path: Path) -> None:
    build = Builder()
    Cache(tmp_path / "a", remote=remote).entry(SLOT, BUILT, build)
    Cache(tmp_path / "b", remote=remote).entry(SLOT, replace(BUILT, hardware="sm_80"), build)
    assert build.builds == 2


def test_the_manifest_comes_last(remote: EngineStore, server: S3Server, tmp_path: Path) -> None:
    """So that an engine whose push broke off is not there."""
    Cache(tmp_path / "a", remote=remote).entry(SLOT, BUILT, Builder())
    puts = [each for each in server.requests if each.startswith("PUT")]
    assert puts[-1].split("?")[0].endswith(".json")


def test_two_machines_that_build_the_same_do_not_mix(
    remote: EngineStore, server: S3Server, tmp_path: Path
) -> None:
    build = Builder()
    for name in "ab":
        folder = Cache(tmp_path / name).entry(SLOT, BUILT, build)
        remote.offer(SLOT, BUILT.digest(), folder)
    # The first machine's manifest comes late, over the second's.
    first = (tmp_path / "a" / SLOT / BUILT.digest() / "manifest.json").read_bytes()
    server.objects[f"pictures/engines/{SLOT}/{BUILT.digest()}.json"] = first
    place = Cache(tmp_path / "c", "refuse", remote).entry(SLOT, BUILT, build)
    assert (place / "engines" / "a.engine").read_text() == "engine 1"


@pytest.mark.parametrize("spoil", ["file", "no file", "manifest", "elsewhere"])
def test_a_spoilt_one_is_not_taken(
    spoil: str, remote: EngineStore, server: S3Server, tmp_path: Path
) -> None:
    build = Builder()
    Cache(tmp_path / "a", remote=remote).entry(SLOT, BUILT, build)
    manifest = f"pictures/engines/{SLOT}/{BUILT.digest()}.json"
    (file,) = (key for key in server.objects if "/files/" in key)
    match spoil:
        case "file":
            server.objects[file] += b"!"
        case "no file":
            del server.objects[file]
        case "manifest":
            server.objects[manifest] = b"{"
        case "elsewhere":
            entry = json.loads(server.objects[manifest])
            entry["files"] = {"../../../evil": next(iter(entry["files"].values()))}
            server.objects[manifest] = json.dumps(entry).encode()
    place = Cache(tmp_path / "b", remote=remote).entry(SLOT, BUILT, build)
    assert build.builds == 2
    assert (place / "engines" / "a.engine").read_text() == "engine 2"
    assert not list(tmp_path.rglob("evil"))


def test_a_store_that_is_away_is_an_error(
    remote: EngineStore, server: S3Server, tmp_path: Path
) -> None:
    server.always = (503, "SlowDown")
    with pytest.raises(StoreError):
        Cache(tmp_path / "a", remote=remote).entry(SLOT, BUILT, Builder())


def test_the_settings_decide(server: S3Server, tmp_path: Path) -> None:
    def cache(**experts: object) -> Cache:
        given = Experts(engines=tmp_path, **experts)  # type: ignore[arg-type]
        return engine_cache(Settings(store=settings(server), experts=given))

    build = Builder()
    cache(share_engines=True).entry(SLOT, BUILT, build)
    assert server.objects
    with pytest.raises(EngineError, match=r"differs in cuda: 13\.0 -> 13\.1"):
        cache(engine_mismatch="refuse").entry(SLOT, replace(BUILT, cuda="13.1"), build)
    server.objects.clear()
    cache().entry(SLOT, replace(BUILT, cuda="13.1"), build)
    assert not server.objects
    with pytest.raises(SettingsError, match="no keys"):
        engine_cache(Settings(experts=Experts(share_engines=True)))
