"""One way to open a model: file, precision, contract and fallback as the settings say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from consumers.experts import full_models, sessions
from consumers.experts.detection import Detection
from consumers.experts.embedding import Embedding, FullEmbedding
from consumers.experts.full_detection import FullDetection
from consumers.experts.full_models import opened, opened_texts
from consumers.experts.full_tagging import FullTagging
from consumers.experts.ocr import Ocr
from consumers.experts.open_vocabulary import Grounding
from consumers.experts.sessions import open_session
from consumers.experts.tagging import Tagging
from densefusion.settings import Experts
from engines.catalogue import catalogue, configure, locate
from engines.catalogue.locate import expected
from engines.errors import EngineError
from engines.full.card import Card, Picture

SETTINGS = Experts(provider="tensorrt", precision="fp16", max_batch=40)


class Asked:
    """A test double of `Session`: keeps what it was asked for, and loads nothing."""

    def __init__(self) -> None:
        self.calls: list[tuple[Path, dict[str, Any]]] = []

    def __call__(self, path: Path, **options: Any) -> Any:
        self.calls.append((path, options))
        return SimpleNamespace(provider=options["provider"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    double = Asked()
    monkeypatch.setattr(sessions, "Session", double)

    def chosen(models: Any, asked: str, *, provider: str) -> Any:
        return [Path(f"{model.name}-{asked}-{provider}") for model in models], asked

    monkeypatch.setattr(sessions, "chosen", chosen)
    return double


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Path]:
    """Where the catalogue looks for models from a hub."""
    configure(folder=tmp_path)
    yield tmp_path
    configure()


def placed(name: str, models: Path, card: Card) -> None:
    path = expected(catalogue()[name], models)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a model")
    card.write(path)


def test_a_starter_is_asked_for_as_the_settings_say(asked: Asked) -> None:
    name = "coco-ssdlite-mobilenet-v2"
    open_session(name, SETTINGS)
    ((path, options),) = asked.calls
    assert path == Path(f"{name}-fp16-tensorrt")
    assert options == {
        "provider": "tensorrt", "threads": 1, "allow_fallback": False, "precision": "fp16",
        "contract": catalogue()[name].serving(40),
    }  # fmt: skip
    assert options["contract"].inputs[0].at("max")[0] == 80


def test_a_full_model_is_opened_in_the_same_way(asked: Asked, models: Path) -> None:
    placed("dinov2-base", models, Card("dino", "0", Picture(224, 224, "crop", "bicubic", 256)))
    found = opened("dinov2-base", SETTINGS)
    open_session("dinov2-base", SETTINGS)
    assert asked.calls[0] == asked.calls[1]
    assert asked.calls[0][1]["contract"].inputs[0].at("max")[0] == 40
    assert (found.card.source, found.height) == ("dino", 224)


def test_a_text_tower_too_but_for_its_precision(
    asked: Asked, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it gives is remembered, so that it is no faster in another."""
    name = "siglip2-base-text"
    placed(name, models, Card("text", "0"))
    monkeypatch.setattr(full_models, "Texts", lambda session, path: path)
    assert opened_texts(name, SETTINGS) == locate(catalogue()[name])
    ((path, options),) = asked.calls
    assert path == Path(f"{name}-fp32-tensorrt")
    assert (options["precision"], options["provider"]) == ("fp32", "tensorrt")
    assert options["contract"] == catalogue()[name].serving(40)


@pytest.mark.parametrize(
    ("expert", "provider"),
    [
        (Detection, "cuda"),
        (Detection, "tensorrt"),
        (Detection, "tensorrt-direct"),
        (Tagging, "tensorrt-direct"),
        (Ocr, "tensorrt"),
        (Embedding, "cuda"),
    ],
)
async def test_an_expert_names_the_provider_that_really_runs(expert: Any, provider: Any) -> None:
    """Here there is no GPU: asked for one, it says so, or where it went instead."""
    asked = Experts(provider=provider, max_batch=1, ocr_max_side=64, threads=1)
    with pytest.raises(EngineError, match=f"{provider} was asked for"):
        await expert(asked).open()
    found = expert(replace_fallback(asked))
    assert found.provider == provider
    await found.open()
    await found.close()
    assert found.provider == "cpu"


def replace_fallback(settings: Experts) -> Experts:
    return settings.model_copy(update={"allow_fallback": True})


@pytest.mark.parametrize(
    ("expert", "name", "shown"),
    [
        (FullDetection, "rt-detr-v2-r50", Picture(8, 8, "whole", "bilinear")),
        (FullTagging, "siglip2-base", Picture(8, 8, "whole", "bilinear")),
        (FullEmbedding, "dinov2-base", Picture(8, 8, "crop", "bilinear", 10)),
        (Grounding, "owlv2-base", Picture(8, 8, "square", "bilinear")),
    ],
)
async def test_so_does_one_of_the_profile_full(
    expert: Any, name: str, shown: Picture, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed(name, models, replace(Card(name, "0"), picture=shown))
    monkeypatch.setattr(sessions, "chosen", lambda *_, **__: ([Path("model")], "fp16"))
    monkeypatch.setattr(sessions, "Session", lambda path, **_: fallen_back())
    for module in ("full_tagging", "open_vocabulary"):
        monkeypatch.setattr(f"consumers.experts.{module}.opened_texts", lambda *_: None)
    for idle in (
        "full_detection.DetrDetector", "full_tagging.ZeroShotTagger",
        "open_vocabulary.OpenVocabulary",
    ):  # fmt: skip
        monkeypatch.setattr(f"consumers.experts.{idle}", Idle)
    found = expert(Experts(provider="cuda", precision="fp16", allow_fallback=True, max_batch=1))
    assert found.model_version.endswith("-fp16")
    await found.open()
    await found.close()
    # What the session says, not what was asked for.
    assert (found.provider, found.precision) == ("cpu", "fp32")
    assert found.model_version == catalogue()[name].version
    assert found.pixels == (shown.short_side or 8)


def fallen_back() -> Any:
    """A session that was asked for a GPU and went to the CPU; its vectors are of three ones."""

    def run(feeds: Any) -> list[Any]:
        return [np.ones((len(feeds["image"]), 3), np.float32)]

    return SimpleNamespace(provider="cpu", precision="fp32", outputs=["embedding"], run=run)


class Idle:
    """Stands for a detector, or a tagger."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def prepare(self, *_: Any) -> None: ...

    def run(self, batch: Any) -> Any:
        return [[] for _ in batch]
