"""What was made of models through an object store on a real port: made on one machine, run on
another that has neither torch nor a hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from densefusion.engine_store import set_up_engines
from densefusion.model_store import ModelStore
from densefusion.settings import Experts, Settings, Store
from densefusion.store import ObjectStore
from engines.cache import Cache, set_default_cache
from engines.catalogue import catalogue, configure, locate
from engines.catalogue.locate import made_folder, set_remote
from engines.errors import EngineError
from engines.full.card import Card, Picture
from engines.manifest import sha256
from engines.precisions import located
from tests.densefusion.s3_server import S3Server

DINO, TEXT = catalogue()["dinov2-base"], catalogue()["siglip2-base-text"]
TAGGER = catalogue()["efficientnet-lite0"]
INDEX = f"pictures/models/{DINO.name}/{DINO.version}.json"


@pytest.fixture
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        yield running


@pytest.fixture(autouse=True)
def this_process() -> Iterator[None]:
    yield
    configure()
    set_remote(None)
    set_default_cache(Cache())


def store(server: S3Server) -> Store:
    return Store(
        endpoint=server.endpoint, bucket="pictures", retry_for=1,
        access_key=SecretStr("a"), secret_key=SecretStr("s"),
    )  # fmt: skip


@pytest.fixture
def remote(server: S3Server) -> Iterator[ModelStore]:
    shared = ObjectStore(store(server))
    yield ModelStore(shared)
    shared.close()


def exported(folder: Path) -> Path:
    """As `densefusion engines export` leaves it."""
    place = made_folder(DINO, folder)
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(b"a model")
    Card("dino", "0", Picture(224, 224, "crop", "bicubic", 256)).write(place / "model.onnx")
    (place / "tokenizer.json").write_text("{}")
    (place / ".export-broken-off").write_text("half")
    return place


def worker(server: S3Server, folder: Path, *, share: bool = True) -> None:
    experts = Experts(models=folder, engines=folder / "engines", share_engines=share)
    set_up_engines(Settings(store=store(server), experts=experts))


def test_a_worker_takes_model_card_and_tokenizer(
    remote: ModelStore, server: S3Server, tmp_path: Path
) -> None:
    names = remote.offer(DINO, exported(tmp_path / "a"))
    assert names == ["card.json", "model.onnx", "tokenizer.json"]
    worker(server, tmp_path / "b", share=False)
    with pytest.raises(EngineError, match="engines pull"):
        locate(DINO)
    worker(server, tmp_path / "b")
    path = locate(DINO)
    assert path.is_relative_to(tmp_path / "b") and path.read_bytes() == b"a model"
    assert Card.read(path).pictured().fit == "crop"
    assert sorted(each.name for each in path.parent.iterdir()) == names
    server.requests.clear()
    locate(DINO)
    assert server.requests == []
    with pytest.raises(EngineError, match="engines pull"):
        locate(TEXT)


def test_other_precisions_come_along(remote: ModelStore, server: S3Server, tmp_path: Path) -> None:
    """Of a starter, whose FP32 is everywhere."""
    place = made_folder(TAGGER, tmp_path / "a")
    place.mkdir(parents=True)
    (place / "fp16.onnx").write_bytes(b"half a model")
    record = {"of": sha256(locate(TAGGER)), "file": sha256(place / "fp16.onnx")}
    (place / "fp16.json").write_text(json.dumps(record))
    remote.offer(TAGGER, place)
    worker(server, tmp_path / "b")
    assert located(TAGGER, "fp16", provider="cuda").read_bytes() == b"half a model"
    with pytest.raises(EngineError, match="engines build"):
        located(TAGGER, "int8", provider="cuda")


def test_what_is_here_stays(remote: ModelStore, tmp_path: Path) -> None:
    remote.offer(DINO, exported(tmp_path / "a"))
    mine = made_folder(DINO, tmp_path / "b")
    mine.mkdir(parents=True)
    (mine / "model.onnx").write_bytes(b"my own")
    assert remote.fetch(DINO, mine)
    assert (mine / "model.onnx").read_bytes() == b"my own"


def test_workers_of_one_machine_may_take_it_at_the_same_time(
    remote: ModelStore, tmp_path: Path
) -> None:
    remote.offer(DINO, exported(tmp_path / "a"))
    place = made_folder(DINO, tmp_path / "b")
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: remote.fetch(DINO, place), range(8)))
    assert len(list(place.iterdir())) == 3


@pytest.mark.parametrize("spoil", ["file", "index", "elsewhere"])
def test_what_is_spoilt_is_not_taken(
    spoil: str, remote: ModelStore, server: S3Server, tmp_path: Path
) -> None:
    remote.offer(DINO, exported(tmp_path / "a"))
    match spoil:
        case "file":
            for key in [key for key in server.objects if "/files/" in key]:
                server.objects[key] += b"!"
        case "index":
            server.objects[INDEX] = b"[]"
        case "elsewhere":
            entry = json.loads(server.objects[INDEX])
            entry["files"] = {"../evil": next(iter(entry["files"].values()))}
            server.objects[INDEX] = json.dumps(entry).encode()
    worker(server, tmp_path / "b")
    with pytest.raises(EngineError, match=r"broken|outside"):
        locate(DINO)
    assert not any(each.is_file() for each in (tmp_path / "b").rglob("*"))
    assert not list(tmp_path.rglob("evil"))


def test_files_that_are_gone_are_nothing_shared(
    remote: ModelStore, server: S3Server, tmp_path: Path
) -> None:
    remote.offer(DINO, exported(tmp_path / "a"))
    for key in [key for key in server.objects if "/files/" in key]:
        del server.objects[key]
    assert not remote.fetch(DINO, tmp_path / "b")
    assert not remote.fetch(TEXT, tmp_path / "b")
