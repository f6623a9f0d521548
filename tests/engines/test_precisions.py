"""A model in another precision: made from photographs, judged, and not taken where it is stale."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.build import build
from engines.catalogue import Folder, Model, catalogue, locate
from engines.errors import EngineError
from engines.images import decode
from engines.precisions import located, make, optimised

optimising = pytest.importorskip("engines.optimise", reason="optimising needs the package onnx")

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
TAGGER = catalogue()["efficientnet-lite0"]


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    return [decode(path.read_bytes()) for path in sorted(EXAMPLES.glob("*.jpg"))[:6]]


class Copier:
    """A test double of `engines.optimise.optimise`: the same model again, and what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any, bool]] = []

    def __call__(
        self,
        model: Path,
        precision: str,
        target: Path,
        *,
        calibration: Any,
        keep: Sequence[str],
        symmetric: bool,
    ) -> Path:
        self.asked.append((precision, calibration, symmetric))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(model.read_bytes())
        return target


@pytest.fixture
def copier(monkeypatch: pytest.MonkeyPatch) -> Copier:
    made = Copier()
    monkeypatch.setattr(optimising, "optimise", made)
    return made


@pytest.fixture
def half(copier: Copier, tmp_path: Path, photographs: list[np.ndarray]) -> Path:
    assert make(TAGGER, "fp16", photographs, folder=tmp_path).ok
    return tmp_path


def test_a_real_conversion(tmp_path: Path, photographs: list[np.ndarray]) -> None:
    found = make(TAGGER, "fp16", photographs, folder=tmp_path)
    assert found.ok
    path = located(TAGGER, "fp16", folder=tmp_path)
    assert path.read_bytes() != locate(TAGGER).read_bytes()


def test_made_judged_and_found(half: Path) -> None:
    path = located(TAGGER, "fp16", folder=half)
    assert path == optimised(TAGGER, "fp16", folder=half)
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["of"] == TAGGER.sha256
    assert record["agreement"]["value"] >= record["agreement"]["bound"]
    built = build(TAGGER, provider="cpu", precision="fp16", folder=half)
    assert (built.precision, built.path) == ("fp16", path)
    assert sorted(each.name for each in path.parent.iterdir()) == ["fp16.json", "fp16.onnx"]


def test_calibrated_on_what_the_model_is_given(
    copier: Copier, tmp_path: Path, photographs: list[np.ndarray]
) -> None:
    make(TAGGER, "int8", photographs, provider="tensorrt", folder=tmp_path)
    ((precision, calibration, symmetric),) = copier.asked
    assert (precision, symmetric) == ("int8", True)
    # Two views of each photograph, and each photograph once.
    rows = np.concatenate([feeds["image"] for feeds in calibration.feeds])
    assert rows.shape[1:] == (224, 224, 3)
    assert len(rows) == 2 * len(photographs)
    assert located(TAGGER, "int8", provider="tensorrt", folder=tmp_path).stem == "int8-symmetric"
    with pytest.raises(EngineError, match="--provider cpu"):
        located(TAGGER, "int8", folder=tmp_path)


@pytest.mark.usefixtures("copier")
def test_one_that_disagrees_is_refused_and_not_kept(
    tmp_path: Path, photographs: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlike(*_: object, **__: object) -> Any:
        return optimising.Agreement("tags", 0.5, 0.9)

    monkeypatch.setattr(optimising, "agreement", unlike)
    with pytest.raises(EngineError, match=r"in fp16 is refused: tags 0\.5"):
        make(TAGGER, "fp16", photographs, folder=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_not_taken_where_the_model_has_changed(half: Path) -> None:
    file = half / "m.onnx"
    file.write_bytes(locate(TAGGER).read_bytes() + b"\0")
    changed: Model = replace(TAGGER, source=Folder(str(file)))
    with pytest.raises(EngineError, match=rf"from another file: {TAGGER.sha256} -> "):
        located(changed, "fp16", folder=half)


def test_not_taken_where_it_is_broken_or_missing(half: Path) -> None:
    path = located(TAGGER, "fp16", folder=half)
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-1])
        with pytest.raises(EngineError, match="is broken"):
            located(TAGGER, "fp16", folder=half)
    finally:
        path.write_bytes(whole)
    with pytest.raises(EngineError, match="engines build --model efficientnet-lite0"):
        located(TAGGER, "int8", folder=half)


def test_what_there_is_no_measure_for_is_said(tmp_path: Path) -> None:
    text = replace(catalogue()["owlv2-base-text"], source=TAGGER.source, export=None)
    with pytest.raises(EngineError, match="no measure of its agreement"):
        make(text, "fp16", [np.zeros((8, 8, 3), np.uint8)], folder=tmp_path)
