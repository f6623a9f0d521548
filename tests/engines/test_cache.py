"""The cache of engines: what a field's change does, who builds, what is never seen half."""

from __future__ import annotations

import fcntl
import json
import logging
import multiprocessing
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest

from engines.cache import MANIFEST, Cache, read_manifest
from engines.errors import EngineError
from engines.manifest import Manifest

SLOT = "cat-finder-tensorrt-fp16"
BUILT = Manifest(
    model="ab12",
    provider="tensorrt",
    precision="fp16",
    shapes="image:1x3..8x3..16x3",
    options="",
    onnxruntime="1.32.0",
    tensorrt="10.9.0",
    cuda="12.8",
    hardware="sm_90 x86_64",
)
FIELDS = [
    "model", "provider", "precision", "shapes", "options", "onnxruntime", "tensorrt", "cuda",
    "hardware",
]  # fmt: skip


class Builder:
    """Counts its builds; each writes another engine."""

    def __init__(self) -> None:
        self.builds = 0

    def __call__(self, folder: Path) -> None:
        self.builds += 1
        (folder / "engines").mkdir()
        (folder / "engines" / "a.engine").write_text(f"engine {self.builds}")
        (folder / "model_ctx.onnx").write_text("context")


def engine(place: Path) -> str:
    return (place / "engines" / "a.engine").read_text()


def test_a_manifest_has_all_that_an_engine_depends_on() -> None:
    assert [field.name for field in fields(Manifest)] == FIELDS


