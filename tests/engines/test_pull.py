"""Fetching from a hub, over real HTTP: what breaks off goes on, what is wrong is thrown away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engines.catalogue import Hub, Model, catalogue, locate
from engines.catalogue.locate import pulled
from engines.catalogue.pull import address, pull
from engines.errors import EngineError
from tests.engines.range_server import RangeServer

DATA = bytes(range(256)) * 4096  # 1 MiB
PATH = "/org/model/resolve/abc123/onnx/m.onnx"
GOOD = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def hub() -> Iterator[RangeServer]:
    with RangeServer() as server:
        server.files[PATH] = DATA
        yield server


def model(hub: RangeServer, digest: str | None = GOOD) -> Model:
    source = Hub("org/model", "abc123", {"onnx/m.onnx": digest}, hub.endpoint)
    starter = catalogue()["efficientnet-lite0"]
    return replace(starter, name="m", version="1", source=source, sha256=digest)


def test_fetches_once(hub: RangeServer, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    assert not pulled(model(hub), tmp_path)
    (path,) = pull(model(hub), tmp_path, lambda *said: seen.append(said))
    assert path.read_bytes() == DATA
    assert path == locate(model(hub), tmp_path)
    assert seen[-1] == ("m.onnx", len(DATA), len(DATA))
    assert pull(model(hub), tmp_path) == [path]
    assert len(hub.requests) == 1
    assert [each.name for each in path.parent.iterdir()] == ["m.onnx"]


def test_goes_on_where_it_broke_off(hub: RangeServer, tmp_path: Path) -> None:
    hub.breaks = [300_000]
    with pytest.raises(EngineError, match="goes on where it broke off"):
        pull(model(hub), tmp_path)
    with pytest.raises(EngineError, match="engines pull"):
        locate(model(hub), tmp_path)
    (path,) = pull(model(hub), tmp_path)
    assert path.read_bytes() == DATA
    (_, first), (_, second) = hub.requests
    assert first is None
    assert second is not None
    start = int(second.removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 300_000  # whole blocks are kept
    assert hub.statuses == [200, 206]


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(
    hub: RangeServer, tmp_path: Path
) -> None:
    """If-Range: the half that is here belongs to another file."""
    hub.files[PATH] = DATA[::-1]
    hub.breaks = [300_000]
    with pytest.raises(EngineError):
        pull(model(hub), tmp_path)
    hub.files[PATH] = DATA
    (path,) = pull(model(hub), tmp_path)
    assert path.read_bytes() == DATA


def test_a_server_without_ranges(hub: RangeServer, tmp_path: Path) -> None:
    hub.ranges = False
    hub.breaks = [300_000]
    with pytest.raises(EngineError):
        pull(model(hub), tmp_path)
    (path,) = pull(model(hub), tmp_path)
    assert path.read_bytes() == DATA


def test_all_of_it_was_there_already(hub: RangeServer, tmp_path: Path) -> None:
    """Killed between the last byte and the rename."""
    (path,) = pull(model(hub), tmp_path)
    path.rename(path.with_name("m.onnx.part"))
    etag = f'"{hashlib.md5(DATA).hexdigest()}"'
    path.with_name("m.onnx.etag").write_text(etag)
    assert pull(model(hub), tmp_path) == [path]
    assert path.read_bytes() == DATA


def test_two_that_fetch_the_same_do_not_mix(hub: RangeServer, tmp_path: Path) -> None:
    """Two init containers on one volume; where no hash is known, nothing else would tell."""
    refused: list[str] = []

    def beside(*_: object) -> None:
        if not refused:
            with pytest.raises(EngineError, match="another process") as raised:
                pull(model(hub, None), tmp_path)
            refused.append(str(raised.value))

    (path,) = pull(model(hub, None), tmp_path, beside)
    assert refused
    assert path.read_bytes() == DATA
    assert pull(model(hub, None), tmp_path) == [path]
    assert len(hub.requests) == 1


def test_a_wrong_hash_is_thrown_away(hub: RangeServer, tmp_path: Path) -> None:
    hub.files[PATH] = b"<html>login</html>"
    with pytest.raises(EngineError, match=f"the catalogue says {GOOD}; thrown away"):
        pull(model(hub), tmp_path)
    assert not list(tmp_path.rglob("m.onnx*"))
    hub.files[PATH] = DATA
    assert pull(model(hub), tmp_path)


def test_a_file_that_was_there_is_held_to_its_hash(hub: RangeServer, tmp_path: Path) -> None:
    (path,) = pull(model(hub), tmp_path)
    path.write_bytes(b"spoilt")
    with pytest.raises(EngineError, match="the catalogue says"):
        pull(model(hub), tmp_path)


def test_an_unknown_hash_takes_what_comes(hub: RangeServer, tmp_path: Path) -> None:
    (path,) = pull(model(hub, None), tmp_path)
    assert path.read_bytes() == DATA


def test_a_server_that_is_busy_is_asked_again(hub: RangeServer, tmp_path: Path) -> None:
    hub.failures = [503, 429]
    assert pull(model(hub), tmp_path)
    assert len(hub.requests) == 3


def test_what_is_not_there_is_said(hub: RangeServer, tmp_path: Path) -> None:
    hub.files.clear()
    with pytest.raises(EngineError, match="HTTP 404"):
        pull(model(hub), tmp_path)


def test_a_folder_that_cannot_be_written_is_said(hub: RangeServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="file"):
        pull(model(hub), tmp_path / "file")


def test_mirror_and_token(
    hub: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint + "/")
    monkeypatch.setenv("HF_TOKEN", "secret")
    there = replace(model(hub), source=Hub("org/model", "abc123", {"onnx/m.onnx": GOOD}))
    assert pull(there, tmp_path)
    assert hub.authorised == ["Bearer secret"]
    monkeypatch.delenv("HF_ENDPOINT")
    hub_of_its_own = Hub("org/model", "abc123", {}, hub.endpoint)
    assert address(Hub("o/m", "v 1", {}), "a b.bin").startswith("https://huggingface.co/o/m/")
    assert address(Hub("o/m", "v 1", {}), "a b.bin").endswith("/resolve/v%201/a%20b.bin")
    assert address(hub_of_its_own, "x").startswith(hub.endpoint)


def test_a_token_goes_to_hugging_face_alone(
    hub: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert pull(model(hub), tmp_path)
    assert hub.authorised == [None]


def test_what_is_installed_is_looked_at() -> None:
    starter = catalogue()["pp-ocrv6-det-small"]
    assert pull(starter) == [locate(starter)]
    with pytest.raises(EngineError, match="the catalogue says 00"):
        pull(replace(starter, sha256="00"))
