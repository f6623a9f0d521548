"""What OCR's three sessions are opened with: what `densefusion engines build` builds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consumers.experts.ocr import Ocr
from densefusion.settings import Experts
from engines.catalogue import Model, catalogue, locate
from engines.errors import EngineError
from engines.ocr import Reader, models, reader
from engines.session import Session


class Asked:
    """A test double of `Session` at the reader's seam: real ones on the CPU, under another name.

    Args:
        provider: that each says it runs on, by the place of its file; the others: what is asked.
    """

    def __init__(self, says: dict[str, str] | None = None) -> None:
        self.calls: list[tuple[Path, dict[str, Any]]] = []
        self._says = says or {}

    def __call__(self, path: Path, **options: Any) -> Session:
        self.calls.append((path, options))
        session = Session(path)
        session.provider = self._says.get(path.name, options["provider"])
        return session


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    double = Asked()
    monkeypatch.setattr(reader, "Session", double)
    return double


@pytest.mark.parametrize(("max_batch", "max_side"), [(9, 64), (1, 992)])
def test_each_brings_its_contract_for_the_batches_and_sizes_to_come(
    asked: Asked, max_batch: int, max_side: int
) -> None:
    Reader.load(provider="tensorrt", max_batch=max_batch, max_side=max_side)
    names = ["pp-ocrv6-det-small", "pp-ocrv6-rec-small", "pp-ocr-cls-mobile"]
    for (path, options), name in zip(asked.calls, names, strict=True):
        assert path == locate(catalogue()[name])
        assert options["provider"] == "tensorrt" and not options["allow_fallback"]
        assert options["contract"] == catalogue()[name].serving(max_batch, max_side)
        assert options["precision"] == "fp32"
    find = asked.calls[0][1]["contract"].inputs[0].at("max")
    assert find[0] >= max_batch and find[2] >= max_side and find[3] >= max_side


async def test_the_expert_says_on_what_and_in_what_precision_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a fallback that was allowed has parted the three models: the slowest of them."""
    monkeypatch.setattr(reader, "Session", Asked({models.RECOGNISER: "cuda"}))
    expert = Ocr(Experts(provider="tensorrt", allow_fallback=True, max_batch=1, ocr_max_side=64))
    await expert.open()
    await expert.close()
    assert (expert.provider, expert.precision) == ("cuda", "fp32")


def test_another_precision_has_to_be_built(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = "engines build --model pp-ocrv6-det-small --precision fp16 --provider cuda"
    with pytest.raises(EngineError, match=said):
        Reader.load(provider="cuda", precision="fp16")
    assert asked.calls == []


@pytest.mark.parametrize("ran", ["int8", "fp32"])
def test_the_precision_that_was_chosen_is_named(
    ran: str, monkeypatch: pytest.MonkeyPatch, asked: Asked
) -> None:
    def chosen(entries: list[Model], precision: str, *, provider: str) -> tuple[list[Path], str]:
        return [locate(each) for each in entries], ran if precision == "auto" else precision

    monkeypatch.setattr(reader, "chosen", chosen)
    found = Reader.load(max_side=64)
    assert found.precision == ran
    assert found.weights.endswith("-int8") == (ran == "int8")
    assert [options["precision"] for _, options in asked.calls] == [ran, ran, "fp32"]