def test_what_fits_is_built_once(tmp_path: Path) -> None:
    build = Builder()
    first = Cache(tmp_path).entry(SLOT, BUILT, build)
    assert Cache(tmp_path, "refuse").entry(SLOT, BUILT, build) == first
    assert (build.builds, engine(first)) == (1, "engine 1")
    assert read_manifest(first)[0] == BUILT


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_that_differs_is_another_engine(
    field: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build = Builder()
    old = Cache(tmp_path).entry(SLOT, BUILT, build)
    wanted = replace(BUILT, **{field: "another"})
    said = f"differs in {field}: {getattr(BUILT, field)} -> another"
    with pytest.raises(EngineError, match="may not be built here") as refused:
        Cache(tmp_path, "refuse").entry(SLOT, wanted, build)
    assert said in str(refused.value)
    with caplog.at_level(logging.WARNING):
        new = Cache(tmp_path).entry(SLOT, wanted, build)
    told = vars(caplog.records[-1])
    assert (told["msg"], told["engine"]) == ("building an engine", SLOT)
    assert said in told["reason"]
    assert (build.builds, engine(new), engine(old)) == (2, "engine 2", "engine 1")


@pytest.mark.parametrize("field", FIELDS)
def test_an_entry_that_lies_in_the_wrong_place_is_found_out(field: str, tmp_path: Path) -> None:
    """Copied by hand from a machine with another GPU, say."""
    build = Builder()
    other = replace(BUILT, **{field: "another"})
    place = Cache(tmp_path).entry(SLOT, other, build)
    place.rename(place.with_name(BUILT.digest()))
    with pytest.raises(EngineError, match=f"differs in {field}: another -> "):
        Cache(tmp_path, "refuse").entry(SLOT, BUILT, build)
    assert engine(Cache(tmp_path).entry(SLOT, BUILT, build)) == "engine 2"


def test_the_nearest_entry_is_compared(tmp_path: Path) -> None:
    Cache(tmp_path).entry(SLOT, replace(BUILT, tensorrt="11.0.0", cuda="13.0"), Builder())
    Cache(tmp_path).entry(SLOT, replace(BUILT, hardware="sm_80 x86_64"), Builder())
    with pytest.raises(EngineError, match="differs in hardware: sm_80 x86_64 -> sm_90 x86_64") as e:
        Cache(tmp_path, "refuse").entry(SLOT, BUILT, Builder())
    assert "tensorrt" not in str(e.value).split("differs")[1].split(". It")[0]


def test_refused_where_none_is_built(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="none is built"):
        Cache(tmp_path, "refuse").entry(SLOT, BUILT, Builder())


def _spoil_file(place: Path) -> None:
    (place / "engines" / "a.engine").write_text("engine !")


def _lose_file(place: Path) -> None:
    (place / "engines" / "a.engine").unlink()


def _cut_manifest(place: Path) -> None:
    text = (place / MANIFEST).read_text()
    (place / MANIFEST).write_text(text[: len(text) // 2])


def _lose_manifest(place: Path) -> None:
    (place / MANIFEST).unlink()


def _lose_field(place: Path) -> None:
    entry = json.loads((place / MANIFEST).read_text())
    del entry["manifest"]["hardware"]
    (place / MANIFEST).write_text(json.dumps(entry))


@pytest.mark.parametrize(
    "spoil", [_spoil_file, _lose_file, _cut_manifest, _lose_manifest, _lose_field]
)
def test_a_broken_entry_is_told_and_built_again(
    spoil, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # type: ignore[no-untyped-def]
    build = Builder()
    place = Cache(tmp_path).entry(SLOT, BUILT, build)
    spoil(place)
    ((_, _, fault),) = Cache(tmp_path).entries()
    assert fault is not None
    with pytest.raises(EngineError, match="broken entry"):
        Cache(tmp_path, "refuse").entry(SLOT, BUILT, build)
    with caplog.at_level(logging.WARNING):
        again = Cache(tmp_path).entry(SLOT, BUILT, build)
    assert "broken entry" in vars(caplog.records[-1])["reason"]
    assert (again, engine(again)) == (place, "engine 2")
    assert [fault for _, _, fault in Cache(tmp_path).entries()] == [None]


def test_a_manifest_names_no_files_outside_its_folder(tmp_path: Path) -> None:
    place = Cache(tmp_path).entry(SLOT, BUILT, Builder())
    entry = json.loads((place / MANIFEST).read_text())
    entry["files"]["../../stolen"] = "00"
    (place / MANIFEST).write_text(json.dumps(entry))
    with pytest.raises(EngineError, match="outside its folder"):
        read_manifest(place)


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise EngineError("out of memory")

    with pytest.raises(EngineError, match="out of memory"):
        Cache(tmp_path).entry(SLOT, BUILT, fail)
    assert list(Cache(tmp_path).entries()) == []
    assert list((tmp_path / SLOT).iterdir()) == []


def test_what_a_killed_builder_left_is_no_entry_and_goes(tmp_path: Path) -> None:
    left = tmp_path / SLOT / ".building-killed"
    left.mkdir(parents=True)
    assert list(Cache(tmp_path).entries()) == []
    Cache(tmp_path).entry(SLOT, BUILT, Builder())
    assert not left.exists()


def test_old_entries_go(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for number in range(12):
        cache.entry(SLOT, replace(BUILT, onnxruntime=str(number)), Builder())
    kept = {read_manifest(place)[0].onnxruntime for _, place, _ in cache.entries()}
    assert len(kept) == 8
    assert "11" in kept
    assert "0" not in kept


def _slow(folder: Path) -> None:
    with (folder.parent.parent / "builds").open("a") as file:
        file.write("x")
    time.sleep(0.3)
    (folder / "model_ctx.onnx").write_text("context")


def _open(folder: Path) -> str:
    return str(Cache(folder).entry(SLOT, BUILT, _slow))


def test_processes_that_want_the_same_engine_build_it_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        places = pool.map(_open, [tmp_path] * 3, chunksize=1)
    assert len(set(places)) == 1
    assert (tmp_path / "builds").read_text() == "x"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match=f"{SLOT} cannot be kept in .*file"):
        Cache(tmp_path / "file" / "engines").entry(SLOT, BUILT, Builder())


def test_a_builder_that_hangs_is_not_waited_for_for_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build = Builder()
    caplog.set_level("INFO")
    with (tmp_path / f"{SLOT}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EngineError, match="another process"):
            Cache(tmp_path, patience=0.2).entry(SLOT, BUILT, build)
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for another process to build an engine"
    ]
    Cache(tmp_path, patience=0.2).entry(SLOT, BUILT, build)
    assert build.builds == 1


class Shelf:
    """A remote in memory: a test double of `engines.cache.Remote`."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], dict[str, bytes]] = {}

    def fetch(self, slot: str, digest: str, folder: Path) -> bool:
        files = self.held.get((slot, digest))
        for name, data in (files or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return files is not None

    def offer(self, slot: str, digest: str, folder: Path) -> None:
        self.held[slot, digest] = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }


def test_one_machine_builds_and_another_takes(tmp_path: Path) -> None:
    shelf, build = Shelf(), Builder()
    Cache(tmp_path / "a", remote=shelf).entry(SLOT, BUILT, build)
    place = Cache(tmp_path / "b", "refuse", shelf).entry(SLOT, BUILT, build)
    assert (build.builds, engine(place)) == (1, "engine 1")
    with pytest.raises(EngineError, match="none is built"):
        Cache(tmp_path / "c", "refuse", shelf).entry(SLOT, replace(BUILT, cuda="13.0"), build)


@pytest.mark.parametrize("spoilt", ["engines/a.engine", MANIFEST])
def test_a_spoilt_shared_engine_is_not_taken(spoilt: str, tmp_path: Path) -> None:
    shelf, build = Shelf(), Builder()
    Cache(tmp_path / "a", remote=shelf).entry(SLOT, BUILT, build)
    next(iter(shelf.held.values()))[spoilt] += b"!"
    place = Cache(tmp_path / "b", remote=shelf).entry(SLOT, BUILT, build)
    assert (build.builds, engine(place)) == (2, "engine 2")
