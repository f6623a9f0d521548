"""8-bit weights that come about by themselves: made once, judged, done without where need be."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from engines import precisions
from engines.cache import Cache, default_cache, set_default_cache
from engines.catalogue import Folder, Model, catalogue, locate
from engines.errors import EngineError
from engines.ocr import Reader, models
from engines.optimise import Agreement
from engines.precisions import chosen, located
from engines.recipes import made, making, recipe
from engines.recipes.ranges import HERE, samples
from engines.session import Session

OCR = [catalogue()[name] for name in models.ENTRIES[:2]]
RECOGNISER = OCR[1]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cache]:
    """An empty one, and a CPU that is up to it, whichever this is."""
    monkeypatch.setattr(precisions, "multiplies_exactly", lambda: True)
    before = default_cache()
    set_default_cache(Cache(tmp_path / "engines"))
    yield default_cache()
    set_default_cache(before)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In place of a conversion: the model itself, after a moment. The names of what was made."""
    names: list[str] = []

    def copy(model: Model, original: Path, _: Any, folder: Path) -> None:
        names.append(model.name)
        time.sleep(0.1)
        (folder / making.FILE).write_bytes(original.read_bytes())

    monkeypatch.setattr(making, "_make", copy)
    return names


@pytest.mark.parametrize("path", sorted(HERE.glob("*.json")), ids=lambda path: path.stem)
def test_a_recipe_is_for_the_weights_of_the_catalogue(path: Path) -> None:
    model = catalogue()[path.stem]
    known = recipe(model)
    assert known is not None and known.of == model.sha256
    graph = onnx.load(locate(model)).graph
    tensors = {name for node in graph.node for name in node.output}
    assert known.ranges.keys() <= tensors | {port.name for port in graph.input}
    assert all(low < high for low, high in known.ranges.values())


def test_the_samples_hold_text_and_are_small() -> None:
    assert len(samples()) >= 5
    assert sum(path.stat().st_size for path in (HERE / "samples").iterdir()) < 600_000


def test_a_real_one_is_made_and_agrees(cache: Cache) -> None:
    path = made(RECOGNISER)
    found = json.loads((path.parent / making.AGREEMENT).read_text())
    assert found["value"] >= found["bound"] == 0.98
    assert any(node.op_type == "QuantizeLinear" for node in onnx.load(path).graph.node)
    assert Session(path).metadata.items() >= Session(locate(RECOGNISER)).metadata.items()
    assert path.is_relative_to(cache.folder) and located(RECOGNISER, "int8") == path


@pytest.mark.usefixtures("cache")
def test_several_workers_that_start_at_once_make_it_once(copies: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: made(RECOGNISER), range(4)))
    assert len(paths) == 1 and copies == [RECOGNISER.name]
    assert made(RECOGNISER) in paths and len(copies) == 1


@pytest.mark.usefixtures("cache")
def test_what_is_broken_is_made_again(copies: list[str]) -> None:
    path = made(RECOGNISER)
    path.write_bytes(path.read_bytes()[:-1])
    assert made(RECOGNISER).read_bytes() == locate(RECOGNISER).read_bytes()
    assert len(copies) == 2


@pytest.mark.usefixtures("cache")
def test_ocr_runs_in_8_bits_unless_told_otherwise(copies: list[str]) -> None:
    found = Reader.load(max_side=64)
    assert (found.precision, copies) == ("int8", [model.name for model in OCR])
    assert found.weights == f"{models.weights_version()}-int8"
    found = Reader.load(max_side=64, precision="fp32")
    assert (found.precision, found.weights) == ("fp32", models.weights_version())


@pytest.mark.usefixtures("cache")
def test_not_on_a_gpu_nor_on_a_cpu_that_saturates(
    copies: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [locate(model) for model in OCR]
    assert chosen(OCR, "auto", provider="cuda") == (plain, "fp32")
    monkeypatch.setattr(precisions, "multiplies_exactly", lambda: False)
    assert chosen(OCR, "auto") == (plain, "fp32")
    assert copies == []
    assert chosen(OCR, "int8")[1] == "int8"  # asked for by name: exact kernels, and slow


def test_one_that_reads_otherwise_is_refused_and_fp32_goes_on_loudly(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engines.optimise.optimise", lambda *_, **__: locate(OCR[0]))
    unlike = Agreement("IoU of text boxes", 0.5, 0.85)
    monkeypatch.setattr("engines.optimise.agreement", lambda *_: unlike)
    with caplog.at_level(logging.WARNING):
        paths, precision = chosen(OCR, "auto")
    assert (paths, precision) == ([locate(model) for model in OCR], "fp32")
    said = [vars(record) for record in caplog.records if "fp32" in record.getMessage()]
    assert len(said) == 1 and said[0]["models"] == [model.name for model in OCR]
    assert "in int8 is refused: IoU of text boxes 0.5000" in said[0]["error"]
    with pytest.raises(EngineError, match="is refused"):
        chosen(OCR, "int8")
    assert not list(cache.folder.rglob("*.onnx"))


def test_a_cache_that_cannot_be_written_is_said(
    cache: Cache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    set_default_cache(Cache(tmp_path / "file" / "engines"))
    with caplog.at_level(logging.WARNING):
        assert chosen(OCR, "auto")[1] == "fp32"
    assert any("cannot be kept in" in vars(record).get("error", "") for record in caplog.records)
    with pytest.raises(EngineError, match="cannot be kept in"):
        chosen(OCR, "int8")


@pytest.mark.usefixtures("cache", "copies")
def test_other_weights_than_the_recipes_are_not_converted(tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(locate(RECOGNISER).read_bytes() + b"\0")
    with pytest.raises(EngineError, match=f"on other weights: {RECOGNISER.sha256} -> "):
        made(replace(RECOGNISER, source=Folder(str(other))))


@pytest.mark.usefixtures("cache")
def test_a_model_without_a_recipe_stays_in_fp32() -> None:
    classifier = catalogue()[models.ENTRIES[2]]
    assert chosen([classifier], "auto") == ([locate(classifier)], "fp32")
    with pytest.raises(EngineError, match="no int8 in"):
        chosen([classifier], "int8")
